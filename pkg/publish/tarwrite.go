package publish

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/verified"
)

// tarEntry is one file of an archive.
type tarEntry struct {
	name string
	size int64
	// digest, where it is set, is what the content must have.
	digest v1.Hash
	open   func() (io.ReadCloser, error)
}

func dataEntry(name string, data []byte) tarEntry {
	return tarEntry{name: name, size: int64(len(data)), open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// archiveTime is the time of every entry, the one that buildpack packages carry.
func archiveTime() time.Time { return time.Unix(315532801, 0).UTC() } // 1980-01-01T00:00:01Z

// writeTar writes entries in their order, each directory before its first file.
// Names have no leading '/': containerd's import, which is docker load of the
// containerd image store, knows the files of a layout without it only.
func writeTar(ctx context.Context, w io.Writer, entries []tarEntry) error {
	tw := tar.NewWriter(w)
	dirs := map[string]bool{".": true}
	for _, e := range entries {
		if err := writeDirs(tw, path.Dir(e.name), dirs); err != nil {
			return fmt.Errorf("writing '%s': %w", e.name, err)
		}
		if err := writeFile(ctx, tw, e); err != nil {
			return fmt.Errorf("writing '%s': %w", e.name, err)
		}
	}
	return tw.Close()
}

func writeDirs(tw *tar.Writer, dir string, done map[string]bool) error {
	if done[dir] {
		return nil
	}
	done[dir] = true
	if err := writeDirs(tw, path.Dir(dir), done); err != nil {
		return err
	}
	return tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: archiveTime()})
}

func writeFile(ctx context.Context, tw *tar.Writer, e tarEntry) error {
	rc, err := e.open()
	if err != nil {
		return err
	}
	defer rc.Close()
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: 0o644, Size: e.size, ModTime: archiveTime()}); err != nil {
		return err
	}
	if e.digest == (v1.Hash{}) || verified.By(rc, e.digest, e.size) {
		_, err := copyContext(ctx, tw, rc)
		return err
	}
	sum, err := v1.Hasher(e.digest.Algorithm)
	if err != nil {
		return err
	}
	n, err := copyContext(ctx, tw, io.TeeReader(rc, sum))
	if err != nil {
		return err
	}
	if have := hex.EncodeToString(sum.Sum(nil)); n != e.size || have != e.digest.Hex {
		return fault.New(fault.Failed, "the content is not what its digest says: %d of %d bytes with the digest '%s:%s'", n, e.size, e.digest.Algorithm, have)
	}
	return nil
}

// copyBuffer is how many bytes one read and one write of a copy move: large
// enough that reads of a connection pass its buffer by.
const copyBuffer = 256 << 10

// copyContext is io.Copy that ends with its context.
func copyContext(ctx context.Context, w io.Writer, r io.Reader) (int64, error) {
	return io.CopyBuffer(onlyWriter{w}, readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	}), make([]byte, copyBuffer))
}

// onlyWriter hides a ReadFrom that would bring a buffer of its own.
type onlyWriter struct{ io.Writer }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// meter tells how many bytes have gone through it.
type meter struct {
	w    io.Writer
	n    int64
	told func(n int64)
}

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.n += int64(n)
	m.told(m.n)
	return n, err
}

// isClosedPipe reports whether a writer failed because its reader was done.
func isClosedPipe(err error) bool { return errors.Is(err, io.ErrClosedPipe) }
