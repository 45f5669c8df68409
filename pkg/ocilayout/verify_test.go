package ocilayout_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"testing"
	"testing/iotest"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/verified"
	"github.com/multipack/multipack/pkg/ocilayout"
)

func hashOf(raw []byte) v1.Hash {
	sum := sha256.Sum256(raw)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

func TestVerifyHoldsBackWhatWouldCompleteOtherContent(t *testing.T) {
	t.Parallel()
	right, wrong := []byte("right"), []byte("wrong")
	for _, source := range []func([]byte) io.Reader{
		func(p []byte) io.Reader { return bytes.NewReader(p) },
		func(p []byte) io.Reader { return iotest.DataErrReader(bytes.NewReader(p)) },
		func(p []byte) io.Reader { return iotest.OneByteReader(bytes.NewReader(p)) },
	} {
		v := must(ocilayout.Verify(io.NopCloser(source(wrong)), hashOf(right), int64(len(right))))
		got, err := io.ReadAll(v)
		if err == nil || len(got) >= len(wrong) {
			t.Errorf("read %q, %v, want an error before the last byte", got, err)
		}
		v = must(ocilayout.Verify(io.NopCloser(source(right)), hashOf(right), int64(len(right))))
		if got, err := io.ReadAll(v); err != nil || !bytes.Equal(got, right) {
			t.Errorf("read %q, %v", got, err)
		}
	}
}

func TestVerifyHashesOnce(t *testing.T) {
	t.Parallel()
	raw := []byte("content")
	h, size := hashOf(raw), int64(len(raw))
	first := must(ocilayout.Verify(io.NopCloser(bytes.NewReader(raw)), h, size))
	if again := must(ocilayout.Verify(first, h, size)); again != first {
		t.Error("what is verified already is hashed again")
	}
	other := hashOf([]byte("another"))
	for name, again := range map[string]io.ReadCloser{
		"another digest": must(ocilayout.Verify(first, other, size)),
		"another size":   must(ocilayout.Verify(first, h, size+1)),
	} {
		if again == first {
			t.Errorf("%s: it is not verified", name)
		}
	}
	if !verified.By(first, h, -1) || verified.By(bytes.NewReader(raw), h, size) {
		t.Error("the wrong stream is said to verify itself")
	}
}

// TestLayersVerifyThemselves keeps sinks from hashing layers a second time.
func TestLayersVerifyThemselves(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	img := image(t, "amd64")
	layer := must(img.Layers())[0]
	h, size := must(layer.Digest()), must(layer.Size())
	if _, err := must(ocilayout.Create(path)).WriteBlob(t.Context(), h, size, layer.Compressed); err != nil {
		t.Fatal(err)
	}
	if err := must(ocilayout.Create(path)).SetEntries(t.Context(), func(ds []v1.Descriptor) ([]v1.Descriptor, error) { return ds, nil }); err != nil {
		t.Fatal(err)
	}
	l, err := ocilayout.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	rc, _, err := l.Blob(h)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if !verified.By(rc, h, size) {
		t.Error("a layout's blob does not say that it verifies itself")
	}
}
