package registry

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/multipack/multipack/internal/verified"
)

// source opens a blob verified, and remembers why reading it failed: that, and
// not the connection that broke in consequence, is the reason to tell.
type source struct {
	blob     Blob
	progress func(int64)

	mu  sync.Mutex
	err error
}

func (s *source) open() (io.ReadCloser, error) {
	rc, err := s.blob.Open()
	if err != nil {
		s.failed(err)
		return nil, err
	}
	if verified.By(rc, s.blob.Digest, s.blob.Size) {
		rc = &toldBody{ReadCloser: rc, notify: s.progress}
	} else if rc, err = verify(rc, s.blob.Digest, s.blob.Size, s.progress); err != nil {
		s.failed(err)
		return nil, err
	}
	return &sourceBody{ReadCloser: rc, source: s}, nil
}

// toldBody tells of the bytes that were read; notify may be nil.
type toldBody struct {
	io.ReadCloser
	done   int64
	notify func(done int64)
}

func (b *toldBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.done += int64(n)
	if n > 0 && b.notify != nil {
		b.notify(b.done)
	}
	return n, err
}

func (s *source) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = &sourceError{err}
}

// blame is the source's failure, if it failed, else err.
func (s *source) blame(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.err != nil {
		return s.err
	}
	return err
}

// sourceBody ends with its close: what a read says after that, or because of
// it, is no failure of the source.
type sourceBody struct {
	io.ReadCloser
	source *source
	closed atomic.Bool
}

func (b *sourceBody) Close() error {
	b.closed.Store(true)
	return b.ReadCloser.Close()
}

func (b *sourceBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && !b.closed.Load() {
		b.source.failed(err)
	}
	return n, err
}
