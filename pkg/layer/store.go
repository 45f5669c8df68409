package layer

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/multipack/multipack/internal/fault"
)

// store is the temporary file of a Maker: every distinct compressed segment once.
type store struct {
	dir string

	mu  sync.Mutex
	f   *os.File
	end int64
}

// put writes a segment and says where.
func (s *store) put(p []byte) (int64, error) {
	s.mu.Lock()
	if s.f == nil {
		f, err := os.CreateTemp(s.dir, "multipack-layers-*")
		if err != nil {
			s.mu.Unlock()
			return 0, fault.New(fault.Failed, "making a temporary file for layers: %w", err)
		}
		s.f = f
	}
	f, off := s.f, s.end
	s.end += int64(len(p))
	s.mu.Unlock()
	if _, err := f.WriteAt(p, off); err != nil {
		return 0, fault.New(fault.Failed, "writing a temporary file for layers: %w", err)
	}
	return off, nil
}

// section reads a segment.
func (s *store) section(b *block) io.Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	return io.NewSectionReader(s.f, b.off, b.size)
}

// copy writes a segment to w by way of buf.
func (s *store) copy(w io.Writer, b *block, buf []byte) error {
	// The wrapper hides WriterTo, which would take a buffer of its own.
	n, err := io.CopyBuffer(w, struct{ io.Reader }{s.section(b)}, buf)
	if err == nil && n != b.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fault.New(fault.Failed, "reading a temporary file for layers: %w", err)
	}
	return nil
}

// close removes the file.
func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		return nil
	}
	err := s.f.Close()
	if errors.Is(err, fs.ErrClosed) {
		err = nil
	}
	if rm := os.Remove(s.f.Name()); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
		err = errors.Join(err, rm)
	}
	return err
}
