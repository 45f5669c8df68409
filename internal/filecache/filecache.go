// Package filecache keeps small files that only save time: any of them may be
// gone, torn or wrong at any moment, so whoever reads one verifies it. Several
// processes may share a folder.
package filecache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/multipack/multipack/internal/fsx"
)

// Limit bounds a cache; 0 is no bound.
type Limit struct {
	Files int
	// Bytes counts the files' lengths.
	Bytes int64
}

// exceeded reports whether so much is too much.
func (l Limit) exceeded(files int, bytes int64) bool {
	return l.Files > 0 && files > l.Files || l.Bytes > 0 && bytes > l.Bytes
}

// Cache is a folder of files. It is safe for concurrent use.
type Cache struct {
	dir   string
	limit Limit

	mu     sync.Mutex
	looked bool  // the folder's content was counted once
	files  int   // there, as far as known
	bytes  int64 // in them
}

// New is the cache in dir, which is made, for its owner alone, when first written
// to. When the limit is exceeded a quarter of it is made free: the files not
// asked for the longest go first.
func New(dir string, limit Limit) *Cache { return &Cache{dir: dir, limit: limit} }

// Get is what was put under the name, false when nothing is there.
func (c *Cache) Get(name string) ([]byte, bool) {
	path := filepath.Join(c.dir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, false
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // keeps it from being the oldest
	return data, true
}

// Put replaces what is under the name, which must be fit for a file's. It fails
// silently.
func (c *Cache) Put(name string, data []byte) {
	disk := fsx.FS{Volatile: true}
	if disk.MkdirAll(c.dir, 0o700) != nil || disk.WriteFile(filepath.Join(c.dir, name), data, 0o600) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.files++
	c.bytes += int64(len(data))
	if !c.looked || c.limit.exceeded(c.files, c.bytes) {
		c.trim()
	}
}

// trim counts what is there, other processes' files too, and removes the oldest
// when there is too much. c.mu is held.
func (c *Cache) trim() {
	list, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	var infos []fs.FileInfo
	c.files, c.bytes, c.looked = 0, 0, true
	for _, item := range list {
		if info, err := item.Info(); err == nil && info.Mode().IsRegular() {
			infos = append(infos, info)
			c.files++
			c.bytes += info.Size()
		}
	}
	if !c.limit.exceeded(c.files, c.bytes) {
		return
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	low := Limit{Files: c.limit.Files * 3 / 4, Bytes: c.limit.Bytes / 4 * 3}
	for _, info := range infos {
		if !low.exceeded(c.files, c.bytes) {
			return
		}
		if err := os.Remove(filepath.Join(c.dir, info.Name())); err == nil || errors.Is(err, fs.ErrNotExist) {
			c.files--
			c.bytes -= info.Size()
		}
	}
}
