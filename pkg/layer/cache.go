package layer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fsx"
)

// Cache remembers what layers turned out to be. It may forget anything at any
// time, and fails silently: a missing entry costs time only.
//
// A wrong one is noticed when the layer's content is asked for; the build that
// follows puts the right one in its place, and the layer's methods give ErrStale.
// All methods may be called concurrently.
type Cache interface {
	// Get is what was put under the key, false when nothing is.
	Get(key string) (Known, bool)
	// Put replaces what is under the key.
	Put(key string, k Known)
}

// FileCache is a Cache in a folder, one small file per layer. Several processes
// may share it.
type FileCache struct {
	dir   string
	limit int

	mu    sync.Mutex
	count int // files there, as far as known; -1: not looked yet
}

// NewFileCache is the cache in dir, which is made when first written to. It
// holds about limit layers; the ones not asked for the longest go first.
func NewFileCache(dir string, limit int) *FileCache {
	return &FileCache{dir: dir, limit: max(limit, 1), count: -1}
}

// record is a cache file's content.
type record struct {
	DiffID string `json:"diffID"`
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
	Sum    string `json:"sum"`
}

// sum binds the record to its key, so that a damaged or renamed file is no hit.
func (r record) sum(key string) string {
	r.Sum = key
	data, _ := json.Marshal(r) // strings and a number: cannot fail
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func (c *FileCache) file(key string) string { return filepath.Join(c.dir, key+".json") }

// Get is what was put under the key.
func (c *FileCache) Get(key string) (Known, bool) {
	data, err := os.ReadFile(c.file(key))
	if err != nil {
		return Known{}, false
	}
	var r record
	if json.Unmarshal(data, &r) != nil || r.Sum != r.sum(key) {
		return Known{}, false
	}
	diffID, err := v1.NewHash(r.DiffID)
	if err != nil {
		return Known{}, false
	}
	digest, err := v1.NewHash(r.Digest)
	if err != nil {
		return Known{}, false
	}
	now := time.Now()
	_ = os.Chtimes(c.file(key), now, now) // keeps it from being the oldest
	return Known{DiffID: diffID, Digest: digest, Size: r.Size}, true
}

// Put writes an entry, and makes room for it.
func (c *FileCache) Put(key string, k Known) {
	if old, ok := c.Get(key); ok && old == k {
		return
	}
	r := record{DiffID: k.DiffID.String(), Digest: k.Digest.String(), Size: k.Size}
	r.Sum = r.sum(key)
	data, err := json.Marshal(r)
	if err != nil {
		return
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return
	}
	if err := fsx.WriteFile(c.file(key), data, 0o600); err != nil {
		return
	}
	c.trim()
}

// trim removes the oldest quarter when there are too many entries.
func (c *FileCache) trim() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count++; c.count > 0 && c.count <= c.limit {
		return
	}
	list, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	var infos []fs.FileInfo
	for _, item := range list {
		if info, err := item.Info(); err == nil && info.Mode().IsRegular() {
			infos = append(infos, info)
		}
	}
	c.count = len(infos)
	if c.count <= c.limit {
		return
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range infos[:c.count-c.limit*3/4] {
		if err := os.Remove(filepath.Join(c.dir, info.Name())); err == nil || errors.Is(err, fs.ErrNotExist) {
			c.count--
		}
	}
}
