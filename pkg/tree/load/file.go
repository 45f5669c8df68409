package load

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/multipack/multipack/internal/fault"
)

const (
	// fineMargin and coarseMargin are how long before the listing a file's times
	// must lie for its stat data to identify its content: a write after the
	// reading then has a later time for certain. File systems that keep fractions
	// of a second tick at least every 10 ms; others tick every second or two.
	fineMargin   = 100 * time.Millisecond
	coarseMargin = 2500 * time.Millisecond
)

// identity is a file's entry ID, and whether later processes may rely on it:
// git's rule for its index. Where the system has no change time, they may not.
func identity(file string, info fs.FileInfo, st stat, now time.Time) (id string, durable bool) {
	mtime := info.ModTime()
	id = fmt.Sprintf("file:%s:%d:%d:%d:%d:%d:%o", file, info.Size(),
		mtime.UnixNano(), st.ctime.UnixNano(), st.inode.dev, st.inode.ino, uint32(info.Mode()))
	if st.ctime.IsZero() {
		return id, false
	}
	return id, settled(mtime, now) && settled(st.ctime, now)
}

// settled reports whether t is far enough in the past.
func settled(t, now time.Time) bool {
	margin := fineMargin
	if t.Nanosecond() == 0 {
		margin = coarseMargin
	}
	return now.Sub(t) >= margin
}

// openFile opens a listed file.
func openFile(file string, listed fs.FileInfo) func() (io.ReadCloser, error) {
	return openPart(file, listed, 0, listed.Size())
}

// openPart opens size bytes at offset of a listed file, and holds the file to
// what the listing said.
func openPart(file string, listed fs.FileInfo, offset, size int64) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		f, err := openPlain(file)
		if err != nil {
			return nil, readError(file, err)
		}
		info, err := f.Stat()
		if err == nil && changed(listed, info) {
			err = changedError(listed, info)
		}
		if err == nil && offset > 0 {
			_, err = f.Seek(offset, io.SeekStart)
		}
		if err != nil {
			f.Close()
			return nil, readError(file, err)
		}
		return &steady{f: f, name: file, listed: listed, left: size}, nil
	}
}

// changed compares size, time of writing and kind: what a writer cannot leave alone.
func changed(a, b fs.FileInfo) bool {
	return a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime()) || a.Mode().Type() != b.Mode().Type()
}

func changedError(a, b fs.FileInfo) error {
	if a.Size() != b.Size() {
		return fault.New(fault.Failed, "it changed while it was packaged: listed with %d bytes, now %d", a.Size(), b.Size())
	}
	return fault.New(fault.Failed, "it changed while it was packaged")
}

// steady reads a file that must not change meanwhile.
type steady struct {
	f      *os.File
	name   string
	listed fs.FileInfo
	left   int64
	done   bool
}

func (s *steady) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, s.finish()
	}
	if int64(len(p)) > s.left {
		p = p[:s.left]
	}
	n, err := s.f.Read(p)
	s.left -= int64(n)
	switch {
	case err == io.EOF && s.left > 0:
		return n, fault.New(fault.Failed, "reading '%s': it changed while it was packaged: it ends %d bytes too early", s.name, s.left)
	case err != nil && err != io.EOF:
		return n, readError(s.name, err)
	case s.left == 0: // checked at once: a reader that knows the size never asks for the end
		if err := s.finish(); err != io.EOF {
			return n, err
		}
	}
	return n, nil
}

// finish is io.EOF when the file is still what was listed.
func (s *steady) finish() error {
	if s.done {
		return io.EOF
	}
	info, err := s.f.Stat()
	if err != nil {
		return readError(s.name, err)
	}
	if changed(s.listed, info) {
		return readError(s.name, changedError(s.listed, info))
	}
	s.done = true
	return io.EOF
}

func (s *steady) Close() error { return s.f.Close() }

// section opens a part of a file of our own, any number of times and at once.
func section(f io.ReaderAt, offset, size int64) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(f, offset, size)), nil
	}
}

// escapes reports whether a cleaned archive name leaves the root.
func escapes(name string) bool { return name == ".." || strings.HasPrefix(name, "../") }
