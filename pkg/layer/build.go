package layer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// build makes the layer. Three things go on at once: one goroutine reads and
// cuts the tar, the Maker's encoders compress segments in any order, and this
// one hashes the compressed segments in the order of the tar.
func (m *Maker) build(ctx context.Context, s spec) (*built, error) {
	m.observe(0, s.contents())
	select {
	case m.readers <- struct{}{}:
		defer func() { <-m.readers }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	var group sync.WaitGroup
	segments := make(chan *segment, 64)
	in := &stream{maker: m, diff: sha256.New(), out: segments, group: &group}
	group.Go(func() {
		defer close(segments)
		if err := in.produce(ctx, s); err != nil {
			stop(err)
		}
	})
	out, err := m.assemble(segments)
	if err != nil {
		stop(err)
		for range segments { // the producer must not wait for a reader that left
			continue
		}
	}
	group.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx) // the first error, also of the three
	}
	out.finish(in.crc, in.size)
	out.DiffID = sum(in.diff)
	return &out.built, nil
}

// output gathers what a built layer is.
type output struct {
	built
	digest hash.Hash
}

// assemble hashes the segments as they become ready.
func (m *Maker) assemble(segments <-chan *segment) (*output, error) {
	o := &output{digest: sha256.New()}
	o.add([]byte(gzipHeader))
	copied := make([]byte, 64<<10)
	for s := range segments {
		<-s.ready
		if s.err != nil {
			return nil, s.err
		}
		<-s.block.done
		if s.block.err != nil {
			return nil, s.block.err
		}
		if err := m.store.copy(o.digest, s.block, copied); err != nil {
			return nil, err
		}
		o.Size += s.block.size
		o.blocks = append(o.blocks, s.block)
	}
	return o, nil
}

// add takes in the frame around the segments.
func (o *output) add(p []byte) {
	o.digest.Write(p)
	o.Size += int64(len(p))
}

// finish closes the gzip member.
func (o *output) finish(crc uint32, size int64) {
	o.trailer = gzipTrailer(crc, size)
	o.add(o.trailer)
	o.Digest = sum(o.digest)
}

func sum(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}
