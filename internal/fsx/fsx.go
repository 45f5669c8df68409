// Package fsx writes files so that a crash at any moment, of the process or of
// the machine, leaves either what was there before or all of what is new:
// temporary file in the same directory, write, fsync, rename, fsync of the
// directory. It is the only package that renames.
package fsx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// The steps that a Hook is asked about, in the words of the system calls.
const (
	StepRead    = "read"
	StepMkdir   = "mkdir"
	StepCreate  = "create"
	StepWrite   = "write"
	StepSync    = "sync"
	StepClose   = "close"
	StepLink    = "link"
	StepRename  = "rename"
	StepSyncDir = "syncdir"
	StepRemove  = "remove"
)

// Hook is asked before each step that changes the disk, and before a file is read. When it gives an error
// the step is not done and the operation fails with that error; a hook that
// refuses every step after the n-th leaves the disk as a crash there would.
type Hook func(step, path string) error

// FS is where files are written. The zero value is the operating system's.
type FS struct {
	// Hook is for tests that inject failures; nil lets every step happen.
	Hook Hook
	// Volatile leaves out every fsync. Files still appear whole or not at all to
	// other processes, but a crash of the machine may lose or tear them: for what
	// is verified when it is read, and only costs time when it is gone.
	Volatile bool
}

func (f FS) ask(step, path string) error {
	if f.Hook == nil {
		return nil
	}
	return f.Hook(step, path)
}

// WriteFile replaces the file at path by data, as FS.WriteFile does.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	return FS{}.WriteFile(path, data, perm)
}

// Create starts the replacement of the file at path, as FS.Create does.
func Create(path string) (*Temp, error) { return FS{}.Create(path) }

// MkdirAll creates directories, as FS.MkdirAll does.
func MkdirAll(path string, perm fs.FileMode) error { return FS{}.MkdirAll(path, perm) }

// SyncDir makes the entries of a directory durable, as FS.SyncDir does.
func SyncDir(dir string) error { return FS{}.SyncDir(dir) }

// WriteFile replaces the file at path by data in one step: a reader sees the
// old content or the new, never a part. perm is that of a new file before the
// umask. A symbolic link is followed; a device or pipe is written in place.
// Errors name path and wrap the system's (fs.ErrPermission, syscall.ENOSPC…).
func (f FS) WriteFile(path string, data []byte, perm fs.FileMode) error {
	t, err := f.create(path, perm)
	if err != nil {
		return err
	}
	if _, err := t.Write(data); err != nil {
		return errors.Join(err, t.Abort())
	}
	return t.Commit()
}

// ReadFile is os.ReadFile. Errors name path and wrap the system's.
func (f FS) ReadFile(path string) ([]byte, error) {
	if err := f.ask(StepRead, path); err != nil {
		return nil, fmt.Errorf("reading '%s': %w", path, err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading '%s': %w", path, bare(err))
	}
	return data, nil
}

// MkdirAll creates the directory at path and those above it that are missing,
// and makes each new name durable. An existing directory is no error and costs
// one look.
func (f FS) MkdirAll(path string, perm fs.FileMode) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("creating directory '%s': %w", path, syscall.ENOTDIR)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("creating directory '%s': %w", path, bare(err))
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := f.MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := f.ask(StepMkdir, path); err != nil {
		return fmt.Errorf("creating directory '%s': %w", path, err)
	}
	if err := os.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("creating directory '%s': %w", path, bare(err))
	}
	return f.SyncDir(parent)
}

// SyncDir makes the entries of dir (names created, renamed, removed) durable.
// File systems that cannot do so, and Windows, are no error. A volatile FS does
// nothing.
func (f FS) SyncDir(dir string) error {
	if f.Volatile {
		return nil
	}
	if err := f.ask(StepSyncDir, dir); err != nil {
		return fmt.Errorf("syncing directory '%s': %w", dir, err)
	}
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing directory '%s': %w", dir, bare(err))
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	if err = errors.Join(err, d.Close()); err != nil {
		return fmt.Errorf("syncing directory '%s': %w", dir, bare(err))
	}
	return nil
}

// Remove deletes the file at path and makes that durable. A file that is not
// there is no error.
func (f FS) Remove(path string) error {
	if err := f.ask(StepRemove, path); err != nil {
		return fmt.Errorf("removing '%s': %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("removing '%s': %w", path, bare(err))
	}
	return f.SyncDir(filepath.Dir(path))
}

// bare is the system's reason alone: the path that os errors carry is that of
// a temporary file, or said already.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.Err
	}
	return err
}
