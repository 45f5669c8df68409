package fsx_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/multipack/multipack/internal/fsx"
)

var errCrash = errors.New("crash")

// crashAt refuses the n-th step and all after it, and counts the steps asked for.
func crashAt(n int, count *int) fsx.FS {
	return fsx.FS{Hook: func(string, string) error {
		*count++
		if *count > n {
			return errCrash
		}
		return nil
	}}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestWriteFileCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	for n := 0; ; n++ {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		if err := fsx.WriteFile(path, []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
		steps := 0
		err := crashAt(n, &steps).WriteFile(path, []byte("new content"), 0o644)
		got := read(t, path)
		if err == nil {
			if steps != n || n < 5 {
				t.Fatalf("%d steps, crash allowed after %d", steps, n)
			}
			if got != "new content" || len(names(t, dir)) != 1 {
				t.Fatalf("after success: %q in %v", got, names(t, dir))
			}
			break
		}
		if !errors.Is(err, errCrash) || !strings.Contains(err.Error(), "'"+path+"'") && !strings.Contains(err.Error(), "'"+dir+"'") {
			t.Errorf("crash after %d steps: error %q", n, err)
		}
		if got != "old" && got != "new content" {
			t.Errorf("crash after %d steps: neither old nor new: %q", n, got)
		}
		for _, name := range names(t, dir) {
			if name != "file" && !fsx.IsTemp(name) {
				t.Errorf("crash after %d steps: left %q", n, name)
			}
		}
		if _, err := (fsx.FS{}).Sweep(dir, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if left := names(t, dir); len(left) != 1 {
			t.Errorf("after the sweep: %v", left)
		}
	}
}

func TestFailedStepLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, step := range []string{fsx.StepCreate, fsx.StepWrite, fsx.StepSync, fsx.StepClose, fsx.StepRename} {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		f := fsx.FS{Hook: func(s, _ string) error {
			if s == step {
				return &fs.PathError{Op: s, Path: "elsewhere", Err: syscall.ENOSPC}
			}
			return nil
		}}
		err := f.WriteFile(path, []byte("x"), 0o644)
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", step, err)
		}
		if left := names(t, dir); len(left) != 0 {
			t.Errorf("%s: left %v", step, left)
		}
	}
}

func TestTempStreamsAndAborts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	tmp, err := fsx.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(tmp, "one ")
	fmt.Fprint(tmp, "two")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the name is there before the commit")
	}
	if n := names(t, dir); len(n) != 1 || !fsx.IsTemp(n[0]) {
		t.Errorf("while writing: %v", n)
	}
	if err := tmp.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := tmp.Abort(); err != nil {
		t.Errorf("Abort after Commit: %v", err)
	}
	if err := tmp.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("second Commit: %v", err)
	}
	if got := read(t, path); got != "one two" {
		t.Errorf("content %q", got)
	}
	tmp, err = fsx.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(tmp, "three")
	if err := tmp.Abort(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "one two" || len(names(t, dir)) != 1 {
		t.Errorf("after Abort: %q, %v", got, names(t, dir))
	}
}

func TestWritesThroughLinksAndIntoPipes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	link := filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("target", link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	if err := fsx.WriteFile(link, []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 || read(t, target) != "new" {
		t.Errorf("the link was replaced: %v %v", info, err)
	}
	if err := fsx.WriteFile(os.DevNull, []byte("gone"), 0o644); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatalf("the null device was replaced: %v %v", info, err)
	}
	if err := fsx.WriteFile(dir, []byte("x"), 0o644); err == nil {
		t.Error("a directory was overwritten")
	}
}

func TestErrorsNameThePath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "missing", "file")
	err := fsx.WriteFile(path, nil, 0o644)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "'"+path+"'") || strings.Contains(err.Error(), "tmp-") {
		t.Errorf("missing directory: %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := fsx.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := fsx.MkdirAll(filepath.Join(file, "sub"), 0o755); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("directory under a file: %v", err)
	}
	if _, err := (fsx.FS{}).ReadFile(path); !errors.Is(err, fs.ErrNotExist) || strings.Count(err.Error(), path) != 1 {
		t.Errorf("reading: %v", err)
	}
}

func TestMkdirAllSyncsOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var steps []string
	f := fsx.FS{Hook: func(step, path string) error {
		rel, _ := filepath.Rel(dir, path)
		steps = append(steps, step+" "+filepath.ToSlash(rel))
		return nil
	}}
	if err := f.MkdirAll(filepath.Join(dir, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(steps, ", "); got != "mkdir a, syncdir ., mkdir a/b, syncdir a" {
		t.Errorf("steps: %s", got)
	}
	steps = nil
	if err := f.MkdirAll(filepath.Join(dir, "a", "b"), 0o755); err != nil || len(steps) != 0 {
		t.Errorf("second time: %v, %v", steps, err)
	}
}

func TestVolatileFilesAreWholeButNotSynced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var steps []string
	f := fsx.FS{Volatile: true, Hook: func(step, _ string) error {
		steps = append(steps, step)
		return nil
	}}
	if err := f.MkdirAll(filepath.Join(dir, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteFile(filepath.Join(dir, "a", "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(steps, ", "); got != "mkdir, create, write, close, rename" {
		t.Errorf("steps: %s", got)
	}
}

func TestLinkReplaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for path, text := range map[string]string{a: "A", b: "torn"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time both are one file already
		if err := (fsx.FS{}).Link(a, b); err != nil {
			t.Skip("no hard links here:", err)
		}
		if read(t, b) != "A" || len(names(t, dir)) != 2 {
			t.Errorf("%q in %v", read(t, b), names(t, dir))
		}
	}
	if err := (fsx.FS{}).Link(filepath.Join(dir, "none"), b); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("link to nothing: %v", err)
	}
}

func TestRemoveTreeCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	for n := 0; ; n++ {
		dir := t.TempDir()
		tree := filepath.Join(dir, "tree")
		for _, name := range []string{"x", "y"} {
			if err := os.MkdirAll(filepath.Join(tree, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		steps := 0
		err := crashAt(n, &steps).RemoveTree(tree)
		if left := names(t, dir); err == nil {
			if len(left) != 0 || n < 2 {
				t.Errorf("%d steps left %v", n, left)
			}
			break
		} else if _, e := os.Stat(tree); e == nil && len(names(t, tree)) != 2 {
			t.Errorf("crash after %d steps: half a tree", n)
		}
		if _, err := (fsx.FS{}).Sweep(dir, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if left := names(t, dir); len(left) > 1 || len(left) == 1 && left[0] != "tree" {
			t.Errorf("after the sweep: %v", left)
		}
	}
	if err := (fsx.FS{}).RemoveTree(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("a tree that is not there: %v", err)
	}
}

func TestSweepSparesTheYoungAndTheOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tmp, err := fsx.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer tmp.Abort()
	if err := os.WriteFile(filepath.Join(dir, "other.tmp"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := (fsx.FS{}).Sweep(dir, time.Now().Add(-time.Hour)); n != 0 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	if n, err := (fsx.FS{}).Sweep(dir, time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	if left := names(t, dir); len(left) != 1 || left[0] != "other.tmp" {
		t.Errorf("left %v", left)
	}
	if n, err := (fsx.FS{}).Sweep(filepath.Join(dir, "none"), time.Now()); n != 0 || err != nil {
		t.Errorf("no directory: %d, %v", n, err)
	}
}
