package layer

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/maphash"

	"github.com/klauspost/compress/flate"

	"github.com/multipack/multipack/internal/fault"
)

// level is the compressor's: of those that are faster than the standard
// library's fastest, the first that is also smaller on binaries.
const level = 3

// gzipHeader starts the one member of a layer: no name, no time, no system.
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

// gzipTrailer is the empty last deflate block, and what gzip knows of the content.
func gzipTrailer(crc uint32, size int64) []byte {
	t := []byte{0x03, 0x00}
	t = binary.LittleEndian.AppendUint32(t, crc)
	return binary.LittleEndian.AppendUint32(t, uint32(size)) //nolint:gosec // modulo 2^32 by RFC 1952
}

// segment is one place in a layer's sequence of blocks.
type segment struct {
	ready chan struct{} // closed when block or err is set
	block *block
	err   error
}

// block is a compressed segment in the store: whole deflate blocks that end on
// a byte. Segments of equal content share one.
type block struct {
	done      chan struct{} // closed when the rest is set
	off, size int64
	err       error
}

// content tells segments apart: two hashes under seeds that this process drew by
// chance and tells nobody, 128 bits in all. It is several times as fast as a
// cryptographic hash, and never leaves the Maker.
type content struct {
	size   int
	hashes [2]uint64
}

func (m *Maker) contentOf(plain []byte) content {
	return content{size: len(plain), hashes: [2]uint64{maphash.Bytes(m.seeds[0], plain), maphash.Bytes(m.seeds[1], plain)}}
}

// encoder is what compressing needs and is worth keeping.
type encoder struct {
	deflate *flate.Writer
	out     bytes.Buffer
}

// encode compresses a segment, or finds it compressed already, and gives the
// buffer back.
func (m *Maker) encode(ctx context.Context, s *segment, plain []byte) {
	defer close(s.ready)
	defer func() { m.buffers <- plain }()
	var enc *encoder
	select {
	case <-ctx.Done():
		s.err = context.Cause(ctx)
		return
	case enc = <-m.encoders:
	}
	defer func() { m.encoders <- enc }()

	id := m.contentOf(plain)
	m.mu.Lock()
	b, known := m.memo[id]
	if !known {
		b = &block{done: make(chan struct{})}
		m.memo[id] = b
	}
	m.mu.Unlock()
	s.block = b
	if known {
		return
	}
	defer close(b.done)
	if enc == nil {
		enc = &encoder{}
	}
	if b.err = enc.compress(plain); b.err == nil {
		b.size = int64(enc.out.Len())
		b.off, b.err = m.store.put(enc.out.Bytes())
	}
	if b.err != nil {
		m.mu.Lock()
		delete(m.memo, id)
		m.mu.Unlock()
	}
}

// compress fills out. The result depends on plain alone, whatever was compressed
// before: a reset writer knows no earlier data.
func (e *encoder) compress(plain []byte) error {
	e.out.Reset()
	if e.deflate == nil {
		w, err := flate.NewWriter(&e.out, level)
		if err != nil {
			return fault.New(fault.Failed, "compressing: %w", err)
		}
		e.deflate = w
	} else {
		e.deflate.Reset(&e.out)
	}
	if _, err := e.deflate.Write(plain); err != nil {
		return fault.New(fault.Failed, "compressing: %w", err)
	}
	if err := e.deflate.Flush(); err != nil {
		return fault.New(fault.Failed, "compressing: %w", err)
	}
	return nil
}
