// Command limit does the part of packaging that no program can leave out, and
// nothing else: it reads the files of each folder, hashes them as one stream,
// compresses them with gzip at the level of published layers and hashes what
// comes out. There is no tar, no spool, no network.
//
//	limit FOLDER…
//
// One folder stands for one platform. The stream is cut into fixed blocks that
// are compressed on all cores at once; the hash of a folder's stream cannot be
// split, so each folder has one goroutine for it.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"
)

// blockSize is how much of a stream is compressed at once, and level how hard:
// both are those of published layers (pkg/layer).
const (
	blockSize = 1 << 20
	level     = 3
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: limit FOLDER…")
		os.Exit(2)
	}
	read, written, err := run(context.Background(), os.Args[1:], runtime.GOMAXPROCS(0))
	if err != nil {
		fmt.Fprintf(os.Stderr, "ERROR: %v\n", err)
		os.Exit(1)
	}
	fmt.Printf("read %d bytes, compressed to %d\n", read, written)
}

// run compresses the folders' files on the given number of workers and gives
// the number of bytes read and the number of compressed ones.
func run(ctx context.Context, folders []string, workers int) (read, written int64, err error) {
	c := compressor{blocks: make(chan []byte, workers)}
	c.buffers.New = func() any { return new([blockSize]byte) }
	var readers, compressors errgroup.Group
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range workers {
		compressors.Go(func() error {
			err := c.work()
			if err != nil {
				cancel()
			}
			return err
		})
	}
	for _, folder := range folders {
		readers.Go(func() error { return c.feed(ctx, folder) })
	}
	readErr := readers.Wait()
	close(c.blocks)
	return c.read.Load(), c.written.Load(), errors.Join(readErr, compressors.Wait())
}

type compressor struct {
	blocks        chan []byte
	buffers       sync.Pool
	read, written atomic.Int64
}

// feed hashes a folder's files as one stream and hands the stream on in blocks.
func (c *compressor) feed(ctx context.Context, folder string) error {
	hash := sha256.New()
	block := c.buffers.Get().(*[blockSize]byte)[:0]
	flush := func() error {
		hash.Write(block)
		c.read.Add(int64(len(block)))
		select {
		case c.blocks <- block:
		case <-ctx.Done():
			return ctx.Err()
		}
		block = c.buffers.Get().(*[blockSize]byte)[:0]
		return nil
	}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		for {
			n, err := io.ReadFull(f, block[len(block):blockSize])
			block = block[:len(block)+n]
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				return nil
			}
			if err != nil {
				return fmt.Errorf("reading '%s': %w", path, err)
			}
			if err := flush(); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return err
	}
	return flush()
}

// work compresses blocks until there are no more, and hashes the result.
func (c *compressor) work() error {
	hash := sha256.New()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		return err
	}
	for block := range c.blocks {
		out.Reset()
		w.Reset(&out)
		if _, err := w.Write(block); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		hash.Write(out.Bytes())
		c.written.Add(int64(out.Len()))
		c.buffers.Put((*[blockSize]byte)(block[:blockSize]))
	}
	return nil
}
