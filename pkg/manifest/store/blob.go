package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/verified"
)

// shared is the size in bytes from which on a blob is worth a hard link: two
// more names cost more than a small copy.
const shared = 64 << 10

// copyBuffer is how many bytes one read and one write of a copy move.
const copyBuffer = 256 << 10

// opener gives the content of a blob from its beginning.
type opener func() (io.ReadCloser, error)

func decodePointers(raw []byte) (pointers, error) {
	var p pointers
	err := json.Unmarshal(raw, &p)
	return p, err
}

// putBlob makes sure that the list in dir has the blob h: as it has it already
// where size and digest agree, else linked from the pool, else copied from open
// and verified on the way.
func (s *Store) putBlob(ctx context.Context, dir string, h v1.Hash, size int64, open opener) error {
	path := blobPath(dir, h)
	if s.hasBlob(ctx, path, h, size) {
		return nil
	}
	if err := s.o.FS.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	if size < shared {
		return s.copyBlob(ctx, path, h, size, open)
	}
	pooled := filepath.Join(s.pool(), h.Hex)
	if s.hasBlob(ctx, pooled, h, size) && s.o.FS.Link(pooled, path) == nil {
		return nil
	}
	if err := s.copyBlob(ctx, path, h, size, open); err != nil {
		return err
	}
	if err := s.o.FS.MkdirAll(s.pool(), 0o777); err != nil {
		return err
	}
	// Sharing is worth having, not needing: not every file system has links.
	_ = s.o.FS.Link(path, pooled)
	return nil
}

// hasBlob reports whether the file at path is the blob. Its time is renewed,
// so that a Prune that runs now sees that it is wanted.
func (s *Store) hasBlob(ctx context.Context, path string, h v1.Hash, size int64) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || size >= 0 && info.Size() != size {
		return false
	}
	now := s.o.Now()
	if err := os.Chtimes(path, now, now); err != nil && errors.Is(err, fs.ErrNotExist) {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	got, _, err := v1.SHA256(reader{ctx, f})
	return err == nil && got == h
}

// copyBlob writes the blob to path. Content that is something else leaves
// nothing behind.
func (s *Store) copyBlob(ctx context.Context, path string, h v1.Hash, size int64, open opener) (err error) {
	rc, err := open()
	if err != nil {
		return err
	}
	defer rc.Close()
	t, err := s.o.FS.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Abort()) }()
	if err := copyVerified(ctx, t, rc, h, size); err != nil {
		return err
	}
	return t.Commit()
}

// copyVerified copies rc and fails where it is not h and size bytes long (-1:
// any size). What verifies itself is not hashed again.
func copyVerified(ctx context.Context, w io.Writer, rc io.Reader, h v1.Hash, size int64) error {
	buffer := make([]byte, copyBuffer)
	if verified.By(rc, h, size) {
		_, err := io.CopyBuffer(w, reader{ctx, rc}, buffer)
		return err
	}
	sum, err := v1.Hasher(h.Algorithm)
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(io.MultiWriter(w, sum), reader{ctx, rc}, buffer)
	if err != nil {
		return err
	}
	got := v1.Hash{Algorithm: h.Algorithm, Hex: hex.EncodeToString(sum.Sum(nil))}
	switch {
	case size >= 0 && n != size:
		return fmt.Errorf("the content has %d bytes instead of %d", n, size)
	case got != h:
		return fmt.Errorf("the content has the digest '%s'", got)
	}
	return nil
}

// reader ends with its context. It lives as long as one copy does.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
