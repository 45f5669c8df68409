package fsx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Link makes path a hard link to the existing file, in place of what is at
// path. Errors wrap the system's; syscall.EXDEV and errors.ErrUnsupported mean
// that these two places cannot share, and the caller copies instead.
func (f FS) Link(existing, path string) error {
	temp := tempPath(path)
	if err := f.ask(StepLink, path); err != nil {
		return fmt.Errorf("linking '%s': %w", path, err)
	}
	if err := os.Link(existing, temp); err != nil {
		return fmt.Errorf("linking '%s': %w", path, bare(err))
	}
	err := f.ask(StepRename, path)
	if err == nil {
		err = os.Rename(temp, path)
	}
	// A rename between two links of one file does nothing, by POSIX, and leaves
	// the temporary name; so does a failed one.
	if _, gone := os.Lstat(temp); gone == nil {
		if e := f.ask(StepRemove, temp); e == nil {
			_ = os.Remove(temp)
		}
	}
	if err != nil {
		return fmt.Errorf("linking '%s': %w", path, bare(err))
	}
	return f.SyncDir(filepath.Dir(path))
}

// RemoveTree takes the directory at path away in one step (it gets a temporary
// name) and then deletes what is in it. A crash leaves all of it, or a
// temporary name that Sweep deletes. What is not there is no error.
func (f FS) RemoveTree(path string) error {
	temp := tempPath(path)
	if err := f.ask(StepRename, path); err != nil {
		return fmt.Errorf("removing '%s': %w", path, err)
	}
	if err := os.Rename(path, temp); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("removing '%s': %w", path, bare(err))
	}
	if err := f.SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := f.ask(StepRemove, temp); err != nil {
		return fmt.Errorf("removing '%s': %w", path, err)
	}
	if err := os.RemoveAll(temp); err != nil {
		return fmt.Errorf("removing '%s': %w", path, bare(err))
	}
	return nil
}

// Sweep deletes temporary files and trees in dir (not below it) that were last
// changed before the given time: what writers left that were killed. A dir
// that is not there is no error. The number of names deleted is given back.
func (f FS) Sweep(dir string, before time.Time) (int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("sweeping '%s': %w", dir, bare(err))
	}
	n := 0
	var errs []error
	for _, e := range entries {
		if !IsTemp(e.Name()) {
			continue
		}
		info, err := e.Info()
		if err != nil || !info.ModTime().Before(before) {
			continue // gone already, or its writer may be alive
		}
		path := filepath.Join(dir, e.Name())
		if err := f.ask(StepRemove, path); err != nil {
			errs = append(errs, fmt.Errorf("removing '%s': %w", path, err))
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			errs = append(errs, fmt.Errorf("removing '%s': %w", path, bare(err)))
			continue
		}
		n++
	}
	return n, errors.Join(errs...)
}
