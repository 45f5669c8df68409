package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/filecache"
)

// Cache keeps manifests and configs between runs, by digest and never by tag. It
// may forget anything at any time, and fails silently: what is missing, or is not
// what its digest says, is read from the registry. All methods may be called
// concurrently.
type Cache interface {
	// Get is what was put under the digest, false when nothing is.
	Get(h v1.Hash) ([]byte, bool)
	// Put keeps data, whose digest is h.
	Put(h v1.Hash, data []byte)
}

// FileCache is a Cache in a folder, one file per digest. Several processes may
// share it.
type FileCache struct{ files *filecache.Cache }

// NewFileCache is the cache in dir, which is made when first written to. It
// holds about so many bytes; what was not asked for the longest goes first.
func NewFileCache(dir string, bytes int64) *FileCache {
	return &FileCache{files: filecache.New(dir, filecache.Limit{Bytes: bytes})}
}

// Get is what was put under the digest.
func (c *FileCache) Get(h v1.Hash) ([]byte, bool) { return c.files.Get(h.Algorithm + "-" + h.Hex) }

// Put keeps data.
func (c *FileCache) Put(h v1.Hash, data []byte) { c.files.Put(h.Algorithm+"-"+h.Hex, data) }

// Cached opens what registries hold as its Client does, but takes the children of
// indexes, and configs, from a Cache where it has them. So what it opens is what
// its digest says, but a child may be gone from the registry that a cache still
// has: it is for looking at artifacts, and not for finding out whether they are
// complete. What a reference names is always asked of the registry.
type Cached struct {
	client *Client
	cache  Cache
}

// Cached opens with cache; nil keeps nothing.
func (c *Client) Cached(cache Cache) *Cached { return &Cached{client: c, cache: cache} }

// Open is as Client.Open.
func (c *Cached) Open(ctx context.Context, ref name.Reference) (any, error) {
	return c.client.open(ctx, ref, c.cache)
}

// lookup is the cache's content for a descriptor, if it has it and it is right.
func lookup(cache Cache, d v1.Descriptor) ([]byte, bool) {
	if cache == nil || d.Digest.Algorithm != "sha256" {
		return nil, false
	}
	data, ok := cache.Get(d.Digest)
	if !ok || int64(len(data)) != d.Size {
		return nil, false
	}
	sum := sha256.Sum256(data)
	return data, hex.EncodeToString(sum[:]) == d.Digest.Hex
}

// keep puts verified content into the cache.
func keep(cache Cache, h v1.Hash, data []byte) {
	if cache != nil && h.Algorithm == "sha256" {
		cache.Put(h, data)
	}
}

// child reads the manifest that d describes: from the cache, else from the
// registry.
func (c *Client) child(ctx context.Context, ref name.Digest, d v1.Descriptor, cache Cache) (Manifest, error) {
	if raw, ok := lookup(cache, d); ok {
		said := http.Header{"Content-Type": {string(d.MediaType)}}
		return Manifest{Raw: raw, MediaType: manifestType(said, raw), Digest: d.Digest}, nil
	}
	m, err := c.openManifest(ctx, ref)
	if err == nil {
		keep(cache, m.Digest, m.Raw)
	}
	return m, err
}

// readConfig reads the config: from the cache, else from the registry.
func (i *lazyImage) readConfig() ([]byte, error) {
	d := i.manifest.Config
	if d.Size > longestManifest {
		return nil, fault.New(fault.Failed, "reading the config of %s: it is larger than %d MiB", quote(i.ref), longestManifest>>20)
	}
	if raw, ok := lookup(i.cache, d); ok {
		return raw, nil
	}
	rc, err := (&lazyLayer{image: i, desc: d}).Compressed()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	raw, err := io.ReadAll(rc)
	if err == nil {
		keep(i.cache, d.Digest, raw)
	}
	return raw, err
}
