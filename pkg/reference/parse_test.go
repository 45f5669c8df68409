package reference_test

import (
	"path"
	"strings"
	"testing"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/reference"
)

const hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
const digest = "sha256:" + hex

// disk is a Stat over a list of paths; those that end in '/' are directories,
// and so is everything above a path.
func disk(paths ...string) reference.Stat {
	dirs, files := map[string]bool{"/": true, ".": true}, map[string]bool{}
	for _, p := range paths {
		if strings.HasSuffix(p, "/") {
			dirs[path.Clean(p)] = true
		} else {
			files[path.Clean(p)] = true
		}
		for d := path.Dir(path.Clean(p)); d != "." && d != "/"; d = path.Dir(d) {
			dirs[d] = true
		}
	}
	return func(p string) (bool, bool) {
		if strings.HasSuffix(p, "/") {
			return dirs[path.Clean(p)], true
		}
		p = path.Clean(p)
		return dirs[p] || files[p], dirs[p]
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	stat := disk("/l/oci-layout", "/l/index.json", "/a:b/oci-layout", "/plain/", "x.tar", "with:colon.tar", "lay/oci-layout", "img.tar", "e.cnb", "ubuntu", "here/")
	for _, c := range []struct {
		in                      string
		kind                    reference.Kind
		name, path, tag, digest string
		display                 string
	}{
		{"alpine", reference.Registry, "index.docker.io/library/alpine:latest", "", "", "", "docker.io/library/alpine"},
		{"alpine:3.16", reference.Registry, "index.docker.io/library/alpine:3.16", "", "3.16", "", "docker.io/library/alpine"},
		{"docker.io/library/alpine:3.16", reference.Registry, "index.docker.io/library/alpine:3.16", "", "3.16", "", "docker.io/library/alpine"},
		{"a/b", reference.Registry, "index.docker.io/a/b:latest", "", "", "", "docker.io/a/b"},
		{"localhost/b", reference.Registry, "localhost/b:latest", "", "", "", "localhost/b"},
		{"localhost:5000/a/b:1", reference.Registry, "localhost:5000/a/b:1", "", "1", "", "localhost:5000/a/b"},
		{"[::1]:5000/a:1", reference.Registry, "[::1]:5000/a:1", "", "1", "", "[::1]:5000/a"},
		{"r.example/a@" + digest, reference.Registry, "r.example/a@" + digest, "", "", digest, "r.example/a"},
		{"r.example/a:1@" + digest, reference.Registry, "r.example/a@" + digest, "", "1", digest, "r.example/a"},
		{"docker://127.0.0.1:5000/a:1", reference.Registry, "127.0.0.1:5000/a:1", "", "1", "", "127.0.0.1:5000/a"},
		{"docker://localhost:5000/a:1@" + digest, reference.Registry, "localhost:5000/a@" + digest, "", "1", digest, "localhost:5000/a"},
		{"docker://ubuntu", reference.Registry, "index.docker.io/library/ubuntu:latest", "", "", "", "docker.io/library/ubuntu"},
		{"docker-daemon:x:1", reference.Daemon, "index.docker.io/library/x:1", "", "1", "", "docker-daemon:docker.io/library/x:1"},
		{"local:x", reference.Local, "index.docker.io/library/x:latest", "", "", "", "docker.io/library/x"},
		{"-", reference.Stdio, "", "", "", "", "-"},
		{"ubuntu", reference.File, "", "ubuntu", "", "", "ubuntu"},
		{"x.tar", reference.File, "", "x.tar", "", "", "x.tar"},
		{"with:colon.tar", reference.File, "", "with:colon.tar", "", "", "with:colon.tar"},
		{"e.cnb@" + digest, reference.File, "", "e.cnb", "", digest, "e.cnb"},
		{"new.cnb", reference.File, "", "new.cnb", "", "", "new.cnb"},
		{"/no/such.tar", reference.File, "", "/no/such.tar", "", "", "/no/such.tar"},
		{"lay", reference.Layout, "", "lay", "", "", "oci-layout://lay"},
		{"here", reference.Registry, "index.docker.io/library/here:latest", "", "", "", "docker.io/library/here"},
		{"./lay:1", reference.Layout, "", "./lay", "1", "", "oci-layout://./lay"},
		{"oci-layout:///l", reference.Layout, "", "/l", "", "", "oci-layout:///l"},
		{"oci-layout:///l:3.16", reference.Layout, "", "/l", "3.16", "", "oci-layout:///l"},
		{"oci-layout:///l:3.16@" + digest, reference.Layout, "", "/l", "3.16", digest, "oci-layout:///l"},
		{"oci-layout:///l@" + digest, reference.Layout, "", "/l", "", digest, "oci-layout:///l"},
		{"oci-layout:///l:docker.io/library/alpine:3.16", reference.Layout, "", "/l", "docker.io/library/alpine:3.16", "", "oci-layout:///l"},
		{"oci-layout:///l:localhost:5000/alpine:3.16", reference.Layout, "", "/l", "localhost:5000/alpine:3.16", "", "oci-layout:///l"},
		{"oci-layout:///l/alpine:3.16", reference.Layout, "", "/l", "alpine:3.16", "", "oci-layout:///l"},
		{"oci-layout:///l/docker.io/library/alpine:3.16", reference.Layout, "", "/l", "docker.io/library/alpine:3.16", "", "oci-layout:///l"},
		{"oci-layout:///l/localhost:5000/alpine:3.16", reference.Layout, "", "/l", "localhost:5000/alpine:3.16", "", "oci-layout:///l"},
		{"oci-layout:///plain/new:3.16", reference.Layout, "", "/plain/new", "3.16", "", "oci-layout:///plain/new"},
		{"oci-layout:///a:b", reference.Layout, "", "/a:b", "", "", "oci-layout:///a:b"},
		{"oci-layout:///a:b:1", reference.Layout, "", "/a:b", "1", "", "oci-layout:///a:b"},
		{"oci-layout:///a:b/x/y:1", reference.Layout, "", "/a:b", "x/y:1", "", "oci-layout:///a:b"},
		{"oci-layout://rel/new:1", reference.Layout, "", "rel/new", "1", "", "oci-layout://rel/new"},
		{"oci:new", reference.Layout, "", "new", "", "", "oci:new"},
		{"oci:/l:1", reference.Layout, "", "/l", "1", "", "oci:/l"},
		{"oci:lay:v1@" + digest, reference.Layout, "", "lay", "v1", digest, "oci:lay"},
		{"oci-archive:img.tar", reference.Archive, "", "img.tar", "", "", "oci-archive:img.tar"},
		{"oci-archive:img.tar:docker.io/library/a:1", reference.Archive, "", "img.tar", "docker.io/library/a:1", "", "oci-archive:img.tar"},
		{"oci-archive:out/new.tar:1", reference.Archive, "", "out/new.tar", "1", "", "oci-archive:out/new.tar"},
		{"docker-archive:img.tar", reference.DockerArchive, "", "img.tar", "", "", "docker-archive:img.tar"},
		{"docker-archive:img.tar:a:1", reference.DockerArchive, "index.docker.io/library/a:1", "img.tar", "1", "", "docker-archive:img.tar:docker.io/library/a:1"},
		{"docker-archive:new.tar:a", reference.DockerArchive, "index.docker.io/library/a:latest", "new.tar", "", "", "docker-archive:new.tar:docker.io/library/a:latest"},
	} {
		r, err := reference.Parse(c.in, stat)
		if err != nil {
			t.Errorf("Parse(%q): %v", c.in, err)
			continue
		}
		n := ""
		if r.Name != nil {
			n = r.Name.Name()
		}
		if r.Kind != c.kind || n != c.name || r.Path != c.path || r.Tag != c.tag || r.Digest != c.digest || r.Given != c.in {
			t.Errorf("Parse(%q) = kind %v name %q path %q tag %q digest %q given %q", c.in, r.Kind, n, r.Path, r.Tag, r.Digest, r.Given)
		}
		if d := r.Display(); d != c.display {
			t.Errorf("Parse(%q).Display() = %q, want %q", c.in, d, c.display)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	stat := disk("/plain/", "/l/oci-layout")
	for in, hint := range map[string]string{
		"":                          "a reference is",
		".":                         "a reference is",
		"..":                        "a reference is",
		"/":                         "a reference is",
		"/plain":                    "a reference is",
		"a//b":                      "a reference is",
		"a/../b":                    "a reference is",
		"-a":                        "a reference is",
		"Alpine":                    "a reference is",
		"a:":                        "a reference is",
		"a@sha256:12":               "a reference is",
		"a:b:c":                     "a reference is",
		"a b":                       "a reference is",
		"docker://":                 "a reference is",
		"docker-daemon:":            "a reference is",
		"local:":                    "a reference is",
		"local:..":                  "a reference is",
		"local:a@" + digest:         "a reference is",
		"oci:":                      "a reference is",
		"oci-layout://":             "a reference is",
		"oci-layout://:tag":         "a reference is",
		"oci:x:":                    "a reference is",
		"oci:/l:a b":                "a reference is",
		"oci:x@sha256:1":            "a reference is",
		"docker-archive:":           "a reference is",
		"docker-archive:f:":         "a reference is",
		"docker-archive:f:A":        "a reference is",
		"urn:cnb:registry:a/b":      "a reference is",
		"oci-layout:/path":          "did you mean 'oci-layout:///path'?",
		"oci-layout:path:1":         "did you mean 'oci-layout://path:1'?",
		"docker:/x":                 "did you mean 'docker://x'?",
		"docker:///x":               "did you mean 'docker://x'?",
		"oci:///abs":                "did you mean 'oci:/abs'?",
		"https://r.example/a:1":     "did you mean 'docker://r.example/a:1'?",
		"docker-deamon:r.example/x": "did you mean 'docker-daemon:r.example/x'?",
		"oci-achive:/x.tar":         "did you mean 'oci-archive:/x.tar'?",
		"file:///x.cnb":             "did you mean '/x.cnb'?",
	} {
		_, err := reference.Parse(in, stat)
		if !fault.Is(err, fault.Usage) {
			t.Errorf("Parse(%q) = %v, want a usage error", in, err)
			continue
		}
		if got := fault.HintOf(err); !strings.HasPrefix(got, hint) {
			t.Errorf("Parse(%q): hint %q, want %q", in, got, hint)
		}
		if !strings.Contains(err.Error(), "'"+in+"'") {
			t.Errorf("Parse(%q): %v does not quote the reference once", in, err)
		}
	}
}

func TestParseListName(t *testing.T) {
	t.Parallel()
	one, err := reference.ParseListName("x")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"x:latest", "library/x", "docker.io/x", "docker.io/library/x:latest", "index.docker.io/library/x"} {
		if n, err := reference.ParseListName(s); err != nil || n != one {
			t.Errorf("ParseListName(%q) = %#v, %v; want the value of \"x\"", s, n, err)
		}
	}
	ab, err1 := reference.ParseListName("a/b:c")
	ac, err2 := reference.ParseListName("a_b-c")
	if err1 != nil || err2 != nil || ab == ac || ab.Name() == ac.Name() {
		t.Errorf("a/b:c and a_b-c: %v %v %v %v", ab, ac, err1, err2)
	}
	for _, s := range []string{"", ".", "..", "/", "/abs", "../x", "a/../b", "./x", "a/", "/a:b", "A", "x@" + digest, "x:", "oci:///x", "a\x00b", "-"} {
		if n, err := reference.ParseListName(s); !fault.Is(err, fault.Usage) {
			t.Errorf("ParseListName(%q) = %v, %v; want a usage error", s, n, err)
		}
	}
}

func TestWith(t *testing.T) {
	t.Parallel()
	stat := disk("/l/oci-layout")
	for in, want := range map[string]string{
		"r.example/a:1":         "r.example/a@" + digest,
		"oci-layout:///l:1":     "oci-layout:///l@" + digest,
		"oci:/l":                "oci:/l@" + digest,
		"oci-archive:/x.tar:v1": "oci-archive:/x.tar@" + digest,
		"x.cnb":                 "x.cnb@" + digest,
		"alpine":                "docker.io/library/alpine@" + digest,
	} {
		r, err := reference.Parse(in, stat)
		if err != nil {
			t.Fatal(err)
		}
		d := r.WithDigest(digest)
		back, err := reference.Parse(d.String(), stat)
		if err != nil || d.String() != want || back.Digest != digest || back.Path != r.Path || back.Kind != r.Kind {
			t.Errorf("%q.WithDigest = %q, read back as %+v, %v", in, d, back, err)
		}
		if r.Kind == reference.Registry || r.Kind == reference.Layout {
			tagged := d.WithTag("v2")
			if back, err := reference.Parse(tagged.String(), stat); err != nil || back.Tag != "v2" || back.Digest != "" {
				t.Errorf("%q.WithTag = %q, read back as %+v, %v", in, tagged, back, err)
			}
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][2]string{
		"alpine":           {"docker.io/library/alpine:latest", "alpine:latest"},
		"a/b:1":            {"docker.io/a/b:1", "a/b:1"},
		"r.example/a/b:1":  {"r.example/a/b:1", "r.example/a/b:1"},
		"alpine@" + digest: {"docker.io/library/alpine@" + digest, "alpine@" + digest},
	} {
		n, err := reference.ParseName(in)
		if err != nil {
			t.Fatal(err)
		}
		if c, f := reference.Canonical(n), reference.Familiar(n); c != want[0] || f != want[1] {
			t.Errorf("%q: canonical %q, familiar %q", in, c, f)
		}
	}
}

// FuzzParse holds Parse to what its callers rely on: a reference or a usage
// error, never a panic, and names that mean themselves when read again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"alpine", "localhost:5000/a:1@" + digest, "oci-layout:///l/a:1", "oci:/l:a:1@" + digest, "docker-archive:x:y", "local:x", "-",
		"oci://x", "[::1]/x", "docker:///", "a.cnb", "./x:1", "@", ":", "oci::", "oci-archive:/:", "/a:b/c:d",
	} {
		f.Add(s)
	}
	stat := disk("/l/oci-layout", "/a:b/", "x.tar")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := reference.Parse(s, stat)
		if err != nil {
			if !fault.Is(err, fault.Usage) || fault.HintOf(err) == "" {
				t.Fatalf("Parse(%q): %v is no usage error with a hint", s, err)
			}
			return
		}
		if r.Given != s || r.Display() == "" {
			t.Fatalf("Parse(%q) = %+v", s, r)
		}
		switch r.Kind {
		case reference.Registry, reference.Daemon, reference.Local:
			again, err := reference.ParseName(reference.Canonical(r.Name))
			if err != nil || again.Name() != r.Name.Name() {
				t.Fatalf("Parse(%q): name %q is read back as %v, %v", s, r.Name.Name(), again, err)
			}
			if strings.Contains(r.Name.Context().RepositoryStr(), "..") {
				t.Fatalf("Parse(%q): repository %q", s, r.Name.Context().RepositoryStr())
			}
		case reference.Stdio:
		default:
			if r.Path == "" {
				t.Fatalf("Parse(%q): no path", s)
			}
		}
	})
}
