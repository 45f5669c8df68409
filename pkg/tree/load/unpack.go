package load

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/multipack/multipack/internal/fault"
)

// maxZstdWindow bounds the memory that a zstd archive can ask for: what zstd
// itself grants unless told otherwise.
const maxZstdWindow = 128 << 20

// maxSparse bounds the files with holes that an archive may hold: such a file
// can be far larger than the archive, and its content is put on disk.
const maxSparse = 4 << 30

// origin is where an archive's file comes from: a path of the user's, or a
// temporary file of ours, which nobody else writes, with the ID of its content.
type origin struct{ path, id string }

// readArchive lists the archive in f.
func (l *Loaded) readArchive(ctx context.Context, f *os.File, from origin, name string, opts Options) error {
	a := &archive{name: name}
	a.sparse = func(r io.Reader) (func() (io.ReadCloser, error), error) { return l.spoolSparse(ctx, r, a, opts) }
	plain, err := decompress(f)
	if err != nil {
		return a.failed(err)
	}
	switch {
	case plain != nil:
		defer plain.Close()
		if a.tar, a.id, err = l.spoolContent(ctx, plain, name, opts); err != nil {
			return err
		}
		a.durable, a.open = true, func(o, n int64) func() (io.ReadCloser, error) { return section(a.tar, o, n) }
	case from.path == "":
		a.tar, a.id, a.durable = f, from.id, true
		a.open = func(o, n int64) func() (io.ReadCloser, error) { return section(f, o, n) }
	default:
		now := time.Now()
		info, err := f.Stat()
		if err != nil {
			return a.failed(err)
		}
		a.tar = f
		a.id, a.durable = identity(from.path, info, statOf(info), now)
		a.open = func(o, n int64) func() (io.ReadCloser, error) { return openPart(from.path, info, o, n) }
	}
	l.Tree, err = a.read(ctx)
	return err
}

// decompress is the uncompressed content of f, nil when f is not compressed;
// f is left at its start.
func decompress(f *os.File) (io.ReadCloser, error) {
	magic := make([]byte, 4)
	n, err := io.ReadFull(f, magic)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return nil, err
	}
	if n == 0 {
		return nil, errors.New("it is empty")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	switch magic = magic[:n]; {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b, 0x08}):
		return gzip.NewReader(f)
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		d, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case bytes.HasPrefix(magic, []byte("PK\x03\x04")):
		return nil, errors.New("it is a zip file; a buildpack's archive is a tar, plain or compressed with gzip or zstd")
	}
	return nil, nil
}

// spoolContent copies r to a temporary file and gives its digest as an ID.
func (l *Loaded) spoolContent(ctx context.Context, r io.Reader, name string, opts Options) (*os.File, string, error) {
	f, err := l.temp(opts.Dir)
	if err != nil {
		return nil, "", err
	}
	hash := sha256.New()
	if _, err := io.CopyBuffer(io.MultiWriter(f, hash), reader{ctx, r}, make([]byte, 256<<10)); err != nil {
		return nil, "", fault.New(fault.Failed, "unpacking archive '%s': %w", name, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, "", fault.New(fault.Failed, "unpacking archive '%s': %w", name, err)
	}
	return f, contentID(hash), nil
}

// contentID is an ID for what was hashed.
func contentID(h hash.Hash) string { return "sha256:" + hex.EncodeToString(h.Sum(nil)) }

// spoolSparse copies a sparse file's content, holes included, to a temporary file.
func (l *Loaded) spoolSparse(ctx context.Context, r io.Reader, a *archive, opts Options) (func() (io.ReadCloser, error), error) {
	f, err := l.temp(opts.Dir)
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(f, io.LimitReader(reader{ctx, r}, maxSparse+1))
	if err != nil {
		return nil, a.failed(err)
	}
	if n > maxSparse {
		return nil, fault.New(fault.Failed, "reading archive '%s': it holds a sparse file of more than %d bytes", a.name, int64(maxSparse))
	}
	return section(f, 0, n), nil
}

// temp is a temporary file that Close removes.
func (l *Loaded) temp(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "multipack-archive-*")
	if err != nil {
		return nil, fault.New(fault.Failed, "making a temporary file for an archive: %w", err)
	}
	l.spool = append(l.spool, f)
	return f, nil
}

// reader ends with the context.
type reader struct {
	ctx context.Context //nolint:containedctx // lives for one copy
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, fault.As(fault.Interrupted, context.Cause(r.ctx))
	}
	return r.r.Read(p)
}
