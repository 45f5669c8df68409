package tarfile_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing"

	"github.com/multipack/multipack/pkg/ocilayout/tarfile"
)

func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		content := []byte(nil)
		if h.Typeflag == tar.TypeReg {
			content = []byte("content of " + h.Name)
		}
		h.Size, h.Mode = int64(len(content)), 0o644
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

var sample = []tar.Header{
	{Name: "/slash", Typeflag: tar.TypeReg},
	{Name: "./dot", Typeflag: tar.TypeReg},
	{Name: "../../up", Typeflag: tar.TypeReg},
	{Name: "dir/", Typeflag: tar.TypeDir},
	{Name: "dir/soft", Linkname: "../slash", Typeflag: tar.TypeSymlink},
	{Name: "dir/hard", Linkname: "/dot", Typeflag: tar.TypeLink},
	{Name: "dir/abs", Linkname: "/dir/soft", Typeflag: tar.TypeSymlink},
	{Name: "loop1", Linkname: "loop2", Typeflag: tar.TypeSymlink},
	{Name: "loop2", Linkname: "loop1", Typeflag: tar.TypeSymlink},
	{Name: "dangling", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink},
}

func TestNames(t *testing.T) {
	t.Parallel()
	f, err := tarfile.Spool(t.Context(), bytes.NewReader(archive(t, sample...)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, want := range map[string]string{
		"slash": "/slash", "/slash": "/slash", "dot": "./dot", "up": "../../up",
		"dir/soft": "/slash", "dir/hard": "./dot", "dir/abs": "/slash", "dir/../slash": "/slash",
	} {
		got, err := f.ReadFile(name, 100)
		if err != nil || string(got) != "content of "+want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"dir", "none", "loop1", "dangling", ""} {
		if f.Has(name) {
			t.Errorf("%q is a file", name)
		}
	}
	if _, _, err := f.Open("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := f.ReadFile("slash", 3); err == nil {
		t.Error("the limit was ignored")
	}
}

// FuzzSpool: no input may do more than fail.
func FuzzSpool(f *testing.F) {
	whole := archive(f, sample...)
	f.Add(whole)
	f.Add(whole[:700])
	f.Add([]byte{0x1f, 0x8b, 8})
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := tarfile.Spool(t.Context(), bytes.NewReader(data))
		if err != nil {
			return
		}
		defer file.Close()
		for _, name := range []string{"slash", "dir/abs", "loop1", "index.json"} {
			if rc, size, err := file.Open(name); err == nil {
				if n, err := io.Copy(io.Discard, rc); err != nil || n != size {
					t.Errorf("%s: %d of %d bytes, %v", name, n, size, err)
				}
			}
		}
	})
}
