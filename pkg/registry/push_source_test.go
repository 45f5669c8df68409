package registry_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/verified"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// TestContentOfOtherRegistries sends what is streamed from another repository,
// and what only claims to be content of another digest.
func TestContentOfOtherRegistries(t *testing.T) {
	t.Parallel()
	from, to := regtest.New(t), regtest.New(t)
	c := newClient(t, registry.Config{})
	raw := content(71, 300<<10)
	put(t, c, from.Repo("a"), blobOf(raw))
	rc, err := c.Blob(t.Context(), from.Repo("a"), sum(raw))
	if err != nil {
		t.Fatal(err)
	}
	rc.Close()
	if !verified.By(rc, sum(raw), int64(len(raw))) {
		t.Error("a blob of a registry does not say that it verifies itself")
	}
	b := blobOf(raw)
	b.Open = func() (io.ReadCloser, error) { return c.Blob(t.Context(), from.Repo("a"), sum(raw)) }
	var told int64
	if _, err := c.PutBlob(t.Context(), to.Repo("b"), b, func(done int64) { told = done }); err != nil || told != b.Size {
		t.Errorf("told of %d of %d bytes, %v", told, b.Size, err)
	}
	wrong := content(72, 300<<10)
	put(t, c, from.Repo("a"), blobOf(wrong))
	b = blobOf(content(73, 300<<10))
	b.Open = func() (io.ReadCloser, error) { return c.Blob(t.Context(), from.Repo("a"), sum(wrong)) }
	if _, err := c.PutBlob(t.Context(), to.Repo("b"), b, nil); err == nil {
		t.Error("content of another digest was sent")
	}
	broken := content(74, 300<<10)
	put(t, c, from.Repo("a"), blobOf(broken))
	front := changing(t, from, 1000)
	b = blobOf(broken)
	b.Open = func() (io.ReadCloser, error) { return c.Blob(t.Context(), repoAt(t, front+"/a"), sum(broken)) }
	_, err = c.PutBlob(t.Context(), to.Repo("b"), b, nil)
	wantKind(t, err, fault.Failed)
	wantText(t, err.Error(), "of '"+front+"/a'") // which of the two is to blame
	if has, err := c.HasBlob(t.Context(), to.Repo("b"), b.Digest); has || err != nil {
		t.Errorf("the registry has it: %v, %v", has, err)
	}
}

// changing is the address of a proxy to r that changes the at-th byte of every blob.
func changing(t *testing.T, r *regtest.Registry, at int64) string {
	t.Helper()
	target, err := url.Parse(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(resp *http.Response) error {
		if strings.Contains(resp.Request.URL.Path, "/blobs/") && resp.ContentLength > at {
			resp.Body = &changedBody{ReadCloser: resp.Body, at: at}
		}
		return nil
	}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	return strings.TrimPrefix(front.URL, "http://")
}

type changedBody struct {
	io.ReadCloser
	at int64
}

func (b *changedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.at >= 0 && b.at < int64(n) {
		p[b.at] ^= 1
	}
	b.at -= int64(n)
	return n, err
}

// file is content that its registry may verify for it, as the blobs of layouts are.
type file struct {
	io.Reader
	want   v1.Hash
	size   int64
	hashed *atomic.Int64 // bytes that were read by way of this type
}

func (f *file) Close() error { return nil }

func (f *file) Verifies(h v1.Hash, size int64) bool { return h == f.want && size == f.size }

func (f *file) Unverified() io.ReadCloser { return io.NopCloser(f.Reader) }

func (f *file) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if f.hashed.Add(int64(n)); err == io.EOF {
		return n, errors.New("the file is damaged")
	}
	return n, err
}

// TestFilesAreHashedByTheRegistry: and here only when it says that they are not right.
func TestFilesAreHashedByTheRegistry(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		r := start()
		c := newClient(t, registry.Config{Retries: 2})
		raw, hashed := content(75, 300<<10), &atomic.Int64{}
		open := func(raw []byte, want registry.Blob) func() (io.ReadCloser, error) {
			return func() (io.ReadCloser, error) {
				return &file{bytes.NewReader(raw), want.Digest, want.Size, hashed}, nil
			}
		}
		b := blobOf(raw)
		b.Open = open(raw, b)
		if out := put(t, c, r.Repo("a"), b); out != registry.Uploaded || hashed.Load() != 0 {
			t.Errorf("%s, %d bytes were hashed here", out, hashed.Load())
		}
		b = blobOf(content(76, 300<<10))
		b.Open = open(raw, b)
		_, err := c.PutBlob(t.Context(), r.Repo("a"), b, nil)
		wantKind(t, err, fault.Failed)
		wantText(t, err.Error(), "the file is damaged")
		if has, err := c.HasBlob(t.Context(), r.Repo("a"), b.Digest); has || err != nil {
			t.Errorf("the registry has it: %v, %v", has, err)
		}
	})
}
