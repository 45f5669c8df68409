package ocilayout

import (
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/verified"
)

// verifier passes a stream on and fails where it is not what h and size say.
// The check happens with the last byte, not only at the end of the stream: a
// reader that stops after size bytes learns of it too. What would complete wrong
// content is held back, so that nobody takes it for whole.
type verifier struct {
	rc   io.ReadCloser
	hash hash.Hash
	want v1.Hash
	size int64 // -1: not known before
	read int64
	err  error
	wrap func(error) error // may be nil
}

// Verify passes rc on and fails with ErrCorrupt where its content is not h and
// size bytes long (-1: any size). Closing the result closes rc; on an error rc
// stays open. What verifies itself is not hashed again.
func Verify(rc io.ReadCloser, h v1.Hash, size int64) (io.ReadCloser, error) {
	if verified.By(rc, h, size) {
		return rc, nil
	}
	return newVerifier(rc, h, size)
}

func newVerifier(rc io.ReadCloser, h v1.Hash, size int64) (*verifier, error) {
	hasher, err := v1.Hasher(h.Algorithm)
	if err != nil {
		return nil, err
	}
	return &verifier{rc: rc, hash: hasher, want: h, size: size}, nil
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.rc.Read(p)
	v.hash.Write(p[:n])
	v.read += int64(n)
	switch {
	case v.size >= 0 && v.read > v.size:
		v.fail(fmt.Errorf("%w: it has more than %d bytes", ErrCorrupt, v.size))
	case v.size >= 0 && v.read < v.size && err == io.EOF:
		v.fail(fmt.Errorf("%w: it has %d bytes instead of %d", ErrCorrupt, v.read, v.size))
	case err != nil && err != io.EOF:
		v.fail(err)
	case v.read == v.size && n > 0, err == io.EOF:
		if sum := fmt.Sprintf("%x", v.hash.Sum(nil)); sum != v.want.Hex {
			v.fail(fmt.Errorf("%w: its digest is '%s:%s'", ErrCorrupt, v.want.Algorithm, sum))
		} else if err == io.EOF {
			v.err = io.EOF
		}
	}
	if v.err != nil && v.err != io.EOF {
		return 0, v.err
	}
	return n, v.err
}

// Verifies implements verified.Stream.
func (v *verifier) Verifies(h v1.Hash, size int64) bool {
	return v.want == h && (size < 0 || size == v.size)
}

// Unverified is what is read, for verified.Unverified.
func (v *verifier) Unverified() io.ReadCloser { return v.rc }

func (v *verifier) fail(err error) {
	if v.wrap != nil {
		err = v.wrap(err)
	}
	v.err = err
}

func (v *verifier) Close() error { return v.rc.Close() }
