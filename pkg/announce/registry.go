// Package announce lets any number of writers put their platforms under one
// tag of a registry without losing any, although registries have no
// compare-and-swap. Every writer first announces what it brings under a tag of
// its own (TAG-os-arch…), then collects all announcements, writes the union
// and reads back until the tag holds it. docs/append.md has the argument.
package announce

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Manifest is what a registry holds under a tag or digest: the exact bytes.
type Manifest struct {
	Raw       []byte
	MediaType types.MediaType
	Digest    v1.Hash
}

// Registry is one repository, as narrow as the protocol needs it. Errors are
// fault.NotFound where the thing does not exist (a repository that does not
// exist has no tags: an empty list or fault.NotFound), fault.Denied for 401 and
// 403, fault.Conflict where a tag is immutable. The protocol never deletes.
//
// It is sound on registries that read their own writes: once Put has returned,
// every later Get, Head and Tags of anybody sees it.
type Registry interface {
	// Get reads by tag, or by digest ("sha256:…").
	Get(ctx context.Context, ref string) (Manifest, error)
	// Read is Get of a tag. What it held before, which may be nothing, need not be
	// fetched once more where it still does.
	Read(ctx context.Context, tag string, before Manifest) (Manifest, error)
	// Head gives the digest that a tag points at.
	Head(ctx context.Context, tag string) (v1.Hash, error)
	// Blob reads a small blob: an image's config.
	Blob(ctx context.Context, h v1.Hash) ([]byte, error)
	// Tags lists the tags that sort after last; "" lists all. More than was
	// asked for, and any order, is harmless.
	Tags(ctx context.Context, last string) ([]string, error)
	// Put writes a manifest under a tag, or under its digest. What it points to
	// is there already. It is atomic: a reader sees the old or the new.
	Put(ctx context.Context, ref string, raw []byte, mediaType types.MediaType) error
	// PutBlob makes sure that a small blob is there.
	PutBlob(ctx context.Context, data []byte, mediaType types.MediaType) error
}
