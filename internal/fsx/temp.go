package fsx

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tempPrefix starts the names of temporary files and of trees being removed.
const tempPrefix = ".multipack-tmp-"

// IsTemp reports whether name (the last element of a path) is one that this
// package gives to temporary files.
func IsTemp(name string) bool { return strings.HasPrefix(name, tempPrefix) }

// tempPath is a fresh temporary name in the directory of path.
func tempPath(path string) string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	return filepath.Join(filepath.Dir(path), tempPrefix+hex.EncodeToString(b[:]))
}

// Temp is a file being written that takes its final name when it is committed.
// Exactly one of Commit and Abort ends it; Abort after Commit does nothing, so
// that it can be deferred. Not for concurrent use.
type Temp struct {
	fs   FS
	file *os.File
	temp string // "" when path itself is written: a device or a pipe
	path string
	done bool
}

// Create starts a file that Commit puts at path, in place of what is there.
// The directory must exist. A symbolic link is followed; a device or pipe is
// written in place. Errors name path.
func (f FS) Create(path string) (*Temp, error) { return f.create(path, 0o666) }

func (f FS) create(path string, perm fs.FileMode) (*Temp, error) {
	path, inPlace, err := destination(path)
	if err != nil {
		return nil, fmt.Errorf("writing '%s': %w", path, bare(err))
	}
	t := &Temp{fs: f, path: path}
	if !inPlace {
		t.temp = tempPath(path)
	}
	if err := f.ask(StepCreate, path); err != nil {
		return nil, fmt.Errorf("writing '%s': %w", path, err)
	}
	if inPlace {
		t.file, err = os.OpenFile(path, os.O_WRONLY, 0)
	} else {
		t.file, err = os.OpenFile(t.temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	}
	if err != nil {
		return nil, fmt.Errorf("writing '%s': %w", path, bare(err))
	}
	return t, nil
}

// destination follows a symbolic link at path and says whether what is there
// is something that must be written in place, not replaced.
func destination(path string) (final string, inPlace bool, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, false, nil
	}
	if err != nil {
		return path, false, err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		resolved, err := filepath.EvalSymlinks(path)
		if errors.Is(err, fs.ErrNotExist) {
			return path, false, nil // dangling: the link itself is replaced
		}
		if err != nil {
			return path, false, err
		}
		path = resolved
		if info, err = os.Stat(path); err != nil {
			return path, false, err
		}
	}
	if info.IsDir() {
		return path, false, errors.New("it is a directory")
	}
	return path, !info.Mode().IsRegular(), nil
}

// Write appends to the temporary file.
func (t *Temp) Write(p []byte) (int, error) {
	if err := t.fs.ask(StepWrite, t.path); err != nil {
		return 0, fmt.Errorf("writing '%s': %w", t.path, err)
	}
	n, err := t.file.Write(p)
	if err != nil {
		return n, fmt.Errorf("writing '%s': %w", t.path, bare(err))
	}
	return n, nil
}

// Path is where Commit puts the file.
func (t *Temp) Path() string { return t.path }

// Commit makes the content durable (but not on a volatile FS) and gives the file its name. After an error
// nothing of it is left, except that an error of the directory's fsync leaves
// the file in place, complete.
func (t *Temp) Commit() error {
	if t.done {
		return fmt.Errorf("writing '%s': %w", t.path, fs.ErrClosed)
	}
	if err := t.commit(); err != nil {
		return errors.Join(fmt.Errorf("writing '%s': %w", t.path, bare(err)), t.Abort())
	}
	if t.temp == "" {
		return nil
	}
	return t.fs.SyncDir(filepath.Dir(t.path))
}

func (t *Temp) commit() error {
	if t.temp != "" && !t.fs.Volatile {
		if err := t.fs.ask(StepSync, t.path); err != nil {
			return err
		}
		if err := t.file.Sync(); err != nil {
			return err
		}
	}
	if err := t.fs.ask(StepClose, t.path); err != nil {
		return err
	}
	if err := t.file.Close(); err != nil {
		return err
	}
	if t.temp != "" {
		if err := t.fs.ask(StepRename, t.path); err != nil {
			return err
		}
		if err := os.Rename(t.temp, t.path); err != nil {
			return err
		}
	}
	t.done = true
	return nil
}

// Abort drops what was written and leaves what was at the path before.
func (t *Temp) Abort() error {
	if t.done {
		return nil
	}
	t.done = true
	_ = t.file.Close() // what it held is dropped anyway
	if t.temp == "" {
		return nil
	}
	if err := t.fs.ask(StepRemove, t.temp); err != nil {
		return fmt.Errorf("removing '%s': %w", t.temp, err)
	}
	if err := os.Remove(t.temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing '%s': %w", t.temp, bare(err))
	}
	return nil
}
