package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/testhelpers/regtest"
)

func TestPutBlobTakesThreeRequests(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		r := start()
		c := newClient(t, registry.Config{})
		raw := content(1, 300_000)
		var last int64
		out, err := c.PutBlob(t.Context(), r.Repo("a/b"), blobOf(raw), func(done int64) { last = done })
		if err != nil || out != registry.Uploaded {
			t.Fatalf("got %s, %v", out, err)
		}
		if last != int64(len(raw)) {
			t.Errorf("progress ended at %d of %d", last, len(raw))
		}
		// One for the greeting, then HEAD, POST, PUT.
		if got := r.Requests(); len(got) != 4 || r.Count("PUT", "") != 1 || r.Count("PATCH", "") != 0 {
			t.Errorf("requests:\n%s", lines(got))
		}
		if out := put(t, newClient(t, registry.Config{}), r.Repo("a/b"), blobOf(raw)); out != registry.Exists {
			t.Errorf("the second time: %s", out)
		}
		rc, err := c.Blob(t.Context(), r.Repo("a/b"), sum(raw))
		if err != nil {
			t.Fatal(err)
		}
		defer rc.Close()
		if got, err := io.ReadAll(rc); err != nil || !bytes.Equal(got, raw) {
			t.Errorf("read back %d bytes, %v", len(got), err)
		}
	})
}

func TestPutBlobOfUnknownSize(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		r := start()
		c := newClient(t, registry.Config{})
		raw := content(2, 200_000)
		b := blobOf(raw)
		b.Size = -1
		if out := put(t, c, r.Repo("a"), b); out != registry.Uploaded || r.Count("PATCH", "") != 1 {
			t.Errorf("got %s\n%s", out, lines(r.Requests()))
		}
		if has, err := c.HasBlob(t.Context(), r.Repo("a"), b.Digest); err != nil || !has {
			t.Errorf("has %v, %v", has, err)
		}
	})
}

func TestPutBlobEmpty(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		r := start()
		if out := put(t, newClient(t, registry.Config{}), r.Repo("a"), blobOf(nil)); out != registry.Uploaded {
			t.Errorf("got %s", out)
		}
	})
}

func TestPutBlobMountsWithoutBytes(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		r := start()
		c := newClient(t, registry.Config{})
		raw := content(3, 200_000)
		put(t, c, r.Repo("from/it"), blobOf(raw))
		r.Reset()
		elsewhere, _ := name.NewRepository("registry.test/from/it")
		b := blobOf(raw, elsewhere, r.Repo("from/it"))
		b.Open = func() (io.ReadCloser, error) { return nil, errors.New("opened") }
		if out := put(t, c, r.Repo("to/there"), b); out != registry.Mounted {
			t.Errorf("got %s", out)
		}
		if n := r.BytesIn(); n != 0 || len(r.Requests()) != 1 {
			t.Errorf("%d bytes sent\n%s", n, lines(r.Requests()))
		}
	})
}

// Where mounting failed once it is not asked for before looking again, and what
// is there is not sent.
func TestRefusedMountIsRemembered(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	c := newClient(t, registry.Config{})
	old := newClient(t, registry.Config{})
	var blobs []registry.Blob
	for seed := range 3 {
		raw := content(uint64(40+seed), 1000)
		put(t, old, r.Repo("to"), blobOf(raw))
		blobs = append(blobs, blobOf(raw, r.Repo("empty")))
	}
	r.Reset()
	for _, b := range blobs {
		b.Open = func() (io.ReadCloser, error) { return nil, errors.New("opened") }
		if out := put(t, c, r.Repo("to"), b); out != registry.Exists {
			t.Errorf("got %s", out)
		}
	}
	if posts, heads := r.Count("POST", ""), r.Count("HEAD", "/blobs/"); posts != 1 || heads != 3 {
		t.Errorf("%d mounts, %d questions\n%s", posts, heads, lines(r.Requests()))
	}
}

func TestRefusedMountIsUsedAsUpload(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		r := start()
		c := newClient(t, registry.Config{})
		raw := content(4, 1000)
		if out := put(t, c, r.Repo("to"), blobOf(raw, r.Repo("empty"), r.Repo("empty2"))); out != registry.Uploaded {
			t.Errorf("got %s", out)
		}
		if n := r.Count("POST", ""); n != 1 {
			t.Errorf("%d uploads were started\n%s", n, lines(r.Requests()))
		}
	})
}

func TestMountTriesTheNextCandidateOfALargeBlob(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	c := newClient(t, registry.Config{})
	raw := content(5, 100_000)
	put(t, c, r.Repo("second"), blobOf(raw))
	if out := put(t, c, r.Repo("to"), blobOf(raw, r.Repo("first"), r.Repo("second"))); out != registry.Mounted {
		t.Errorf("got %s", out)
	}
}

func TestPutBlobOnceForAll(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	c := newClient(t, registry.Config{})
	raw := content(6, 100_000)
	outcomes := make([]registry.Outcome, 8)
	var wg sync.WaitGroup
	for i := range outcomes {
		wg.Go(func() { outcomes[i], _ = c.PutBlob(t.Context(), r.Repo("a"), blobOf(raw), nil) })
	}
	wg.Wait()
	n := map[registry.Outcome]int{}
	for _, o := range outcomes {
		n[o]++
	}
	if n[registry.Uploaded] != 1 || n[registry.Exists] != len(outcomes)-1 || r.Count("PUT", "") != 1 || r.Count("POST", "") != 1 {
		t.Errorf("outcomes %v\n%s", n, lines(r.Requests()))
	}
}

func TestPutBlobRefusesWrongContent(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		r := start()
		c := newClient(t, registry.Config{Retries: 3})
		raw := content(7, 200_000)
		for what, b := range map[string]registry.Blob{
			"digest": {Digest: sum([]byte("x")), Size: int64(len(raw)), Open: blobOf(raw).Open},
			"short":  {Digest: sum(raw), Size: int64(len(raw)) + 1, Open: blobOf(raw).Open},
			"long":   {Digest: sum(raw), Size: int64(len(raw)) - 1, Open: blobOf(raw).Open},
		} {
			_, err := c.PutBlob(t.Context(), r.Repo("a/"+what), b, nil)
			wantKind(t, err, fault.Failed)
			wantText(t, err.Error(), "pushing blob", "content", b.Digest.String())
			if has, err := c.HasBlob(t.Context(), r.Repo("a/"+what), b.Digest); err != nil || has {
				t.Errorf("%s: the blob is there: %v, %v", what, has, err)
			}
			if n := r.Count("POST", "/a/"+what); n != 1 {
				t.Errorf("%s: tried %d times", what, n)
			}
		}
	})
}

func TestPutBlobTellsTheSourcesFailure(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	c := newClient(t, registry.Config{})
	b := blobOf(content(8, 100))
	b.Open = func() (io.ReadCloser, error) { return nil, fault.New(fault.NotFound, "opening 'layer.tar': gone") }
	_, err := c.PutBlob(t.Context(), r.Repo("a"), b, nil)
	wantKind(t, err, fault.NotFound)
	wantText(t, err.Error(), "opening 'layer.tar': gone")
}

// final is a failure that no further try mends.
type final struct{ error }

func (final) Final() bool     { return true }
func (f final) Unwrap() error { return f.error }

func TestFinalFailureOfTheSourceEndsTheTries(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	c := newClient(t, registry.Config{Retries: 4})
	cause := errors.New("no such layer")
	for err, tries := range map[error]int{cause: 5, fault.New(fault.Failed, "building: %w", final{cause}): 1} {
		opened := 0
		b := blobOf(content(18, 100))
		b.Open = func() (io.ReadCloser, error) { opened++; return nil, err }
		if _, got := c.PutBlob(t.Context(), r.Repo("a"), b, nil); !errors.Is(got, cause) || opened != tries {
			t.Errorf("%v: %d tries, want %d; %v", err, opened, tries, got)
		}
	}
}

func TestUploadIsRepeatedFromTheStart(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		for what, f := range map[string]regtest.Fault{
			"cut":         {Method: "PUT", Path: "/uploads/", CutUpload: 100_000},
			"cut at once": {Method: "POST", CutUpload: -1},
			"500":         {Method: "PUT", Path: "/uploads/", Status: 500},
			"429":         {Method: "POST", Status: 429, RetryAfter: "0"},
			"lost upload": {Method: "PUT", Path: "/uploads/", Status: 404, Body: `{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}`},
		} {
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				r := start()
				c := newClient(t, registry.Config{Retries: 2})
				raw := content(9, 400_000)
				r.Inject(f)
				if out := put(t, c, r.Repo("a"), blobOf(raw)); out != registry.Uploaded {
					t.Errorf("got %s", out)
				}
				rc, err := c.Blob(t.Context(), r.Repo("a"), sum(raw))
				if err != nil {
					t.Fatal(err)
				}
				defer rc.Close()
				if got, err := io.ReadAll(rc); err != nil || !bytes.Equal(got, raw) {
					t.Errorf("read back %d bytes, %v", len(got), err)
				}
			})
		}
	})
}

func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	c := newClient(t, registry.Config{Retries: 2})
	r.Inject(regtest.Fault{Method: "PUT", Status: 503, Times: -1, Body: "<html><body>Service down</body></html>"})
	_, err := c.PutBlob(t.Context(), r.Repo("a"), blobOf(content(10, 100)), nil)
	wantKind(t, err, fault.Failed)
	wantText(t, err.Error(), "503 Service Unavailable")
	if bytes.Contains([]byte(err.Error()), []byte("html")) {
		t.Errorf("HTML in '%v'", err)
	}
	if n := r.Count("PUT", ""); n != 3 {
		t.Errorf("%d tries, want 3", n)
	}
}

func TestRefusalIsNotRetried(t *testing.T) {
	t.Parallel()
	r := regtest.New(t, regtest.Deny("POST", "/blobs/"))
	c := newClient(t, registry.Config{Retries: 4})
	_, err := c.PutBlob(t.Context(), r.Repo("team/app"), blobOf(content(11, 100)), nil)
	wantKind(t, err, fault.Denied)
	wantText(t, err.Error(), r.Host()+"/team/app", "DENIED: requested access to the resource is denied")
	wantText(t, fault.HintOf(err), "docker login "+r.Host())
	if n := r.Count("POST", ""); n != 1 {
		t.Errorf("%d tries, want 1", n)
	}
}

func TestImmutableTagIsConflict(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		r := start(regtest.Immutable("v.*"))
		c := newClient(t, registry.Config{})
		first := imageOf(t, c, tagOf(r, "a", "v1"), content(12, 100))
		put(t, c, r.Repo("a"), blobOf(content(13, 100)))
		config := []byte(`{"architecture":"amd64","os":"linux"}`)
		put(t, c, r.Repo("a"), blobOf(config))
		other := manifestOf(config, content(13, 100))
		err := c.PutManifest(t.Context(), tagOf(r, "a", "v1"), other, types.OCIManifestSchema1)
		wantKind(t, err, fault.Conflict)
		wantText(t, err.Error(), "'"+r.Host()+"/a:v1'", "TAG_INVALID")
		if err := c.PutManifest(t.Context(), tagOf(r, "a", "v1"), first, types.OCIManifestSchema1); err != nil {
			t.Errorf("the same again: %v", err)
		}
		if err := c.PutManifest(t.Context(), tagOf(r, "a", "other"), other, types.OCIManifestSchema1); err != nil {
			t.Errorf("another tag: %v", err)
		}
	})
}

func TestImmutableInTheWordsOfRegistries(t *testing.T) {
	t.Parallel()
	for i, f := range []regtest.Fault{
		{Status: 409, Body: `{"errors":[{"code":"CONFLICT","message":"tag"}]}`},
		{Status: 412, Body: `{"errors":[{"code":"PRECONDITION","message":"Failed to process request due to 'a:v1' configured as immutable."}]}`},
		{Status: 403, Body: `{"errors":[{"code":"DENIED","message":"cannot overwrite tag"}]}`},
		{Status: 403, Body: `{"errors":[{"status":403,"message":"Not enough permissions to overwrite artifact 'a/v1/manifest.json' (user needs DELETE permission)."}]}`},
		{Status: 400, Body: `{"errors":[{"code":"TAG_INVALID","message":"The image tag 'v1' already exists"}]}`},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			r := regtest.New(t)
			f.Method, f.Path = "PUT", "/manifests/"
			r.Inject(f)
			err := newClient(t, registry.Config{}).PutManifest(t.Context(), tagOf(r, "a", "v1"), []byte(`{}`), types.OCIManifestSchema1)
			wantKind(t, err, fault.Conflict)
		})
	}
}

func TestManifestIsRetried(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	c := newClient(t, registry.Config{Retries: 3})
	r.Inject(regtest.Fault{Method: "PUT", Path: "/manifests/", Status: 502})
	r.Inject(regtest.Fault{Method: "PUT", Path: "/manifests/", CutUpload: 10})
	imageOf(t, c, tagOf(r, "a", "v1"), content(14, 100))
	if n := r.Count("PUT", "/manifests/"); n != 3 {
		t.Errorf("%d tries, want 3", n)
	}
}

// A blob that goes from one registry to another, with fewer places than
// transfers: an upload must not wait for a download that waits for an upload.
func TestAnswerThatMeansNothingIsNotBelieved(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	c := newClient(t, registry.Config{})
	imageOf(t, c, tagOf(r, "a", "v1"), content(1, 100))
	r.Inject(regtest.Fault{Method: "PUT", Path: "/manifests/", Status: 200, Body: "<html>log in first</html>"})
	m, err := c.Manifest(t.Context(), tagOf(r, "a", "v1"))
	if err != nil {
		t.Fatal(err)
	}
	err = c.PutManifest(t.Context(), tagOf(r, "a", "v2"), m.Raw, m.MediaType)
	wantKind(t, err, fault.Failed)
	wantText(t, err.Error(), "200 OK", "not there")
	r.Inject(regtest.Fault{Method: "PUT", Path: "/manifests/", Status: 200})
	if err := c.PutManifest(t.Context(), tagOf(r, "a", "v1"), m.Raw, m.MediaType); err != nil {
		t.Errorf("what is there was not found: %v", err)
	}
}

func TestCopyBetweenRegistriesDoesNotBlock(t *testing.T) {
	t.Parallel()
	from, to := regtest.New(t), regtest.New(t)
	seed := newClient(t, registry.Config{})
	c := newClient(t, registry.Config{Requests: 2})
	var wg sync.WaitGroup
	for i := range 8 {
		raw := content(uint64(100+i), 200_000)
		put(t, seed, from.Repo("a"), blobOf(raw))
		wg.Go(func() {
			b := blobOf(raw)
			b.Open = func() (io.ReadCloser, error) { return c.Blob(t.Context(), from.Repo("a"), sum(raw)) }
			if out, err := c.PutBlob(t.Context(), to.Repo("b"), b, nil); err != nil || out != registry.Uploaded {
				t.Errorf("got %s, %v", out, err)
			}
		})
	}
	wg.Wait()
}

func TestRequestsAreLimited(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	c := newClient(t, registry.Config{Requests: 2})
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() { put(t, c, r.Repo("a"), blobOf(content(uint64(200+i), 50_000))) })
	}
	wg.Wait()
	// While an upload opens its file one more may come in, and the server ends a
	// request a little later than the client.
	if r.Peak() > 4 {
		t.Errorf("%d requests at once", r.Peak())
	}
}

func TestCancelEndsAHangingUpload(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	c := newClient(t, registry.Config{Retries: 4, Backoff: func(int) time.Duration { return time.Hour }})
	ctx, cancel := cancelled(t)
	r.Inject(regtest.Fault{Method: "PUT", Hang: true, Hit: cancel})
	_, err := c.PutBlob(ctx, r.Repo("a"), blobOf(content(15, 100_000)), nil)
	wantKind(t, err, fault.Interrupted)
}

func TestCancelEndsAPause(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	ctx, cancel := cancelled(t)
	c := newClient(t, registry.Config{Retries: 4, Backoff: func(int) time.Duration { cancel(); return time.Hour }})
	r.Inject(regtest.Fault{Method: "HEAD", Status: 503, Times: -1})
	_, err := c.PutBlob(ctx, r.Repo("a"), blobOf(content(16, 100)), nil)
	wantKind(t, err, fault.Interrupted)
}

func TestKilledRegistry(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	c := newClient(t, registry.Config{Retries: 1})
	r.Inject(regtest.Fault{Method: "PUT", CutUpload: 1000, Times: -1, Hit: r.Kill})
	_, err := c.PutBlob(t.Context(), r.Repo("a"), blobOf(content(17, 500_000)), nil)
	wantKind(t, err, fault.Failed)
}
