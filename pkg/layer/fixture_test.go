//go:build unix

package layer_test

import (
	"archive/tar"
	"compress/gzip"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/multipack/multipack/pkg/tree"
	"github.com/multipack/multipack/pkg/tree/load"
)

// noise is n bytes that never change: half of them compressible text, half not.
func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 42))
	out := make([]byte, 0, n+64)
	for len(out) < n {
		if r.Uint32()%2 == 0 {
			out = append(out, "the quick brown fox jumps over the lazy dog, again and again\n"...)
			continue
		}
		for range 32 {
			out = append(out, byte(r.Uint32()))
		}
	}
	return out[:n]
}

type folder struct {
	t    testing.TB
	root string
}

func (f folder) file(name string, mode fs.FileMode, data []byte) {
	f.t.Helper()
	p := filepath.Join(f.root, name)
	must(f.t, os.MkdirAll(filepath.Dir(p), 0o755))
	must(f.t, os.WriteFile(p, data, 0o600))
	must(f.t, os.Chmod(p, mode))
}

func (f folder) dir(name string, mode fs.FileMode) {
	f.t.Helper()
	p := filepath.Join(f.root, name)
	must(f.t, os.MkdirAll(p, 0o755))
	must(f.t, os.Chmod(p, mode))
}

func (f folder) symlink(text, name string) {
	f.t.Helper()
	must(f.t, os.Symlink(text, filepath.Join(f.root, name)))
}

func (f folder) link(old, name string) {
	f.t.Helper()
	must(f.t, os.Link(filepath.Join(f.root, old), filepath.Join(f.root, name)))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const descriptor = `api = "0.10"

[buildpack]
id = "golden/fixture"
version = "1.2.3"

[[targets]]
os = "linux"
arch = "amd64"
`

// fixture is a folder with everything that pack packages in its own way. Every
// name fits where pack can package it.
func fixture(t testing.TB) string {
	f := folder{t, filepath.Join(t.TempDir(), "bp")}
	f.file("buildpack.toml", 0o644, []byte(descriptor))
	f.file("package.toml", 0o644, []byte("[buildpack]\nuri = \".\"\n"))
	f.file("bin/build", 0o644, []byte("#!/bin/sh\n")) // executable by its name
	f.file("bin/detect", 0o755, []byte("#!/bin/sh\n"))
	f.file("bin/generate", 0o600, []byte("#!/bin/sh\n"))
	f.file("bin/other", 0o644, []byte("not to be run\n"))
	f.file("lib/bin/build", 0o644, []byte("not at the root\n"))
	f.file(".hidden", 0o600, []byte("hidden\n"))
	f.file(".git/config", 0o644, []byte("[core]\n"))
	f.file("only-other", 0o701, []byte("anybody may run it\n"))
	f.file("setuid", 0o755|fs.ModeSetuid, []byte("setuid\n"))
	f.file("nothing", 0o644, nil)
	f.dir("empty", 0o700)
	f.dir("sticky", 0o777|fs.ModeSticky)
	f.file("a/b", 0o644, []byte("a/b\n"))
	f.file("a-b", 0o644, []byte("a-b\n")) // before "a/b" in plain string order
	f.file("a.b", 0o644, []byte("a.b\n"))
	f.symlink("/etc/passwd", "absolute")
	f.symlink("nowhere/at/all", "dangling")
	f.symlink("bin/build", "relative")
	f.symlink("../outside", "a/up")
	f.symlink(strings.Repeat("t", 130), "long-text")
	f.symlink("größe", "foreign-text")
	f.link("a-b", "hard")
	f.link("a-b", "a/hard")
	f.link("relative", "same-symlink")
	must(t, syscall.Mkfifo(filepath.Join(f.root, "pipe"), 0o640))
	f.file(strings.Repeat("d", 60)+"/"+strings.Repeat("e", 60)+"/f", 0o644, []byte("split\n"))
	f.file("long/"+strings.Repeat("n", 120), 0o644, []byte("pax\n"))
	f.file(strings.Repeat("p", 170)+"/x", 0o644, []byte("pax too\n"))
	f.file("ünïcode/名前.txt", 0o644, []byte("utf-8\n"))
	f.file("big.bin", 0o755, noise(1, 3<<20+12345))
	f.file("middle.bin", 0o644, noise(2, 200<<10))
	f.file("block.bin", 0o644, noise(3, 512))
	return f.root
}

// archive writes a tree as a tar; edit may change each header before it is written.
func archive(t testing.TB, name string, tr tree.Tree, edit func(*tar.Header)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	out, err := os.Create(path)
	must(t, err)
	var w interface {
		Write([]byte) (int, error)
		Close() error
	} = out
	if strings.HasSuffix(name, "gz") {
		w = gzip.NewWriter(out)
	}
	tw := tar.NewWriter(w)
	for _, e := range tr.Entries {
		h := &tar.Header{Name: e.Path, Mode: int64(e.Mode), Linkname: e.Link, Size: e.Size, ModTime: time.Unix(1700000000, 0)}
		h.Typeflag = map[tree.Type]byte{tree.Regular: tar.TypeReg, tree.Dir: tar.TypeDir, tree.Symlink: tar.TypeSymlink,
			tree.Hardlink: tar.TypeLink, tree.Fifo: tar.TypeFifo}[e.Type]
		if edit != nil {
			edit(h)
		}
		must(t, tw.WriteHeader(h))
		if e.Type == tree.Regular && e.Size > 0 {
			data, err := tr.ReadFile(e.Path)
			must(t, err)
			_, err = tw.Write(data)
			must(t, err)
		}
	}
	must(t, tw.Close())
	must(t, w.Close())
	if w != out {
		must(t, out.Close())
	}
	return path
}

func open(t testing.TB, path string) tree.Tree {
	t.Helper()
	l, err := load.Open(t.Context(), path, load.Options{Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	return l.Tree
}
