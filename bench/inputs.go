package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// programs are what the Go toolchain has, or builds, for every architecture:
// about 80 MB of real machine code.
func programs() []string {
	return []string{"compile", "go", "link", "vet", "fix", "asm", "cover", "cgo"}
}

// realBinaries gives Linux programs for amd64 and arm64. The toolchain's own
// are taken where they fit; others are compiled and kept in the user's cache
// folder.
func realBinaries(ctx context.Context) (map[string][]string, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("asking for GOROOT: %w", err)
	}
	goroot := strings.TrimSpace(string(root))
	out := map[string][]string{}
	for _, arch := range []string{"amd64", "arm64"} {
		places := []string{filepath.Join(goroot, "pkg", "tool", "linux_"+arch), filepath.Join(goroot, "bin")}
		if runtime.GOOS != "linux" || runtime.GOARCH != arch {
			cache, err := crossCompiled(ctx, arch)
			if err != nil {
				return nil, err
			}
			places = []string{cache}
		}
		for _, name := range programs() {
			for _, place := range places {
				if _, err := os.Stat(filepath.Join(place, name)); err == nil {
					out[arch] = append(out[arch], filepath.Join(place, name))
				}
			}
		}
		if len(out[arch]) == 0 {
			return nil, fmt.Errorf("collecting binaries: none for linux/%s in %s", arch, strings.Join(places, ", "))
		}
	}
	return out, nil
}

// crossCompiled builds the programs for an architecture, where they are not up
// to date yet, and gives their folder.
func crossCompiled(ctx context.Context, arch string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "multipack-bench", "linux_"+arch)
	args := []string{"build", "-trimpath", "-o", dir + string(filepath.Separator)}
	for _, name := range programs() {
		args = append(args, "cmd/"+name)
	}
	c := exec.CommandContext(ctx, "go", args...)
	c.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compiling binaries for linux/%s: %w: %s", arch, err, strings.TrimSpace(string(out)))
	}
	return dir, nil
}

// pool gives the bytes of files, one after the other and again from the start,
// as many as are asked for.
type pool struct {
	files []string
	next  int
	open  *os.File
}

// at opens a pool that starts offset bytes into the files.
func at(files []string, offset int64) (*pool, error) {
	p := &pool{files: files}
	if _, err := io.CopyN(io.Discard, p, offset); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// Read reads across the files' ends.
func (p *pool) Read(b []byte) (int, error) {
	for {
		if p.open == nil {
			f, err := os.Open(p.files[p.next%len(p.files)])
			if err != nil {
				return 0, err
			}
			p.open = f
			p.next++
		}
		n, err := p.open.Read(b)
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		if err := p.close(); err != nil {
			return 0, err
		}
	}
}

func (p *pool) close() error {
	if p.open == nil {
		return nil
	}
	err := p.open.Close()
	p.open = nil
	return err
}

// cut writes the next n bytes of the pool to a file.
func (p *pool) cut(path string, n int64) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, p, n)
	return errors.Join(err, f.Close())
}

// copyBinaries copies files into dir until it holds n bytes; the last one is
// cut to fit, and they start over under other names where they are too few.
func copyBinaries(dir string, files []string, n int64) error {
	for i := 0; n > 0; i++ {
		path := files[i%len(files)]
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		p := &pool{files: []string{path}}
		part := min(n, info.Size())
		err = errors.Join(p.cut(filepath.Join(dir, fmt.Sprintf("%02d-%s", i, filepath.Base(path))), part), p.close())
		if err != nil {
			return err
		}
		n -= part
	}
	return nil
}

// warm reads the programs and the binaries once, so that they are in the page
// cache. Inputs that the benchmark writes are there anyway.
func (l *lab) warm() error {
	var paths []string
	for _, t := range l.tools {
		if t.Path != "" {
			paths = append(paths, t.Path)
		}
	}
	for _, files := range l.binaries {
		paths = append(paths, files...)
	}
	slices.Sort(paths)
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}
