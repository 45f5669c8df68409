package registry

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// counter counts bytes that another goroutine may still be sending.
type counter struct{ n atomic.Int64 }

// sentBody counts what is sent, and says when its opening is over: after the
// first read, since a source may begin its work only then.
type sentBody struct {
	io.ReadCloser
	sent   *counter
	opened func()
}

func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.opened()
	b.sent.n.Add(int64(n))
	return n, err
}

func (b *sentBody) Close() error {
	b.opened()
	return b.ReadCloser.Close()
}

// answerBody counts what is received and tells end once, at close.
type answerBody struct {
	io.ReadCloser
	received int64
	err      error
	once     sync.Once
	end      func(received int64, err error)
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.received += int64(n)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

func (b *answerBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(func() { b.end(b.received, b.err) })
	return err
}

// ErrContent marks content of a registry that is not what its descriptor
// promises, or not what can be read as a manifest.
var ErrContent = errors.New("the content is not what its descriptor says")

// contentError says that content is not what its descriptor promises. No
// further try mends it.
type contentError struct{ msg string }

func (e *contentError) Error() string { return e.msg }

// Is makes errors.Is(err, ErrContent) true.
func (e *contentError) Is(target error) bool { return target == ErrContent }

// verifier passes content on while it compares it with a descriptor. What would
// complete wrong content is held back, so that nobody takes it for whole.
type verifier struct {
	io.ReadCloser
	want   v1.Hash
	size   int64
	done   int64
	sum    hash.Hash
	notify func(done int64)
	failed error
}

// verify is rc held to h and, when it is not negative, size; notify hears of the
// bytes so far and may be nil.
func verify(rc io.ReadCloser, h v1.Hash, size int64, notify func(int64)) (io.ReadCloser, error) {
	sum, err := v1.Hasher(h.Algorithm)
	if err != nil {
		return nil, &contentError{err.Error()}
	}
	return &verifier{ReadCloser: rc, want: h, size: size, sum: sum, notify: notify}, nil
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.failed != nil {
		return 0, v.failed
	}
	n, err := v.ReadCloser.Read(p)
	v.sum.Write(p[:n])
	v.done += int64(n)
	if v.failed = v.judge(err); v.failed != nil {
		return 0, v.failed
	}
	if n > 0 && v.notify != nil {
		v.notify(v.done)
	}
	return n, err
}

// Verifies implements verified.Stream.
func (v *verifier) Verifies(h v1.Hash, size int64) bool {
	return v.want == h && (size < 0 || size == v.size)
}

// judge compares what has come so far, err being the source's last word.
func (v *verifier) judge(err error) error {
	switch {
	case err != nil && err != io.EOF:
		return err
	case v.size >= 0 && v.done > v.size:
		return &contentError{fmt.Sprintf("the content of %s is longer than %d bytes", v.want, v.size)}
	case v.size >= 0 && err == io.EOF && v.done < v.size:
		return &contentError{fmt.Sprintf("the content of %s ends after %d of %d bytes", v.want, v.done, v.size)}
	case err == io.EOF || v.done == v.size:
		if got := fmt.Sprintf("%x", v.sum.Sum(nil)); got != v.want.Hex {
			return &contentError{fmt.Sprintf("the content's digest is %s:%s, not %s", v.want.Algorithm, got, v.want)}
		}
	}
	return nil
}

// continuedBody is the body of a blob whose connection may break: it asks for
// the rest, as often as the client may try again.
type continuedBody struct {
	wire *wire
	req  *http.Request
	m    manner
	body io.ReadCloser
	done int64
	size int64
	try  int
}

// continued makes resp's body one that continues, when its length is known.
func (w *wire) continued(req *http.Request, resp *http.Response, m manner) io.ReadCloser {
	if req.Method != http.MethodGet || resp.StatusCode != http.StatusOK || resp.ContentLength <= 0 || w.retries == 0 {
		return resp.Body
	}
	return &continuedBody{wire: w, req: req, m: m, body: resp.Body, size: resp.ContentLength}
}

func (b *continuedBody) Read(p []byte) (int, error) {
	for {
		n, err := b.body.Read(p)
		b.done += int64(n)
		if err == nil || b.done >= b.size || !transient(err) {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
		if !b.reopen() {
			return 0, err
		}
	}
}

// reopen asks for the rest; false when the tries are used up or the registry
// answers otherwise.
func (b *continuedBody) reopen() bool {
	ctx := b.req.Context()
	_ = b.body.Close()
	for b.try < b.wire.retries {
		if pause(ctx, b.wire.backoff(b.try)) != nil {
			return false
		}
		b.try++
		req := b.req.Clone(ctx)
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", b.done))
		resp, err := b.wire.exchange(req, b.m)
		if err != nil {
			if !transient(err) {
				return false
			}
			continue
		}
		if b.resume(resp) {
			return true
		}
		drain(resp)
		if resp.StatusCode != http.StatusOK && !retryableStatus(resp.StatusCode) {
			return false
		}
	}
	return false
}

// resume goes on reading resp: the rest, or everything from the start, of which
// what was read already is skipped.
func (b *continuedBody) resume(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusPartialContent:
		if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", b.done)) {
			return false
		}
	case http.StatusOK:
		if _, err := io.CopyN(io.Discard, resp.Body, b.done); err != nil {
			return false
		}
	default:
		return false
	}
	b.body = resp.Body
	return true
}

func (b *continuedBody) Close() error { return b.body.Close() }
