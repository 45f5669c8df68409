package tree_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/tree"
)

// parse makes a tree of lines: "path/" a directory, "path" a file with its path
// as content, "path=text" one with that content, "path>text" a symbolic link,
// "path~target" a hard link, "path|" a pipe.
func parse(name string, lines ...string) tree.Tree {
	t := tree.Tree{Name: name}
	for _, l := range lines {
		e := tree.Entry{Path: l, Mode: 0o644}
		content := l
		switch i := strings.IndexAny(l, "=>~|"); {
		case strings.HasSuffix(l, "/"):
			e.Path, e.Type = strings.TrimSuffix(l, "/"), tree.Dir
		case i < 0:
		case l[i] == '=':
			e.Path, content = l[:i], l[i+1:]
		case l[i] == '>':
			e.Path, e.Type, e.Link = l[:i], tree.Symlink, l[i+1:]
		case l[i] == '~':
			e.Path, e.Type, e.Link = l[:i], tree.Hardlink, l[i+1:]
		case l[i] == '|':
			e.Path, e.Type = l[:i], tree.Fifo
		}
		if e.Type == tree.Regular {
			e.Size, e.ID = int64(len(content)), name+content
			e.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }
		}
		t.Entries = append(t.Entries, e)
	}
	return t
}

// lines is the reverse of parse.
func lines(t *testing.T, tr tree.Tree) []string {
	t.Helper()
	var out []string
	for _, e := range tr.Entries {
		switch e.Type {
		case tree.Dir:
			out = append(out, e.Path+"/")
		case tree.Symlink:
			out = append(out, e.Path+">"+e.Link)
		case tree.Hardlink:
			out = append(out, e.Path+"~"+e.Link)
		case tree.Fifo:
			out = append(out, e.Path+"|")
		default:
			data, err := tr.ReadFile(e.Path)
			if err != nil {
				t.Fatal(err)
			}
			if string(data) == e.Path {
				out = append(out, e.Path)
			} else {
				out = append(out, e.Path+"="+string(data))
			}
		}
	}
	return out
}

func want(t *testing.T, tr tree.Tree, lns ...string) {
	t.Helper()
	if got := lines(t, tr); !slices.Equal(got, lns) {
		t.Errorf("got  %q\nwant %q", got, lns)
	}
}

func TestSub(t *testing.T) {
	t.Parallel()
	tr := parse("bp", "first", "linux/", "linux/amd64/", "linux/amd64/bin/", "linux/amd64/bin/a=x", "linux/amd64/in~first",
		"linux/amd64/in2~first", "linux/amd64/inner~linux/amd64/bin/a", "linux/amd64-v3", "linux/arm64>amd64", "out>../..", "abs>/linux")
	sub := []string{"bin/", "bin/a=x", "in=first", "in2~in", "inner~bin/a"}
	for _, dir := range []string{"linux/amd64", "/linux/amd64/", "linux/arm64", "./linux/x/../arm64"} {
		got, ok := tr.Sub(dir)
		if !ok {
			t.Fatalf("%s: nothing there", dir)
		}
		want(t, got, sub...)
	}
	if all, ok := tr.Sub("."); !ok || len(all.Entries) != len(tr.Entries) {
		t.Error("the root is not the root")
	}
	for _, dir := range []string{"windows", "first", "linux/amd", "out", "abs", "..", "linux/../.."} {
		if _, ok := tr.Sub(dir); ok {
			t.Errorf("%s: taken for a folder of the tree", dir)
		}
	}
	// A directory may be implied only, as in some archives.
	implied, ok := parse("x", "a/b/c", "a/b/d").Sub("a/b")
	if !ok {
		t.Fatal("an implied directory is not found")
	}
	want(t, implied, "c=a/b/c", "d=a/b/d")
}

func TestLookups(t *testing.T) {
	t.Parallel()
	tr := parse("bp", "a/b", "l>a", "loop>loop", "to>l/b", "hard~a/b", "up>a/../../x", "pipe|", "d/")
	if _, ok := tr.Lookup("a"); ok || !tr.Has("a") || !tr.IsDir("a") || tr.Has("a/") != tr.Has("a") {
		t.Error("an implied directory is there, but is no entry")
	}
	if e, ok := tr.Lookup("/l"); !ok || e.Type != tree.Symlink {
		t.Error("links are entries of their own")
	}
	if e, ok := tr.Target("to"); !ok || e.Path != "a/b" {
		t.Errorf("to leads to %q", e.Path)
	}
	if e, ok := tr.Target("hard"); !ok || e.Path != "a/b" {
		t.Errorf("hard leads to %q", e.Path)
	}
	for _, p := range []string{"to", "hard", "l/b", "a/b"} {
		if data, err := tr.ReadFile(p); err != nil || string(data) != "a/b" {
			t.Errorf("%s: %q, %v", p, data, err)
		}
	}
	for p, kind := range map[string]fault.Kind{
		"no": fault.NotFound, "loop": fault.Failed, "up": fault.Failed, "pipe": fault.Failed, "d": fault.Failed, "a": fault.Failed,
	} {
		if _, err := tr.ReadFile(p); !fault.Is(err, kind) || !strings.Contains(err.Error(), "'"+p+"'") {
			t.Errorf("%s: got %v, want a %s error", p, err, kind)
		}
	}
}

func TestReadFileErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	tr := tree.Tree{Name: "x", Entries: []tree.Entry{
		{Path: "big", Type: tree.Regular, Size: 1 << 30},
		{Path: "short", Type: tree.Regular, Size: 10, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("123")), nil }},
		{Path: "shut", Type: tree.Regular, Size: 1, Open: func() (io.ReadCloser, error) { return nil, broken }},
	}}
	for _, p := range []string{"big", "short", "shut"} {
		if _, err := tr.ReadFile(p); err == nil {
			t.Errorf("%s was read", p)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	tr := parse("bp", "LICENSE", "docs/", "docs/a.md", "docs/b.txt", "docs/sub/", "docs/sub/c.md", "first", "lib/", "lib/x/", "lib/x/y", "lib/z~first", "other/")
	for _, c := range []struct{ globs, want string }{
		{"lib/** LICENSE", "LICENSE lib/ lib/x/ lib/x/y lib/z=first"},
		{"lib", "lib/ lib/x/ lib/x/y lib/z=first"},
		{"./lib/", "lib/ lib/x/ lib/x/y lib/z=first"},
		{"lib/z first", "first lib/ lib/z~first"},
		{"docs/*.md", "docs/ docs/a.md"},
		{"**/*.md", "docs/ docs/a.md docs/sub/ docs/sub/c.md"},
		{"docs/*", "docs/ docs/a.md docs/b.txt docs/sub/"},
		{"{first,LIC*}", "LICENSE first"},
		{"[", ""},
		{"none/**", ""},
	} {
		if got := strings.Join(lines(t, tr.Match(strings.Fields(c.globs))), " "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.globs, got, c.want)
		}
	}
	for glob, ok := range map[string]bool{"lib/**": true, "a/../b": true, "[": false, "": false, "/x": false, "../x": false, "a/../../x": false} {
		if err := tree.CheckGlob(glob); (err == nil) != ok || err != nil && !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %v", glob, err)
		}
	}
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ base, over, want string }{
		{"b/ b/x c", "a b/ b/y=over", "a b/ b/x b/y=over c"},
		{"LICENSE bin/ bin/a", "bin/ bin/a=over", "LICENSE bin/ bin/a=over"},
		{"a/ a/x a/y", "a=file", "a=file"},
		{"a>elsewhere", "a/ a/x", "a/ a/x"},
		{"a", "a/x", "a/x"},
		{"f g~f", "f=over", "f=over g=f"},
		{"f g~f h~f", "f=over", "f=over g=f h~g"},
		{"z a~z", "m", "a=z m z~a"},
		{"x", "f g~f", "f g~f x"},
		{"p q~p", "r s~r", "p q~p r s~r"},
		{"a/ a/b a-b", "a.b", "a/ a/b a-b a.b"},
		{"", "a", "a"},
		{"a", "", "a"},
	} {
		tr := tree.Overlay(parse("base", strings.Fields(c.base)...), parse("over", strings.Fields(c.over)...))
		if got := strings.Join(lines(t, tr), " "); got != c.want {
			t.Errorf("%q over %q: got %q, want %q", c.over, c.base, got, c.want)
		}
		if !slices.IsSortedFunc(tr.Entries, func(a, b tree.Entry) int { return tree.CompareWalk(a.Path, b.Path) }) {
			t.Errorf("%q over %q: not in the order of a walk", c.over, c.base)
		}
	}
	if got := tree.Overlay(parse("base"), parse("over")).Name; got != "over" {
		t.Errorf("named %q", got)
	}
}

func TestWithout(t *testing.T) {
	t.Parallel()
	want(t, parse("bp", "a/", "a/b", "ab", "c~a/b", "d~a/b").Without("a"), "ab", "c=a/b", "d~c")
}

// Operations leave the tree that they start from alone.
func TestTreesAreImmutable(t *testing.T) {
	t.Parallel()
	before := []string{"a", "b~a", "d/", "d/c~a"}
	tr := parse("bp", before...)
	tr.Sub("d")
	tr.Match([]string{"d/**"})
	tree.Overlay(tr, parse("over", "a=x"))
	tree.Overlay(parse("base", "a=x"), tr)
	tr.Without("a")
	want(t, tr, before...)
}

// Invariants hold for whatever trees come: unique paths, hard links that name an
// earlier entry, contents that follow their name.
func FuzzOverlay(f *testing.F) {
	f.Add("a b/ b/c~a", "b d~b")
	f.Add("a/b/c", "a/b a~a/b")
	f.Fuzz(func(t *testing.T, base, over string) {
		for _, tr := range []tree.Tree{tree.Overlay(valid(base), valid(over)), valid(base).Match([]string{"b*", over}), valid(over).Without("a")} {
			seen := map[string]tree.Type{}
			for _, e := range tr.Entries {
				if _, ok := seen[e.Path]; ok {
					t.Fatalf("%q twice", e.Path)
				}
				if target, ok := seen[e.Link]; e.Type == tree.Hardlink && (!ok || target == tree.Dir || target == tree.Hardlink) {
					t.Fatalf("%q links to %q", e.Path, e.Link)
				}
				seen[e.Path] = e.Type
			}
		}
	})
}

// valid is the part of a fuzzed tree that is one.
func valid(s string) tree.Tree {
	t := parse("x", strings.Fields(s)...)
	seen, out := map[string]tree.Type{}, tree.Tree{Name: "x"}
	for _, e := range t.Entries {
		target, ok := seen[e.Link]
		if !fs.ValidPath(e.Path) || path.Clean(e.Path) != e.Path || e.Path == "." {
			continue
		}
		if _, dup := seen[e.Path]; dup || e.Type == tree.Hardlink && (!ok || target == tree.Dir || target == tree.Hardlink) {
			continue
		}
		seen[e.Path] = e.Type
		out.Entries = append(out.Entries, e)
	}
	return out
}

func ExampleCompareWalk() {
	paths := []string{"a-b", "a/b", "a", "a.b"}
	slices.SortFunc(paths, tree.CompareWalk)
	fmt.Println(paths)
	// Output: [a a/b a-b a.b]
}
