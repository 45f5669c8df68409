package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// compressions is how many layers are compressed at once; each may use several
// cores itself.
const compressions = 2

// spool holds compressed layers in temporary files until it is removed.
type spool struct {
	mu    sync.Mutex
	files []string
}

func (s *spool) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		os.Remove(f)
	}
	s.files = nil
}

// compress turns the layers that are plain tars into compressed ones, in place.
// Each is read once, and verified against its diff ID while that happens. The
// same layer twice is compressed once.
func (s *spool) compress(ctx context.Context, layers []*savedLayer, gzip func(io.Writer) (io.WriteCloser, error)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(compressions)
	first := map[v1.Hash]*savedLayer{}
	for _, l := range layers {
		if l.mediaType != types.OCIUncompressedLayer || first[l.diffID] != nil {
			continue
		}
		first[l.diffID] = l
		group.Go(func() error {
			if err := s.compressOne(ctx, l, gzip); err != nil {
				return fmt.Errorf("compressing layer '%s': %w", l.diffID, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, l := range layers {
		if done := first[l.diffID]; done != nil && l.mediaType == types.OCIUncompressedLayer {
			layers[i] = done
		}
	}
	return nil
}

func (s *spool) compressOne(ctx context.Context, l *savedLayer, gzip func(io.Writer) (io.WriteCloser, error)) error {
	plain, err := l.Compressed()
	if err != nil {
		return err
	}
	defer plain.Close()
	f, err := os.CreateTemp("", "multipack-*.tar.gz")
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.files = append(s.files, f.Name())
	s.mu.Unlock()
	defer f.Close()

	hash := sha256.New()
	w, err := gzip(io.MultiWriter(f, hash))
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, contextReader{ctx, plain}); err != nil {
		w.Close()
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	l.digest = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(hash.Sum(nil))}
	l.size, l.mediaType = size, types.OCILayer
	path := f.Name()
	l.open = func() (io.ReadCloser, error) { return os.Open(path) }
	return nil
}
