package tarfile

import (
	"bufio"
	"bytes"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

type format int

const (
	plain format = iota
	gzipped
	zstandard
)

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

func sniff(head []byte) format {
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		return gzipped
	case bytes.HasPrefix(head, zstdMagic):
		return zstandard
	default:
		return plain
	}
}

func sniffFile(f *os.File) (format, error) {
	head := make([]byte, len(zstdMagic))
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return plain, err
	}
	return sniff(head[:n]), nil
}

// Decompress gives the content of r: decompressed where its first bytes say
// gzip or zstd, else as it is. Closing the result closes r.
func Decompress(r io.ReadCloser) (io.ReadCloser, error) {
	content, done, err := decompress(r)
	if err != nil {
		r.Close()
		return nil, err
	}
	return &decompressed{content, done, r}, nil
}

type decompressed struct {
	io.Reader
	done   func()
	source io.Closer
}

func (d *decompressed) Close() error {
	d.done()
	return d.source.Close()
}

func decompress(r io.Reader) (content io.Reader, done func(), err error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	head, err := buffered.Peek(len(zstdMagic))
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	switch sniff(head) {
	case gzipped:
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { z.Close() }, nil
	case zstandard:
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	default:
		return buffered, func() {}, nil
	}
}
