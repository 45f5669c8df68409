//go:build unix

package load_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/tree"
	"github.com/multipack/multipack/pkg/tree/load"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, file, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, []byte(content), 0o644))
}

func open(t testing.TB, uri string, o load.Options) *load.Loaded {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	l, err := load.Open(t.Context(), uri, o)
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	return l
}

// list is a tree in words, contents included.
func list(t testing.TB, tr tree.Tree) []string {
	t.Helper()
	var out []string
	for _, e := range tr.Entries {
		s := fmt.Sprintf("%s %s %o", e.Path, e.Type, uint32(e.Mode))
		if e.Link != "" {
			s += " -> " + e.Link
		}
		if e.Type == tree.Regular {
			data, err := tr.ReadFile(e.Path)
			must(t, err)
			s += " " + string(data)
		}
		out = append(out, s)
	}
	return out
}

func same(t testing.TB, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func wantError(t testing.TB, err error, kind fault.Kind, parts ...string) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("got %v, want a %s error", err, kind)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	// Names of sockets are short: no folder below the test's.
	root, err := os.MkdirTemp("", "ld")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(root)) })
	write(t, root+"/b", "b")
	write(t, root+"/a/b", "a/b")
	write(t, root+"/a-b", "a-b")
	must(t, os.Mkdir(root+"/empty", 0o700))
	must(t, os.Chmod(root+"/b", 0o4751))
	must(t, os.Link(root+"/a/b", root+"/c"))
	must(t, os.Symlink("/not/here", root+"/link"))
	must(t, syscall.Mkfifo(root+"/pipe", 0o600))
	must(t, os.Chmod(root+"/pipe", 0o622))
	socket, err := net.Listen("unix", root+"/socket")
	must(t, err)
	defer socket.Close()

	want := []string{
		"a directory 755", "a/b file 644 a/b", "a-b file 644 a-b", "b file 751 b",
		"c hard link 644 -> a/b", "empty directory 700", "link symbolic link 777 -> /not/here", "pipe named pipe 622",
	}
	l := open(t, root, load.Options{})
	same(t, list(t, l.Tree), want)
	if !l.Folder {
		t.Error("a folder is not known as one")
	}
	same(t, list(t, open(t, "file://"+root, load.Options{}).Tree), want)
	same(t, list(t, open(t, "file://localhost"+strings.ReplaceAll(root, "l", "%6c"), load.Options{}).Tree), want)

	linked := filepath.Join(t.TempDir(), "linked")
	must(t, os.Symlink(root, linked))
	same(t, list(t, open(t, linked, load.Options{}).Tree), want)
}

// A folder's order is that of filepath.Walk, and of tree.CompareWalk.
func TestFolderOrder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, p := range []string{"a/z/1", "a!", "a/b", "a0", "B", "a.d/x", "é", "_", "a/b-c", "a/b.d/e"} {
		write(t, filepath.Join(root, p), p)
	}
	var want []string
	must(t, filepath.Walk(root, func(p string, _ os.FileInfo, err error) error {
		if p != root {
			want = append(want, p[len(root)+1:])
		}
		return err
	}))
	var got []string
	for _, e := range open(t, root, load.Options{}).Tree.Entries {
		got = append(got, e.Path)
	}
	same(t, got, want)
	if !slices.IsSortedFunc(got, tree.CompareWalk) {
		t.Error("CompareWalk has another order")
	}
}

func TestErrorsOfPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/text", strings.Repeat("this is no tar\n", 100))
	write(t, dir+"/empty.tgz", "")
	write(t, dir+"/x.zip", "PK\x03\x04 and so on")
	write(t, dir+"/bad.tgz", "\x1f\x8b\x08 and so on, but no gzip")
	for uri, kind := range map[string]fault.Kind{
		dir + "/missing":             fault.NotFound,
		"file://" + dir + "/missing": fault.NotFound,
		"file://elsewhere/x":         fault.Usage,
		"ftp://example.com/x.tgz":    fault.Usage,
		"docker://example.com/x":     fault.Usage,
		dir + "/text":                fault.Failed,
		dir + "/empty.tgz":           fault.Failed,
		dir + "/x.zip":               fault.Failed,
		dir + "/bad.tgz":             fault.Failed,
		"/dev/null":                  fault.Failed,
	} {
		_, err := load.Open(t.Context(), uri, load.Options{Dir: dir})
		wantError(t, err, kind, "'"+uri+"'")
	}
	left, err := filepath.Glob(dir + "/multipack-*")
	must(t, err)
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, root+"/dir/file", "x")
	l := open(t, root, load.Options{})
	must(t, os.Chmod(root+"/dir", 0))
	t.Cleanup(func() { must(t, os.Chmod(root+"/dir", 0o755)) })
	if _, err := os.ReadDir(root + "/dir"); err == nil {
		t.Skip("this user may read everything")
	}
	_, err := load.Open(t.Context(), root, load.Options{})
	wantError(t, err, fault.Failed, "'"+root+"/dir'", "permission denied")
	_, err = l.Tree.ReadFile("dir/file")
	wantError(t, err, fault.Failed, "'"+root+"/dir/file'", "permission denied")
}

func TestFilesThatChange(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(file string) error{
		"longer":    func(f string) error { return os.WriteFile(f, []byte("longer than before"), 0o644) },
		"shorter":   func(f string) error { return os.Truncate(f, 1) },
		"rewritten": func(f string) error { return os.Chtimes(f, time.Unix(1, 1), time.Unix(1, 1)) },
		"a link":    func(f string) error { return errors.Join(os.Remove(f), os.Symlink("/etc/passwd", f)) },
		"a pipe":    func(f string) error { return errors.Join(os.Remove(f), syscall.Mkfifo(f, 0o644)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "file")
			write(t, file, "content")
			l := open(t, filepath.Dir(file), load.Options{})
			must(t, change(file))
			_, err := l.Tree.ReadFile("file")
			wantError(t, err, fault.Failed, "'"+file+"'")
		})
	}
	t.Run("while read", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "file")
		write(t, file, strings.Repeat("content", 10000))
		rc, err := open(t, filepath.Dir(file), load.Options{}).Tree.Entries[0].Open()
		must(t, err)
		defer rc.Close()
		_, err = io.ReadFull(rc, make([]byte, 10))
		must(t, err)
		must(t, os.Truncate(file, 20))
		_, err = io.ReadAll(rc)
		wantError(t, err, fault.Failed, "'"+file+"'", "changed")
	})
}

// pack is a tar of the headers, each with its name as content if it is a file.
func pack(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content = h.Name + h.Uname
			h.Size = int64(len(content))
		}
		if h.Mode == 0 && h.Typeflag != tar.TypeXGlobalHeader {
			h.Mode = 0o644
		}
		must(t, w.WriteHeader(&h))
		_, err := io.WriteString(w, content)
		must(t, err)
	}
	must(t, w.Close())
	return buf.Bytes()
}

func reg(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name} }
func dir(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755} }
func link(name, to string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to}
}

func openTar(t testing.TB, data []byte) (*load.Loaded, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.tar")
	must(t, os.WriteFile(file, data, 0o644))
	l, err := load.Open(t.Context(), file, load.Options{Dir: t.TempDir()})
	if err == nil {
		t.Cleanup(func() { must(t, l.Close()) })
	}
	return l, err
}

func TestArchiveIsReadAsItIs(t *testing.T) {
	t.Parallel()
	second := reg("dup")
	second.Uname = " again"
	data := pack(t,
		tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "abc"}},
		dir("./"), reg("z"), reg("implied/file"), reg("/absolute/../root"), dir("later/"), reg("./later/./x"),
		reg("dup"), link("other", "./dup"), link("third", "other"), link("z2", "/z"), second, dir("later"),
		tar.Header{Typeflag: tar.TypeSymlink, Name: "sym", Linkname: "../../etc", Mode: 0o777},
		tar.Header{Typeflag: tar.TypeFifo, Name: "fifo"},
		tar.Header{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3},
	)
	want := []string{
		"z file 644 z", "implied/file file 644 implied/file", "root file 644 /absolute/../root", "later directory 755",
		"later/x file 644 ./later/./x", "other file 644 dup", "third hard link 644 -> other", "z2 hard link 644 -> z", "dup file 644 dup again",
		"sym symbolic link 777 -> ../../etc", "fifo named pipe 644", "null device 644",
	}
	l, err := openTar(t, data)
	must(t, err)
	same(t, list(t, l.Tree), want)
	if e, _ := l.Tree.Lookup("null"); e.Major != 1 || e.Minor != 3 {
		t.Errorf("device %d:%d", e.Major, e.Minor)
	}
	ids := map[string]bool{}
	for _, e := range l.Tree.Entries {
		if e.Type == tree.Regular {
			ids[e.ID] = true
		}
	}
	if len(ids) != 6 || ids[""] {
		t.Errorf("identities: %v", ids)
	}
}

func TestCompressedArchives(t *testing.T) {
	t.Parallel()
	data := pack(t, dir("a"), reg("a/b"), reg("c"))
	want := []string{"a directory 755", "a/b file 644 a/b", "c file 644 c"}
	var zipped, zst bytes.Buffer
	g := gzip.NewWriter(&zipped)
	_, err := g.Write(data)
	must(t, errors.Join(err, g.Close()))
	z, err := zstd.NewWriter(&zst)
	must(t, err)
	_, err = z.Write(data)
	must(t, errors.Join(err, z.Close()))
	for name, content := range map[string][]byte{"gzip": zipped.Bytes(), "zstd": zst.Bytes(), "plain": data} {
		spool, file := t.TempDir(), filepath.Join(t.TempDir(), "archive")
		must(t, os.WriteFile(file, content, 0o644))
		l, err := load.Open(t.Context(), file, load.Options{Dir: spool})
		must(t, err)
		for range 2 {
			same(t, list(t, l.Tree), want)
		}
		if raw, err := os.ReadFile(l.File); l.Folder || err != nil || !bytes.Equal(raw, content) {
			t.Errorf("%s: an archive is taken for a folder, or '%s' is not as it came: %v", name, l.File, err)
		}
		must(t, l.Close())
		left, err := os.ReadDir(spool)
		must(t, err)
		if len(left) != 0 {
			t.Errorf("%s: left behind: %v", name, left)
		}
		// A cut-off archive is an error, not a small tree.
		cut := len(content) / 2
		if name == "plain" {
			cut = 1024 + len("a/") // within the content of a/b
		}
		must(t, os.WriteFile(file, content[:cut], 0o644))
		_, err = load.Open(t.Context(), file, load.Options{Dir: spool})
		wantError(t, err, fault.Failed, "'"+file+"'")
	}
}

func TestMaliciousArchives(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		headers []tar.Header
		says    []string
	}{
		"parent":         {[]tar.Header{reg("../x")}, []string{"'../x'", "leaves"}},
		"hidden parent":  {[]tar.Header{reg("a/../../x")}, []string{"'a/../../x'", "leaves"}},
		"parent itself":  {[]tar.Header{dir("..")}, []string{"'..'", "leaves"}},
		"link out":       {[]tar.Header{link("x", "../../etc/passwd")}, []string{"'x'", "'../../etc/passwd'"}},
		"link nowhere":   {[]tar.Header{link("x", "y")}, []string{"'x'", "'y'"}},
		"link ahead":     {[]tar.Header{link("x", "y"), reg("y")}, []string{"'x'", "'y'"}},
		"link to folder": {[]tar.Header{dir("y"), link("x", "y")}, []string{"'x'", "'y'"}},
		"through a link": {[]tar.Header{{Typeflag: tar.TypeSymlink, Name: "s", Linkname: "/etc"}, reg("s/passwd")}, []string{"'s/passwd'", "symbolic link"}},
		"below a file":   {[]tar.Header{reg("f"), reg("f/x")}, []string{"'f/x'", "'f'"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := openTar(t, pack(t, c.headers...))
			wantError(t, err, fault.Failed, append(c.says, "x.tar'")...)
		})
	}
}

func TestPlainArchiveThatChanges(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.tar")
	must(t, os.WriteFile(file, pack(t, reg("a")), 0o644))
	l := open(t, file, load.Options{})
	must(t, os.WriteFile(file, pack(t, reg("a"), reg("b")), 0o644))
	_, err := l.Tree.ReadFile("a")
	wantError(t, err, fault.Failed, "'"+file+"'", "changed")
}

func TestCancelledOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/folder/x", "x")
	must(t, os.WriteFile(dir+"/x.tar", pack(t, reg("a")), 0o644))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, uri := range []string{dir + "/folder", dir + "/x.tar", "http://127.0.0.1:1/x.tgz"} {
		_, err := load.Open(ctx, uri, load.Options{Dir: dir})
		wantError(t, err, fault.Interrupted, "'"+uri+"'")
	}
}

// A file with holes, as GNU tar writes it, is whole in the tree.
func TestSparseFileInArchive(t *testing.T) {
	t.Parallel()
	const hole = 100000
	data := pack(t, tar.Header{Typeflag: tar.TypeReg, Name: "sparse", Format: tar.FormatGNU}, reg("after"))
	head := data[:512]
	head[156] = tar.TypeGNUSparse
	octal := func(at int, n int64) { copy(head[at:], fmt.Sprintf("%011o\x00", n)) }
	octal(386, hole) // the only data: its place and length
	octal(398, int64(len("sparse")))
	octal(483, hole+int64(len("sparse"))) // the real size
	copy(head[148:], "        ")
	sum := int64(0)
	for _, b := range head {
		sum += int64(b)
	}
	copy(head[148:], fmt.Sprintf("%06o\x00 ", sum))
	l, err := openTar(t, data)
	must(t, err)
	got, err := l.Tree.ReadFile("sparse")
	must(t, err)
	if want := append(make([]byte, hole), "sparse"...); !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, want %d with a hole", len(got), len(want))
	}
	same(t, list(t, l.Tree)[1:], []string{"after file 644 after"})
}
