// Package manifest holds image indexes as immutable values that keep the exact
// bytes they were read from, and the operations on them. It is pure: no file,
// network, clock or environment.
package manifest

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Artifact is anything that a registry stores under one digest: v1.Image and
// v1.ImageIndex both satisfy it.
type Artifact interface {
	MediaType() (types.MediaType, error)
	Digest() (v1.Hash, error)
	Size() (int64, error)
	// RawManifest gives the exact bytes whose digest Digest is.
	RawManifest() ([]byte, error)
}
