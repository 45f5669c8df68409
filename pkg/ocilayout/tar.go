package ocilayout

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/fsx"
	"github.com/multipack/multipack/pkg/ocilayout/tarfile"
)

// File is a small file beside the layout's own, such as the manifest.json that
// `docker load` reads. Name has no leading '/'.
type File struct {
	Name string
	Data []byte
}

// Blob is a blob to write; Open is called once, when its turn comes.
type Blob struct {
	Digest v1.Hash
	Size   int64
	Open   func() (io.ReadCloser, error)
}

// The header of every entry, as pack writes .cnb files.
const tarMode = 0o755

func tarTime() time.Time { return time.Unix(315532801, 0).UTC() } // 1980-01-01T00:00:01Z

// entry of the tar to write: a directory, data or a blob.
type tarEntry struct {
	name string
	dir  bool
	data []byte
	blob *Blob
}

// WriteTar writes a layout as a tar with the recipe of pack's .cnb files: the
// directories of the blobs, the blobs sorted by digest, index.json, extra
// files and oci-layout in the order of their names, each with a leading '/',
// mode 0755 and the same time. The same input gives the same bytes, in any
// order of extra and blobs; repeated blobs are written once. index is written
// as it is. Blobs are streamed and verified: one that is not what its digest
// says is ErrCorrupt, and what was written up to there is of no use.
func WriteTar(ctx context.Context, w io.Writer, index []byte, extra []File, blobs []Blob) error {
	tw := tar.NewWriter(w)
	for _, e := range tarEntries(index, extra, blobs) {
		if err := writeEntry(ctx, tw, e); err != nil {
			return fault.New(kindOrFailed(err), "writing '%s': %w", e.name, err)
		}
	}
	if err := tw.Close(); err != nil {
		return fault.New(fault.Failed, "writing the archive: %w", err)
	}
	return nil
}

// WriteTarFile is WriteTar to the file at path, which gets its name when all
// of it is written; before that, and after an error, what was there stays.
func WriteTarFile(ctx context.Context, path string, index []byte, extra []File, blobs []Blob) error {
	t, err := fsx.Create(path)
	if err != nil {
		return fault.New(fault.Failed, "writing archive '%s': %w", path, err)
	}
	defer t.Abort()
	if err := WriteTar(ctx, t, index, extra, blobs); err != nil {
		return fault.New(kindOrFailed(err), "writing archive '%s': %w", path, err)
	}
	if err := t.Commit(); err != nil {
		return fault.New(fault.Failed, "writing archive '%s': %w", path, err)
	}
	return nil
}

func tarEntries(index []byte, extra []File, blobs []Blob) []tarEntry {
	out := []tarEntry{
		{name: "blobs", dir: true}, {name: "blobs/sha256", dir: true},
		{name: indexName, data: index}, {name: layoutName, data: []byte(layoutFile)},
	}
	for _, f := range extra {
		out = append(out, tarEntry{name: tarfile.Clean(f.Name), data: f.Data})
	}
	for i, b := range blobs {
		if b.Digest.Algorithm != "sha256" {
			out = append(out, tarEntry{name: "blobs/" + b.Digest.Algorithm, dir: true})
		}
		out = append(out, tarEntry{name: blobName(b.Digest), blob: &blobs[i]})
	}
	slices.SortStableFunc(out, func(a, b tarEntry) int { return cmp.Compare(a.name, b.name) })
	return slices.CompactFunc(out, func(a, b tarEntry) bool { return a.name == b.name })
}

func writeEntry(ctx context.Context, tw *tar.Writer, e tarEntry) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	h := &tar.Header{Typeflag: tar.TypeReg, Name: "/" + e.name, Mode: tarMode, ModTime: tarTime(), Size: int64(len(e.data))}
	switch {
	case e.dir:
		h.Typeflag = tar.TypeDir
		return tw.WriteHeader(h)
	case e.blob == nil:
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		_, err := io.Copy(tw, bytes.NewReader(e.data))
		return err
	}
	h.Size = e.blob.Size
	rc, err := e.blob.Open()
	if err != nil {
		return err
	}
	defer rc.Close()
	v, err := Verify(rc, e.blob.Digest, e.blob.Size)
	if err != nil {
		return err
	}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	n, err := copyContext(ctx, tw, v)
	if err == nil && n != e.blob.Size {
		err = fmt.Errorf("%w: it has %d bytes instead of %d", ErrCorrupt, n, e.blob.Size)
	}
	return err
}
