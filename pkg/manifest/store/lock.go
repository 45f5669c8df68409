package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-containerregistry/pkg/name"
)

// retryLock is how often a lock that another process holds is tried again.
const retryLock = 10 * time.Millisecond

// locked runs fn while no other process changes the list. The lock is one of
// the operating system, beside the folder: it ends with its holder, however
// that ends.
func (s *Store) locked(ctx context.Context, tag name.Tag, fn func(dir string) error) error {
	dir := s.dir(tag)
	if err := s.o.FS.MkdirAll(s.lists(), 0o777); err != nil {
		return err
	}
	unlock, err := s.lock(ctx, dir+lockSuffix)
	if err != nil {
		return err
	}
	return errors.Join(fn(dir), unlock())
}

// lock takes the lock file at path, and waits for it as long as ctx allows.
// The file is deleted while it is still held; whoever waited for the deleted
// file sees that it is not the one on disk any more and takes that.
func (s *Store) lock(ctx context.Context, path string) (unlock func() error, err error) {
	told := false
	for {
		l := flock.New(path, flock.SetPermissions(0o666))
		ok, err := l.TryLock()
		if err == nil && !ok {
			if !told {
				told = true
				s.o.Waiting(path)
			}
			_, err = l.TryLockContext(ctx, retryLock)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("locking '%s': %w", path, err), l.Close())
		}
		if current(l, path) {
			return func() error {
				_ = os.Remove(path) // what cannot be deleted is used again
				return l.Close()
			}, nil
		}
		if err := l.Close(); err != nil {
			return nil, fmt.Errorf("locking '%s': %w", path, err)
		}
	}
}

// current reports whether the lock held is the file that is at path now.
func current(l *flock.Flock, path string) bool {
	held, err := l.Stat()
	if err != nil {
		return false
	}
	onDisk, err := os.Stat(path)
	return err == nil && os.SameFile(held, onDisk)
}
