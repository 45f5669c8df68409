package layer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/filecache"
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
type FileCache struct{ files *filecache.Cache }

// NewFileCache is the cache in dir, which is made when first written to. It
// holds about limit layers; the ones not asked for the longest go first.
func NewFileCache(dir string, limit int) *FileCache {
	return &FileCache{files: filecache.New(dir, filecache.Limit{Files: max(limit, 1)})}
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

// file is the name of a key's file.
func file(key string) string { return key + ".json" }

// Get is what was put under the key.
func (c *FileCache) Get(key string) (Known, bool) {
	data, ok := c.files.Get(file(key))
	if !ok {
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
	return Known{DiffID: diffID, Digest: digest, Size: r.Size}, true
}

// Put writes an entry, and makes room for it.
func (c *FileCache) Put(key string, k Known) {
	if old, ok := c.Get(key); ok && old == k {
		return
	}
	r := record{DiffID: k.DiffID.String(), Digest: k.Digest.String(), Size: k.Size}
	r.Sum = r.sum(key)
	if data, err := json.Marshal(r); err == nil {
		c.files.Put(file(key), data)
	}
}
