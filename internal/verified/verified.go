// Package verified lets a stream say that it is compared with a digest while it
// is read, so that content is hashed once on its way, however many rooms it
// passes that must not take it unverified.
package verified

import (
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Stream is content that compares itself. Where it answers true, whoever has
// read it to io.EOF, or size bytes of it without an error, has read exactly size
// bytes with the digest h; what would complete other content is held back and
// an error in its place. A size of -1 leaves the length to the digest: then
// only io.EOF says that the content is right.
type Stream interface {
	Verifies(h v1.Hash, size int64) bool
}

// source is content that may be left to others to verify.
type source interface{ Unverified() io.ReadCloser }

// Unverified is the content of a stream of which nothing was read yet, of the
// length that is known of it, without comparing it with a digest: for who hands
// it to somebody that does, so that it is done once. ok is false where the content
// must not be passed on like that.
func Unverified(rc io.ReadCloser) (raw io.ReadCloser, ok bool) {
	s, ok := rc.(source)
	if !ok {
		return nil, false
	}
	return s.Unverified(), true
}

// By reports whether r is a Stream that verifies h and size. Any other content
// has to be verified by who takes it.
func By(r io.Reader, h v1.Hash, size int64) bool {
	s, ok := r.(Stream)
	return ok && s.Verifies(h, size)
}
