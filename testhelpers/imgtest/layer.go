package imgtest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"maps"
	"path"
	"slices"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// epoch is the time that buildpack packages carry everywhere.
var epoch = time.Date(1980, time.January, 1, 0, 0, 1, 0, time.UTC)

// layer is a compressed layer in memory.
type layer struct {
	desc   v1.Descriptor
	diffID v1.Hash
	bytes  []byte
}

func newLayer(tb testing.TB, spec ImageSpec, raw []byte) *layer {
	tb.Helper()
	l := &layer{diffID: digest(raw)}
	mt := types.OCILayer
	switch {
	case spec.Zstd:
		l.bytes, mt = zstdBytes(tb, raw), types.OCILayerZStd
	case spec.Docker:
		l.bytes, mt = gzipBytes(tb, raw), types.DockerLayer
	default:
		l.bytes = gzipBytes(tb, raw)
	}
	l.desc = describe(mt, l.bytes)
	return l
}

// Digest, DiffID, Compressed, Size and MediaType make a partial.CompressedLayer.

// Digest is the digest of the compressed bytes.
func (l *layer) Digest() (v1.Hash, error) { return l.desc.Digest, nil }

// DiffID is the digest of the tar stream.
func (l *layer) DiffID() (v1.Hash, error) { return l.diffID, nil }

// Compressed opens the compressed bytes.
func (l *layer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.bytes)), nil
}

// Size is the number of compressed bytes.
func (l *layer) Size() (int64, error) { return l.desc.Size, nil }

// MediaType is the layer's media type.
func (l *layer) MediaType() (types.MediaType, error) { return l.desc.MediaType, nil }

// Descriptor is the layer's descriptor, URLs included.
func (l *layer) Descriptor() (*v1.Descriptor, error) { return &l.desc, nil }

func digest(raw []byte) v1.Hash {
	sum := sha256.Sum256(raw)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

// noise gives n bytes that look random and depend on the seed alone.
func noise(seed string, n int) []byte {
	out := make([]byte, 0, n+sha256.Size)
	for i := uint64(0); len(out) < n; i++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(seed), i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

func singleFile(tb testing.TB, name string, content []byte) []byte {
	tb.Helper()
	return tarOf(tb, []*tar.Header{{Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: epoch}}, [][]byte{content})
}

// fileTar is the tar of files, with the folders they need, in path order.
// The folders above a buildpack's own have no entries (Distribution API: a
// layer's first entry below /cnb/buildpacks is the buildpack's folder).
func fileTar(tb testing.TB, files map[string]string) []byte {
	tb.Helper()
	var headers []*tar.Header
	var contents [][]byte
	seen := map[string]bool{"/cnb": true, "/cnb/buildpacks": true, "/cnb/extensions": true}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		var dirs []string
		for d := path.Dir(name); d != "." && d != "/" && !seen[d]; d = path.Dir(d) {
			seen[d] = true
			dirs = append(dirs, d)
		}
		slices.Reverse(dirs)
		for _, d := range dirs {
			headers = append(headers, &tar.Header{Typeflag: tar.TypeDir, Name: d, Mode: 0o755, ModTime: epoch})
			contents = append(contents, nil)
		}
		mode := int64(0o644)
		if path.Base(path.Dir(name)) == "bin" {
			mode = 0o755
		}
		headers = append(headers, &tar.Header{Name: name, Mode: mode, Size: int64(len(files[name])), ModTime: epoch})
		contents = append(contents, []byte(files[name]))
	}
	return tarOf(tb, headers, contents)
}

func tarOf(tb testing.TB, headers []*tar.Header, contents [][]byte) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for i, h := range headers {
		if err := w.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write(contents[i]); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func gzipBytes(tb testing.TB, raw []byte) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(raw); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func zstdBytes(tb testing.TB, raw []byte) []byte {
	tb.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		tb.Fatal(err)
	}
	out := w.EncodeAll(raw, nil)
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out
}
