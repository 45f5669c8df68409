// Package tarfile gives random access to the files of a tar: one pass builds a
// table of offsets, after which every file is a section of the archive. What
// is compressed or no regular file is first spooled to a temporary file, so
// that nothing is ever held in memory.
package tarfile

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// ErrNotTar marks content that is no tar at all.
var ErrNotTar = errors.New("it is no tar archive")

// maxLinks bounds how many links lead from one name to its content.
const maxLinks = 16

// File is an open tar. It is safe for concurrent use until Close.
type File struct {
	file    *os.File
	entries map[string]entry
	temp    bool
}

type entry struct {
	offset, size int64
	link         string // the name this entry stands for; "" for content
}

// Open opens the tar at path: plain, or compressed with gzip or zstd. A path
// that is no regular file (a FIFO) is read once to its end. Errors wrap
// fs.ErrNotExist where path does not exist and ErrNotTar where its content is
// no tar; ctx ends the spooling.
func Open(ctx context.Context, path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, bare(err)
	}
	if info.IsDir() || info.Mode()&(fs.ModeSocket|fs.ModeDevice) != 0 {
		return nil, fmt.Errorf("it is no file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, bare(err)
	}
	if !info.Mode().IsRegular() {
		defer f.Close()
		return Spool(ctx, f)
	}
	format, err := sniffFile(f)
	if err != nil {
		f.Close()
		return nil, bare(err)
	}
	if format != plain {
		defer f.Close()
		return Spool(ctx, f)
	}
	return index(f, false)
}

// Spool copies r, decompressed where it is gzip or zstd, to a temporary file
// and opens that. Close removes it. It returns when ctx ends, even while r
// waits for content.
func Spool(ctx context.Context, r io.Reader) (*File, error) {
	piped, stop := cancellable(ctx, r)
	defer stop()
	content, done, err := decompress(piped)
	if err != nil {
		return nil, err
	}
	defer done()
	f, err := os.CreateTemp("", "multipack-*.tar")
	if err != nil {
		return nil, fmt.Errorf("creating a temporary file: %w", err)
	}
	_, err = io.Copy(f, content)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		os.Remove(f.Name())
		return nil, err
	}
	return index(f, true)
}

// index takes f over.
func index(f *os.File, temp bool) (*File, error) {
	t := &File{file: f, entries: map[string]entry{}, temp: temp}
	if err := t.scan(); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func (t *File) scan() error {
	info, err := t.file.Stat()
	if err != nil {
		return bare(err)
	}
	// The reader gets the bare file: archive/tar reads whole blocks and seeks
	// over content, so that after Next the file stands where the content begins.
	tr := tar.NewReader(t.file)
	for n := 0; ; n++ {
		h, err := tr.Next()
		if err == io.EOF && n > 0 {
			return nil
		}
		if err != nil {
			if n == 0 {
				return ErrNotTar
			}
			return fmt.Errorf("reading entry %d: %w", n+1, err)
		}
		name := Clean(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			offset, err := t.file.Seek(0, io.SeekCurrent)
			if err != nil {
				return bare(err)
			}
			if offset+h.Size > info.Size() {
				return fmt.Errorf("reading '%s': the archive is truncated: %w", name, io.ErrUnexpectedEOF)
			}
			t.entries[name] = entry{offset: offset, size: h.Size}
		case tar.TypeLink:
			t.entries[name] = entry{link: Clean(h.Linkname)}
		case tar.TypeSymlink:
			target := h.Linkname
			if !path.IsAbs(target) {
				target = path.Join(path.Dir("/"+name), target)
			}
			t.entries[name] = entry{link: Clean(target)}
		}
	}
}

// Clean is the name under which an entry is found: no leading "/" or "./",
// nothing above the root. The root itself is "".
func Clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

func (t *File) find(name string) (entry, error) {
	name = Clean(name)
	for range maxLinks {
		e, ok := t.entries[name]
		if !ok {
			return entry{}, fs.ErrNotExist
		}
		if e.link == "" {
			return e, nil
		}
		name = e.link
	}
	return entry{}, fmt.Errorf("too many links")
}

// Has reports whether name is a file of the archive.
func (t *File) Has(name string) bool {
	_, err := t.find(name)
	return err == nil
}

// Open gives the content and size of the file name, links followed; an error
// wraps fs.ErrNotExist where the archive does not hold it.
func (t *File) Open(name string) (io.ReadCloser, int64, error) {
	e, err := t.find(name)
	if err != nil {
		return nil, 0, err
	}
	return section{io.NewSectionReader(t.file, e.offset, e.size)}, e.size, nil
}

// section is a file within the archive; it says of which part of the archive.
type section struct{ *io.SectionReader }

// Close does nothing.
func (section) Close() error { return nil }

// ReadFile gives the content of the small file name; more than limit bytes are
// an error.
func (t *File) ReadFile(name string, limit int64) ([]byte, error) {
	rc, size, err := t.Open(name)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	if size > limit {
		return nil, fmt.Errorf("%d bytes are more than the %d that it may have", size, limit)
	}
	return io.ReadAll(rc)
}

// Close closes the archive and removes what was spooled.
func (t *File) Close() error {
	err := t.file.Close()
	if t.temp {
		err = errors.Join(err, os.Remove(t.file.Name()))
	}
	return err
}

// bare is err without the operation and path, which the caller names.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// cancellable is r, ending with ctx even while a read of r waits (for a
// terminal, for a pipe that nobody writes to); that read is then left behind.
func cancellable(ctx context.Context, r io.Reader) (piped io.Reader, stop func()) {
	pr, pw := io.Pipe()
	go func() {
		_, err := io.Copy(pw, r)
		pw.CloseWithError(err)
	}()
	release := context.AfterFunc(ctx, func() { pw.CloseWithError(context.Cause(ctx)) })
	return pr, func() {
		release()
		pr.Close()
	}
}
