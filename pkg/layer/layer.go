package layer

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
)

// Known is what an image says of a layer.
type Known struct {
	// DiffID is the digest of the tar, Digest that of the gzip member, and Size
	// the latter's length in bytes.
	DiffID, Digest v1.Hash
	Size           int64
}

// built is a finished layer.
type built struct {
	Known
	blocks  []*block
	trailer []byte
}

// layer is a v1.Layer that is being built, or can be.
type layer struct {
	maker *Maker
	build func() (*built, error) // waits; the same answer every time
	known *Known                 // what the cache says, if it says anything
}

var errDiscarded = errors.New("its content was not kept")

func (l *layer) get() (Known, error) {
	if l.known != nil {
		return *l.known, nil
	}
	b, err := l.build()
	if err != nil {
		return Known{}, err
	}
	return b.Known, nil
}

// Digest is the compressed layer's digest.
func (l *layer) Digest() (v1.Hash, error) {
	k, err := l.get()
	return k.Digest, err
}

// DiffID is the tar's digest.
func (l *layer) DiffID() (v1.Hash, error) {
	k, err := l.get()
	return k.DiffID, err
}

// Size is the compressed layer's length.
func (l *layer) Size() (int64, error) {
	k, err := l.get()
	return k.Size, err
}

// MediaType is OCI's for gzip.
func (l *layer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

// Compressed is the gzip member, from its start at every call.
func (l *layer) Compressed() (io.ReadCloser, error) {
	if l.maker.opts.Discard {
		return nil, fault.New(fault.Failed, "reading a layer: %w", errDiscarded)
	}
	b, err := l.build()
	if err != nil {
		return nil, err
	}
	parts := make([]io.Reader, 0, len(b.blocks)+2)
	parts = append(parts, strings.NewReader(gzipHeader))
	for _, block := range b.blocks {
		parts = append(parts, l.maker.store.section(block))
	}
	parts = append(parts, bytes.NewReader(b.trailer))
	return spooled{io.MultiReader(parts...)}, nil
}

// spooled is a layer's content, which was hashed before it was written down.
type spooled struct{ io.Reader }

// Close does nothing.
func (spooled) Close() error { return nil }

// Unverified is the content itself, for verified.Unverified.
func (c spooled) Unverified() io.ReadCloser { return c }

// Uncompressed is the tar, from its start at every call.
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	rc, err := l.Compressed()
	if err != nil {
		return nil, err
	}
	return gzip.NewReader(rc)
}
