package ocilayout

import (
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/pkg/ocilayout/tarfile"
)

// layer implements v1.Layer over a blob of a layout.
type layer struct {
	layout *Layout
	desc   v1.Descriptor
	diffID func() (v1.Hash, error)
}

func (l *layer) Digest() (v1.Hash, error)            { return l.desc.Digest, nil }
func (l *layer) DiffID() (v1.Hash, error)            { return l.diffID() }
func (l *layer) Size() (int64, error)                { return l.desc.Size, nil }
func (l *layer) MediaType() (types.MediaType, error) { return l.desc.MediaType, nil }
func (l *layer) Compressed() (io.ReadCloser, error)  { return l.layout.open(l.desc.Digest, l.desc.Size) }
func (l *layer) Exists() (bool, error)               { _, ok := l.layout.HasBlob(l.desc.Digest); return ok, nil }
func (l *layer) Descriptor() (*v1.Descriptor, error) { return l.desc.DeepCopy(), nil }

// Uncompressed goes by the content's first bytes, not by the media type, which
// writers get wrong: gzip, zstd or neither.
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	rc, err := l.Compressed()
	if err != nil {
		return nil, err
	}
	out, err := tarfile.Decompress(rc)
	if err != nil {
		return nil, l.layout.blobError(l.desc.Digest, err)
	}
	return out, nil
}
