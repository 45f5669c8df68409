package filecache_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/multipack/multipack/internal/filecache"
)

// put puts a file and makes it look as old as its number says: 0 is the oldest.
func put(t *testing.T, c *filecache.Cache, dir string, n int, data []byte) string {
	t.Helper()
	name := fmt.Sprintf("file%03d", n)
	c.Put(name, data)
	age(t, dir, name, n)
	return name
}

func age(t *testing.T, dir, name string, n int) {
	t.Helper()
	at := time.Now().Add(time.Duration(n-1000) * time.Minute)
	if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, dir string) (files int, size int64) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range list {
		info, err := item.Info()
		if err != nil {
			t.Fatal(err)
		}
		files++
		size += info.Size()
	}
	return files, size
}

func TestCache(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "when", "needed")
	c := filecache.New(dir, filecache.Limit{})
	if _, ok := c.Get("none"); ok {
		t.Error("an empty cache answered")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("looking made the folder")
	}
	c.Put("a", []byte("one"))
	c.Put("a", []byte("two"))
	if got, ok := filecache.New(dir, filecache.Limit{}).Get("a"); !ok || string(got) != "two" {
		t.Errorf("got %q, %v", got, ok)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is open to others: %v, %v", info.Mode(), err)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	data := make([]byte, 100)
	for name, limit := range map[string]filecache.Limit{"files": {Files: 8}, "bytes": {Bytes: 800}, "both": {Files: 8, Bytes: 1 << 20}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c := filecache.New(dir, limit)
			for n := range 30 {
				newest := put(t, c, dir, n, data)
				if got, ok := c.Get(newest); !ok || !bytes.Equal(got, data) {
					t.Fatalf("%s is gone at once", newest)
				}
				age(t, dir, newest, n)
				if files, _ := count(t, dir); files > 8 {
					t.Fatalf("%d files, want 8 at most", files)
				}
			}
			if files, _ := count(t, dir); files < 6 {
				t.Errorf("%d files, want 6 to 8", files)
			}
		})
	}
}

// What is asked for stays, and what nobody asks for goes.
func TestOldestGoesFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := filecache.New(dir, filecache.Limit{Files: 4})
	for n := range 4 {
		put(t, c, dir, n, []byte("x"))
	}
	c.Get("file000")
	put(t, c, dir, 4, []byte("x"))
	for name, want := range map[string]bool{"file000": true, "file001": false, "file002": false, "file003": true, "file004": true} {
		if _, ok := c.Get(name); ok != want {
			t.Errorf("%s: %v, want %v", name, ok, want)
		}
	}
}

// Files of other processes count: the limit is the folder's.
func TestLimitIsTheFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for n := range 40 {
		filecache.New(dir, filecache.Limit{}).Put(fmt.Sprintf("other%d", n), []byte("x"))
	}
	filecache.New(dir, filecache.Limit{Files: 8}).Put("mine", []byte("x"))
	if files, _ := count(t, dir); files > 8 {
		t.Errorf("%d files, want 8 at most", files)
	}
}

func TestUnusableFolderCostsNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := filecache.New(filepath.Join(file, "below"), filecache.Limit{Files: 1})
	c.Put("a", []byte("x"))
	if _, ok := c.Get("a"); ok {
		t.Error("it was kept somewhere")
	}
}

// Writers at once leave whole files only.
func TestConcurrentWriters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			c := filecache.New(dir, filecache.Limit{Bytes: 40_000})
			for n := range 40 {
				c.Put(fmt.Sprint("k", n%10), bytes.Repeat([]byte{byte('a' + w)}, 5000))
				if got, ok := c.Get(fmt.Sprint("k", n%10)); ok && (len(got) != 5000 || bytes.Count(got, got[:1]) != 5000) {
					t.Errorf("a torn file: %d bytes", len(got))
				}
			}
		})
	}
	group.Wait()
	if _, size := count(t, dir); size > 40_000+8*5000 {
		t.Errorf("%d bytes", size)
	}
}
