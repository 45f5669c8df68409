// Package ocilayout reads and writes OCI image layouts: directories, and tars
// of one. What is read is verified against its digest; what is written appears
// whole or not at all.
package ocilayout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/ocilayout/tarfile"
)

// Names and values of the OCI image layout specification.
const (
	indexName  = "index.json"
	layoutName = "oci-layout"
	version    = "1.0.0"
)

// maxDocument bounds index.json, manifests and configs. Registries take
// manifests of 4 MiB; configs of builders carry labels of some hundred KiB.
const maxDocument = 64 << 20

// ErrNotLayout marks a directory or tar that is no OCI image layout.
var ErrNotLayout = errors.New("it is no OCI image layout")

// ErrCorrupt marks content that is not what its digest or descriptor says.
var ErrCorrupt = errors.New("the content is corrupt")

// files is where a layout's files come from. Names are slash-separated and
// made of constants and checked digests only.
type files interface {
	open(name string) (io.ReadCloser, int64, error) // fs.ErrNotExist
	close() error
}

// Layout is an open layout. It is safe for concurrent use until Close.
type Layout struct {
	path  string
	files files
	raw   []byte
	index *v1.IndexManifest
}

// Open opens the layout at path: a directory, or a tar of one (plain, gzip or
// zstd). Errors: fault.NotFound where path does not exist, ErrNotLayout where
// it is something else, ErrCorrupt where its index.json cannot be read.
func Open(path string) (*Layout, error) { return OpenContext(context.Background(), path) }

// OpenContext is Open; ctx ends the decompression of a compressed tar.
func OpenContext(ctx context.Context, path string) (*Layout, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "opening layout '%s': %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fault.New(fault.Failed, "opening layout '%s': %w", path, err)
	}
	if info.IsDir() {
		return load(path, dirFiles(path))
	}
	t, err := tarfile.Open(ctx, path)
	if errors.Is(err, tarfile.ErrNotTar) {
		return nil, fault.New(fault.Failed, "opening layout '%s': %w: %w", path, ErrNotLayout, err)
	}
	if err != nil {
		return nil, fault.New(fault.Failed, "opening layout '%s': %w", path, err)
	}
	return FromTar(path, t)
}

// FromTar opens the layout within t, which it takes over: Close closes it, and
// so does a failure. The path is for messages.
func FromTar(path string, t *tarfile.File) (*Layout, error) { return load(path, tarFiles{t}) }

func load(path string, f files) (l *Layout, err error) {
	l = &Layout{path: path, files: f}
	defer func() {
		if err != nil {
			l = nil
			f.close()
			err = fault.New(fault.Failed, "opening layout '%s': %w", path, err)
		}
	}()
	if err := l.checkVersion(); err != nil {
		return nil, err
	}
	l.raw, err = l.readFile(indexName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no '%s'", ErrNotLayout, indexName)
	}
	if err != nil {
		return nil, fmt.Errorf("reading '%s': %w", indexName, err)
	}
	if l.index, err = v1.ParseIndexManifest(bytes.NewReader(l.raw)); err != nil {
		return nil, fmt.Errorf("reading '%s': %w: %w", indexName, ErrCorrupt, err)
	}
	return l, nil
}

// checkVersion reads the oci-layout file. Some writers leave it out; one that
// is there must be of the only version there is.
func (l *Layout) checkVersion() error {
	raw, err := l.readFile(layoutName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading '%s': %w", layoutName, err)
	}
	var v struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("reading '%s': %w: %w", layoutName, ErrCorrupt, err)
	}
	if v.Version != version {
		return fmt.Errorf("%w of version '%s', but of '%s'", ErrNotLayout, version, v.Version)
	}
	return nil
}

func (l *Layout) readFile(name string) ([]byte, error) {
	rc, size, err := l.files.open(name)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	if size > maxDocument {
		return nil, fmt.Errorf("%d bytes are too many", size)
	}
	return io.ReadAll(rc)
}

// Path is what was opened.
func (l *Layout) Path() string { return l.path }

// Index gives the exact bytes of index.json.
func (l *Layout) Index() []byte { return bytes.Clone(l.raw) }

// Descriptors are the entries of index.json, in order. What they hold by
// pointer is shared: they are to be read only.
func (l *Layout) Descriptors() []v1.Descriptor {
	return append([]v1.Descriptor(nil), l.index.Manifests...)
}

// Close releases the layout and removes what was spooled; no artifact of it
// may be used after.
func (l *Layout) Close() error { return l.files.close() }

// Blob gives the content of the blob h, verified while it is read, and its
// size. A blob that the layout does not hold is a fault.NotFound.
func (l *Layout) Blob(h v1.Hash) (io.ReadCloser, int64, error) {
	rc, size, err := l.files.open(blobName(h))
	if err != nil {
		return nil, 0, l.blobError(h, err)
	}
	v, err := l.verified(rc, h, size)
	return v, size, err
}

// HasBlob gives the size of the blob h and whether the layout holds it; the
// content is not read.
func (l *Layout) HasBlob(h v1.Hash) (size int64, ok bool) {
	rc, size, err := l.files.open(blobName(h))
	if err != nil {
		return 0, false
	}
	rc.Close()
	return size, true
}

// open is Blob for a blob whose size is known from a descriptor.
func (l *Layout) open(h v1.Hash, size int64) (io.ReadCloser, error) {
	rc, have, err := l.files.open(blobName(h))
	if err != nil {
		return nil, l.blobError(h, err)
	}
	if have != size {
		rc.Close()
		return nil, l.blobError(h, fmt.Errorf("%w: it has %d bytes instead of %d", ErrCorrupt, have, size))
	}
	return l.verified(rc, h, size)
}

func (l *Layout) verified(rc io.ReadCloser, h v1.Hash, size int64) (io.ReadCloser, error) {
	v, err := newVerifier(rc, h, size)
	if err != nil {
		rc.Close()
		return nil, l.blobError(h, err)
	}
	v.wrap = func(err error) error { return l.blobError(h, err) }
	return v, nil
}

// document reads a manifest, an index or a config as a whole.
func (l *Layout) document(h v1.Hash, size int64) ([]byte, error) {
	if size > maxDocument {
		return nil, l.blobError(h, fmt.Errorf("%d bytes are too many for a manifest or config", size))
	}
	rc, err := l.open(h, size)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return io.ReadAll(rc)
}

func (l *Layout) blobError(h v1.Hash, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotFound, "reading blob '%s' of layout '%s': the layout does not hold it", h, l.path)
	}
	return fault.New(fault.Failed, "reading blob '%s' of layout '%s': %w", h, l.path, err)
}

// blobName is safe: a v1.Hash that was parsed holds a known algorithm and
// hexadecimal digits only, and any other finds no blob.
func blobName(h v1.Hash) string {
	if checked, err := v1.NewHash(h.String()); err != nil || checked != h {
		return "blobs/invalid"
	}
	return "blobs/" + h.Algorithm + "/" + h.Hex
}

// mediaType of an index.json that does not say its own.
func indexMediaType(m *v1.IndexManifest) types.MediaType {
	if m.MediaType != "" {
		return m.MediaType
	}
	return types.OCIImageIndex
}

type dirFiles string

func (d dirFiles) open(name string) (io.ReadCloser, int64, error) {
	path := filepath.Join(string(d), filepath.FromSlash(name))
	// Stat first: opening a FIFO would wait for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("'%s' is no file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

func (dirFiles) close() error { return nil }

type tarFiles struct{ *tarfile.File }

func (t tarFiles) open(name string) (io.ReadCloser, int64, error) { return t.File.Open(name) }
func (t tarFiles) close() error                                   { return t.File.Close() }
