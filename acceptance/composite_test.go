package acceptance

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/testhelpers/imgtest"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// parts are components, each packaged for both platforms under its own
// repository, and the composite of all.
type parts struct {
	refs      []string
	layers    map[string]bool // digests
	configs   map[string]bool
	platforms []string
}

// seedParts fills a registry with components of the given size.
func seedParts(t *testing.T, r *regtest.Registry, count, size int) parts {
	t.Helper()
	p := parts{layers: map[string]bool{}, configs: map[string]bool{}, platforms: []string{"linux/amd64", "linux/arm64"}}
	for i := range count {
		name := fmt.Sprintf("part-%02d", i)
		index := v1.ImageIndex(empty.Index)
		for _, s := range p.platforms {
			parsed, err := platform.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			img := imgtest.Buildpack(t, imgtest.BuildpackSpec{
				ID: "acme/" + name, Version: "1.0.0", Platform: s,
				Files: map[string]string{"bin/program": strings.Repeat(name+s, size/len(name+s))},
			})
			manifest, err := img.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			p.configs[manifest.Config.Digest.String()] = true
			for _, l := range manifest.Layers {
				p.layers[l.Digest.String()] = true
			}
			index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: parsed.V1()}})
		}
		ref := r.Repo("acme/" + name).Tag("1.0.0")
		if err := remote.WriteIndex(ref, index); err != nil {
			t.Fatal(err)
		}
		p.refs = append(p.refs, ref.Name())
	}
	return p
}

// write makes the composite's folder; the dependencies stand in the given order.
func (p parts) write(t *testing.T, refs []string) string {
	t.Helper()
	dir := t.TempDir()
	descriptor := "api = \"0.10\"\n\n[buildpack]\nid = \"acme/all\"\nversion = \"1.0.0\"\n\n[[order]]\n"
	for _, ref := range p.refs {
		name := strings.TrimSuffix(filepath.Base(ref), ":1.0.0")
		descriptor += fmt.Sprintf("[[order.group]]\nid = \"acme/%s\"\nversion = \"1.0.0\"\n", name)
	}
	config := "[buildpack]\nuri = \"composite\"\n\n"
	for _, platform := range p.platforms {
		os, arch, _ := strings.Cut(platform, "/")
		config += fmt.Sprintf("[[targets]]\nos = %q\narch = %q\n\n", os, arch)
	}
	for _, ref := range refs {
		config += fmt.Sprintf("[[dependencies]]\nuri = \"docker://%s\"\n\n", ref)
	}
	for name, text := range map[string]string{"composite/buildpack.toml": descriptor, "package.toml": config} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// multipack runs the program with a cache of its own and gives its stdout.
func multipack(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "MULTIPACK_CACHE="+t.TempDir())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("multipack %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// A composite moves no layer that the registry has, asks little, and at the
// second time writes nothing.
func TestCompositeMovesNoLayer(t *testing.T) {
	t.Parallel()
	for name, opts := range registries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const components = 20
			r := regtest.New(t, opts...)
			p := seedParts(t, r, components, 16<<10)
			dir := p.write(t, p.refs)
			r.Reset()
			first := multipack(t, "buildpack", "package", r.Host()+"/acme/all:1", "--config", filepath.Join(dir, "package.toml"), "--publish")
			p.check(t, r)
			pairs := components * len(p.platforms)
			// Each dependency's index; of each platform's image manifest, config and mount.
			if n, most := len(r.Requests()), components+3*pairs+20; n > most {
				t.Errorf("%d requests, want at most %d\n%s", n, most, requestLines(r))
			}
			ref := r.Repo("acme/all").Tag("1")
			index, err := remote.Index(ref)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Index(index); err != nil {
				t.Error(err)
			}

			r.Reset()
			second := multipack(t, "buildpack", "package", r.Host()+"/acme/all:1", "--config", filepath.Join(dir, "package.toml"), "--publish")
			if first != second {
				t.Errorf("first '%s', then '%s'", first, second)
			}
			// The tags are listed for announcements of appending jobs.
			asked := r.Count("HEAD", "^/v2/acme/all/") + r.Count("GET", "^/v2/acme/all/tags/list$")
			if all := r.Count("", "^/v2/acme/all/"); all != asked || asked > 4 || r.BytesIn() != 0 {
				t.Errorf("the second publish was more than questions\n%s", requestLines(r))
			}
		})
	}
}

// check holds the log of a first publish to its promises.
func (p parts) check(t *testing.T, r *regtest.Registry) {
	t.Helper()
	sent := 0
	for _, q := range r.Requests() {
		digest := q.Path[strings.LastIndex(q.Path, "/")+1:]
		switch {
		case q.Method == "GET" && p.layers[digest]:
			t.Errorf("a layer was read: %s", q.Path)
		case q.Method == "GET" && strings.Contains(q.Path, "/blobs/") && !p.configs[digest]:
			t.Errorf("neither a config nor a layer was read: %s", q.Path)
		case q.BytesIn > 0 && !strings.Contains(q.Path, "/manifests/"):
			sent++
		}
	}
	// Both platforms' configs, and the composite's own module, which they share.
	if sent != 3 {
		t.Errorf("%d blobs were sent, want 3\n%s", sent, requestLines(r))
	}
	if n, most := r.BytesIn(), int64(64<<10); n > most {
		t.Errorf("%d bytes were sent, want at most %d", n, most)
	}
}

// One digest, whatever the order of the dependencies and the number of jobs.
func TestCompositeHasOneDigest(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	p := seedParts(t, r, 6, 1<<10)
	shuffled := slices.Concat(p.refs[3:], p.refs[:3], p.refs[2:4]) // two are named twice
	reversed := slices.Clone(p.refs)
	slices.Reverse(reversed)
	var want string
	for i, refs := range [][]string{p.refs, reversed, shuffled} {
		dir := p.write(t, refs)
		for _, jobs := range []string{"1", "3", "32"} {
			got := multipack(t, "--jobs", jobs, "buildpack", "package", r.Host()+"/acme/all:1", "--config", filepath.Join(dir, "package.toml"), "--publish", "--dry-run")
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("order %d with %s jobs gives '%s', want '%s'", i, jobs, got, want)
			}
		}
	}
}

func requestLines(r *regtest.Registry) string {
	var b strings.Builder
	for _, q := range r.Requests() {
		fmt.Fprintf(&b, "%s %s %d\n", q.Method, q.Path, q.Status)
	}
	return b.String()
}
