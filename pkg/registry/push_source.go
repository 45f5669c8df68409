package registry

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/multipack/multipack/internal/verified"
)

// source opens a blob verified, and remembers why reading it failed: that, and
// not the connection that broke in consequence, is the reason to tell. Content
// whose verification can be left to the registry, which compares it with the
// digest that ends the upload, is hashed here only where the registry refuses it.
type source struct {
	blob     Blob
	progress func(int64)
	// local is set where it is sent, in plain text, to a registry of this machine.
	local bool

	mu  sync.Mutex
	raw bool // it was sent as it was read
	err error
}

func (s *source) open() (io.ReadCloser, error) {
	rc, err := s.blob.Open()
	if err != nil {
		s.failed(err)
		return nil, err
	}
	progress := seldom(s.progress, s.blob.Size)
	if raw, ok := verified.Unverified(rc); ok && s.blob.Size >= 0 {
		s.mu.Lock()
		s.raw = true
		s.mu.Unlock()
		if s.local {
			if f := openFile(raw, s.blob.Size); f != nil {
				return f, nil
			}
		}
		rc = &toldBody{ReadCloser: raw, notify: progress}
	} else if rc, err = s.verified(rc, progress); err != nil {
		return nil, err
	}
	return &sourceBody{ReadCloser: rc, source: s}, nil
}

func (s *source) verified(rc io.ReadCloser, progress func(int64)) (io.ReadCloser, error) {
	if verified.By(rc, s.blob.Digest, s.blob.Size) {
		return &toldBody{ReadCloser: rc, notify: progress}, nil
	}
	v, err := verify(rc, s.blob.Digest, s.blob.Size, progress)
	if err != nil {
		_ = rc.Close()
		s.failed(err)
	}
	return v, err
}

// tellEvery is how many bytes go by before progress is told of again.
const tellEvery = 256 << 10

// seldom passes on about every tellEvery-th byte, and the size-th; nil stays nil.
func seldom(notify func(done int64), size int64) func(done int64) {
	if notify == nil {
		return nil
	}
	last := int64(0)
	return func(done int64) {
		if done-last >= tellEvery || done == size {
			last = done
			notify(done)
		}
	}
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
	if said, ok := errors.AsType[*answerError](err); ok && said.status == http.StatusBadRequest {
		s.audit()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.err != nil {
		return s.err
	}
	return err
}

// audit finds out whether the registry refused the content for good reason.
func (s *source) audit() {
	s.mu.Lock()
	raw := s.raw && s.err == nil
	s.mu.Unlock()
	if !raw {
		return
	}
	rc, err := s.blob.Open()
	if err == nil {
		rc, err = s.verified(rc, nil)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, rc)
		_ = rc.Close()
	}
	if err != nil {
		s.failed(err)
	}
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
