package layer

import (
	"context"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"sync"

	"github.com/multipack/multipack/pkg/tree"
)

const (
	// segmentSize is the length of a segment at most, and of all but the last of
	// a large file's.
	segmentSize = 1 << 20
	// largeFile is the length from which on a file has segments of its own.
	largeFile = 128 << 10
	// gatherSize is the length from which on a segment of small entries may end:
	// it does before the first header whose checksum is a multiple of gatherEvery.
	// So layers that differ in few small files still share most segments.
	gatherSize  = 256 << 10
	gatherEvery = 8
	// tarBlock is what contents are padded to.
	tarBlock = 512
)

// stream cuts a tar into segments, hashes it, and hands the segments out in
// order. One goroutine writes it.
type stream struct {
	maker *Maker
	buf   []byte // the segment that is being filled; nil: none
	diff  hash.Hash
	crc   uint32
	size  int64
	out   chan<- *segment
	group *sync.WaitGroup // of segments under way
}

// produce writes the whole tar.
func (s *stream) produce(ctx context.Context, from spec) error {
	err := from.write(ctx, s)
	if err == nil {
		err = s.cut(ctx)
	}
	if s.buf != nil {
		s.maker.buffers <- s.buf
		s.buf = nil
	}
	return err
}

// write adds bytes that belong to no file.
func (s *stream) write(ctx context.Context, p []byte) error {
	for len(p) > 0 {
		if err := s.room(ctx); err != nil {
			return err
		}
		n := min(len(p), segmentSize-len(s.buf))
		s.buf = append(s.buf, p[:n]...)
		p = p[n:]
	}
	return nil
}

// entry adds a header, the place where a segment of small entries may end.
func (s *stream) entry(ctx context.Context, header []byte) error {
	if len(s.buf) >= gatherSize && crc32.ChecksumIEEE(header)%gatherEvery == 0 {
		if err := s.cut(ctx); err != nil {
			return err
		}
	}
	return s.write(ctx, header)
}

// content adds a file's content and its padding.
func (s *stream) content(ctx context.Context, e *tree.Entry) error {
	large := e.Size >= largeFile
	if large {
		if err := s.cut(ctx); err != nil {
			return err
		}
	}
	rc, err := e.Open()
	if err != nil {
		return err
	}
	err = s.copy(ctx, rc, e)
	if closeErr := rc.Close(); err == nil {
		err = closeErr
	}
	if err == nil && large {
		err = s.cut(ctx)
	}
	if err != nil {
		return err
	}
	var zeros [tarBlock]byte
	return s.write(ctx, zeros[:(tarBlock-e.Size%tarBlock)%tarBlock])
}

// copy reads exactly the entry's content into segments.
func (s *stream) copy(ctx context.Context, r io.Reader, e *tree.Entry) error {
	for left := e.Size; left > 0; {
		if err := s.room(ctx); err != nil {
			return err
		}
		at := len(s.buf)
		n, err := r.Read(s.buf[at:min(segmentSize, at+int(min(left, segmentSize)))])
		s.buf = s.buf[:at+n]
		left -= int64(n)
		s.maker.observe(int64(n), 0)
		if err == io.EOF && left > 0 {
			return fmt.Errorf("reading '%s': it ended %d bytes before its %d", e.Path, left, e.Size)
		}
		if err != nil && err != io.EOF {
			return err
		}
	}
	var more [1]byte
	switch n, err := r.Read(more[:]); {
	case n > 0:
		return fmt.Errorf("reading '%s': it is longer than its %d bytes", e.Path, e.Size)
	case err != nil && err != io.EOF:
		return err
	}
	return nil
}

// room makes sure that there is a buffer with room in it.
func (s *stream) room(ctx context.Context) error {
	if len(s.buf) == segmentSize {
		if err := s.cut(ctx); err != nil {
			return err
		}
	}
	if s.buf != nil {
		return context.Cause(ctx)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case s.buf = <-s.maker.buffers:
	}
	if s.buf == nil {
		s.buf = make([]byte, 0, segmentSize)
	}
	s.buf = s.buf[:0]
	return nil
}

// cut ends the segment, if one has begun, and hands it to the encoders.
func (s *stream) cut(ctx context.Context) error {
	if len(s.buf) == 0 {
		return context.Cause(ctx)
	}
	s.diff.Write(s.buf)
	s.crc = crc32.Update(s.crc, crc32.IEEETable, s.buf)
	s.size += int64(len(s.buf))
	seg, plain := &segment{ready: make(chan struct{})}, s.buf
	s.buf = nil
	s.group.Go(func() { s.maker.encode(ctx, seg, plain) })
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case s.out <- seg:
		return nil
	}
}
