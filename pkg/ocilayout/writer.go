package ocilayout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/fsx"
)

// layoutFile is the oci-layout file as pack writes it.
const layoutFile = "{\n    \"imageLayoutVersion\": \"1.0.0\"\n}"

// lockName is the lock file that BuildKit takes for the same purpose, so that
// the two exclude each other.
const lockName = indexName + ".lock"

const lockRetry = 20 * time.Millisecond

// Dir writes a layout directory. Any number of Dirs, in any number of
// processes, may write one directory at once: blobs are content-addressed and
// appear whole, and SetEntries is one transaction.
type Dir struct {
	path string

	mu      sync.Mutex
	trusted map[v1.Hash]bool // blobs that this Dir wrote or read back
}

// Create makes path a layout directory where it is none yet. It writes no
// index.json: until SetEntries does, a new directory holds no image. What is
// in the directory besides is left alone.
func Create(path string) (*Dir, error) {
	d := &Dir{path: path, trusted: map[v1.Hash]bool{}}
	if err := fsx.MkdirAll(filepath.Join(path, "blobs", "sha256"), 0o777); err != nil {
		return nil, fault.New(fault.Failed, "creating layout '%s': %w", path, err)
	}
	file := filepath.Join(path, layoutName)
	_, err := os.Stat(file)
	switch {
	case err == nil:
		l := &Layout{path: path, files: dirFiles(path)}
		err = l.checkVersion()
	case errors.Is(err, fs.ErrNotExist):
		err = fsx.WriteFile(file, []byte(layoutFile), 0o666)
	}
	if err != nil {
		return nil, fault.New(fault.Failed, "creating layout '%s': %w", path, err)
	}
	return d, nil
}

// Path is the directory.
func (d *Dir) Path() string { return d.path }

// WriteBlob puts the content that open gives under its digest h. A blob that is
// there already is kept when its size and digest agree (it is read back once
// per Dir) and replaced when they do not; written says whether anything was.
// Content that is not h and size bytes long leaves nothing behind and is
// ErrCorrupt; a size of -1 is not checked.
func (d *Dir) WriteBlob(ctx context.Context, h v1.Hash, size int64, open func() (io.ReadCloser, error)) (written bool, err error) {
	if _, err := v1.NewHash(h.String()); err != nil {
		return false, fault.New(fault.Failed, "writing blob '%s' to layout '%s': %w", h, d.path, err)
	}
	if d.has(ctx, h, size) {
		return false, nil
	}
	if err := d.write(ctx, h, size, open); err != nil {
		return false, fault.New(kindOrFailed(err), "writing blob '%s' to layout '%s': %w", h, d.path, err)
	}
	d.trust(h)
	return true, nil
}

func kindOrFailed(err error) fault.Kind {
	if k, ok := fault.KindOf(err); ok {
		return k
	}
	return fault.Failed
}

func (d *Dir) trust(h v1.Hash) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trusted[h] = true
}

// HasBlob reports whether the blob h is there with the given size (-1: any)
// and its digest.
func (d *Dir) HasBlob(ctx context.Context, h v1.Hash, size int64) bool { return d.has(ctx, h, size) }

func (d *Dir) has(ctx context.Context, h v1.Hash, size int64) bool {
	rc, have, err := dirFiles(d.path).open(blobName(h))
	if err != nil {
		return false
	}
	defer rc.Close()
	if size >= 0 && have != size {
		return false
	}
	d.mu.Lock()
	trusted := d.trusted[h]
	d.mu.Unlock()
	if trusted {
		return true
	}
	v, err := newVerifier(rc, h, have)
	if err != nil {
		return false
	}
	if _, err := copyContext(ctx, io.Discard, v); err != nil {
		return false
	}
	d.trust(h)
	return true
}

func (d *Dir) write(ctx context.Context, h v1.Hash, size int64, open func() (io.ReadCloser, error)) error {
	name := filepath.Join(d.path, filepath.FromSlash(blobName(h)))
	if err := fsx.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	rc, err := open()
	if err != nil {
		return err
	}
	defer rc.Close()
	v, err := Verify(rc, h, size)
	if err != nil {
		return err
	}
	t, err := fsx.Create(name)
	if err != nil {
		return err
	}
	defer t.Abort()
	if _, err := copyContext(ctx, t, v); err != nil {
		return err
	}
	return t.Commit()
}

// SetEntries replaces the entries of index.json by what fn makes of them, in
// one transaction across processes. fn gets nil where there is no index.json
// yet; it may run for long only where others may wait, and it must not keep
// its argument. Entries that fn returns unchanged keep their bytes, and so
// does everything else in index.json; when nothing changes nothing is written.
// An index.json that cannot be read is an error, never an empty start.
func (d *Dir) SetEntries(ctx context.Context, fn func(index []v1.Descriptor) ([]v1.Descriptor, error)) error {
	unlock, err := d.lock(ctx)
	if err != nil {
		return fault.New(fault.Failed, "locking layout '%s': %w", d.path, err)
	}
	defer unlock()
	if err := d.setEntries(ctx, fn); err != nil {
		return fault.New(kindOrFailed(err), "updating layout '%s': %w", d.path, err)
	}
	return nil
}

func (d *Dir) setEntries(ctx context.Context, fn func([]v1.Descriptor) ([]v1.Descriptor, error)) error {
	name := filepath.Join(d.path, indexName)
	raw, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	doc, err := parseDocument(raw)
	if err != nil {
		return fmt.Errorf("reading '%s': %w: %w", indexName, ErrCorrupt, err)
	}
	entries, err := doc.descriptors()
	if err != nil {
		return fmt.Errorf("reading '%s': %w: %w", indexName, ErrCorrupt, err)
	}
	next, err := fn(entries)
	if err != nil {
		return err
	}
	out, err := doc.with(next)
	if err != nil {
		return err
	}
	if raw != nil && string(out) == string(raw) {
		return nil
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return fsx.WriteFile(name, out, 0o666)
}

// lock takes the lock file. It is removed while it is still held, so that a
// layout is left with nothing that does not belong there; whoever then gets
// the lock of the removed file sees that it is not the one on disk any more.
func (d *Dir) lock(ctx context.Context) (unlock func(), err error) {
	name := filepath.Join(d.path, lockName)
	for {
		l := flock.New(name)
		if _, err := l.TryLockContext(ctx, lockRetry); err != nil {
			l.Close()
			if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
				return nil, fs.ErrPermission
			}
			return nil, err
		}
		held, err1 := l.Stat()
		onDisk, err2 := os.Stat(name)
		if err1 == nil && err2 == nil && os.SameFile(held, onDisk) {
			return func() {
				os.Remove(name)
				l.Close()
			}, nil
		}
		l.Close()
	}
}

// copyBuffer is how many bytes one read and one write of a copy move: large
// enough that reads of a connection pass its buffer by.
const copyBuffer = 256 << 10

// copyContext is io.Copy that ends with its context.
func copyContext(ctx context.Context, w io.Writer, r io.Reader) (int64, error) {
	return io.CopyBuffer(onlyWriter{w}, readerFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return r.Read(p)
	}), make([]byte, copyBuffer))
}

// onlyWriter hides a ReadFrom that would bring a buffer of its own.
type onlyWriter struct{ io.Writer }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
