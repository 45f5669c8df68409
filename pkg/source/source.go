// Package source opens references of every medium as lazy artifacts.
package source

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/reference"
)

// Opened is an artifact and where it came from.
type Opened struct {
	// Artifact is a v1.Image or a v1.ImageIndex. It is lazy: layers are read
	// when asked for, under the context that Open was called with.
	Artifact manifest.Artifact
	// Ref is what was opened.
	Ref reference.Ref
	// Origin is the repository for a registry reference, else the zero value.
	// Its layers satisfy *remote.MountableLayer, so that a publisher can mount.
	Origin name.Repository
	// Volatile is set where the source can vanish (daemon, archive, layout), so
	// that whoever keeps the artifact must keep its layers too.
	Volatile bool
	// Close releases files; it may be nil. The artifact must not be used after.
	Close func() error
}

// Opener opens one medium, or dispatches to several.
type Opener interface {
	// Open resolves r. Errors: fault.NotFound where it does not exist,
	// fault.Denied for 401/403, fault.Usage where the medium cannot be read.
	// What is opened is what the digest says: content is verified while read.
	Open(ctx context.Context, r reference.Ref) (Opened, error)
}
