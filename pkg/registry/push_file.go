package registry

import (
	"io"
	"os"
	"syscall"
)

// part is content that stands in a file from its current place on, or says of
// which part of what it is, as *io.SectionReader does.
type part interface {
	Outer() (r io.ReaderAt, off int64, n int64)
}

// fileBody is size bytes of a file, of which net/http lets the system send them
// to a registry of this machine: they never pass through this process. It is the
// last word on who has read how much, whoever moved the file's place.
type fileBody struct {
	file       *os.File
	start, end int64
}

// openFile is the content of rc as a file of its own, nil where it has none. rc
// is closed where it is not needed any more.
func openFile(rc io.ReadCloser, size int64) *fileBody {
	var off int64
	f, ok := rc.(*os.File)
	if !ok {
		section, is := rc.(part)
		if !is {
			return nil
		}
		outer, at, n := section.Outer()
		within, is := outer.(*os.File)
		if !is || n != size {
			return nil
		}
		if f = again(within); f == nil {
			return nil
		}
		off = at
		_ = rc.Close()
	}
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		if !ok {
			_ = f.Close()
		}
		return nil
	}
	return &fileBody{file: f, start: off, end: off + size}
}

// again opens the same file once more, nil where it is not to be had under its
// name: a section shares its place with others.
func again(f *os.File) *os.File {
	have, err := f.Stat()
	if err != nil {
		return nil
	}
	out, err := os.Open(f.Name())
	if err != nil {
		return nil
	}
	if now, err := out.Stat(); err != nil || !os.SameFile(have, now) {
		_ = out.Close()
		return nil
	}
	return out
}

// done is how many bytes were read.
func (b *fileBody) done() int64 {
	at, err := b.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0
	}
	return at - b.start
}

func (b *fileBody) Read(p []byte) (int, error) {
	left := b.end - b.start - b.done()
	if left <= 0 {
		return 0, io.EOF
	}
	return b.file.Read(p[:min(int64(len(p)), left)])
}

func (b *fileBody) Close() error { return b.file.Close() }

// SyscallConn is what net.TCPConn asks for to have the system send the file.
func (b *fileBody) SyscallConn() (syscall.RawConn, error) { return b.file.SyscallConn() }

// sentFile is a fileBody that counts what is sent.
type sentFile struct {
	*fileBody
	sent   *counter
	opened func()
}

func (b *sentFile) SyscallConn() (syscall.RawConn, error) {
	b.opened()
	return b.fileBody.SyscallConn()
}

func (b *sentFile) Read(p []byte) (int, error) {
	n, err := b.fileBody.Read(p)
	b.opened()
	b.sent.n.Store(b.done())
	return n, err
}

func (b *sentFile) Close() error {
	b.opened()
	b.sent.n.Store(b.done())
	return b.fileBody.Close()
}
