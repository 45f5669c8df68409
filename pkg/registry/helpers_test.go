package registry_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// env is an environment of its own: nothing of the machine's leaks in.
type env map[string]string

func (e env) get(key string) string { return e[key] }

// seen collects what a client observed.
type seen struct {
	mu   sync.Mutex
	list []registry.Request
}

func (s *seen) add(r registry.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, r)
}

func (s *seen) all() []registry.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]registry.Request(nil), s.list...)
}

func newClient(t testing.TB, cfg registry.Config) *registry.Client {
	t.Helper()
	if cfg.Getenv == nil {
		cfg.Getenv = env{}.get
	}
	if cfg.Backoff == nil {
		cfg.Backoff = func(int) time.Duration { return time.Millisecond }
	}
	c, err := registry.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

// both runs a test against the strict registry and the distribution one.
func both(t *testing.T, test func(t *testing.T, start func(...regtest.Option) *regtest.Registry)) {
	t.Helper()
	for kind, start := range map[string]func(testing.TB, ...regtest.Option) *regtest.Registry{
		"strict": regtest.New, "distribution": regtest.Distribution,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, func(opts ...regtest.Option) *regtest.Registry { return start(t, opts...) })
		})
	}
}

func sum(raw []byte) v1.Hash {
	s := sha256.Sum256(raw)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(s[:])}
}

// content is size bytes that depend on seed alone.
func content(seed uint64, size int) []byte {
	raw := make([]byte, size)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	return raw
}

func blobOf(raw []byte, from ...name.Repository) registry.Blob {
	return registry.Blob{
		Digest: sum(raw), Size: int64(len(raw)), From: from,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil },
	}
}

func put(t testing.TB, c *registry.Client, repo name.Repository, b registry.Blob) registry.Outcome {
	t.Helper()
	out, err := c.PutBlob(t.Context(), repo, b, nil)
	if err != nil {
		t.Fatalf("PutBlob: %v", err)
	}
	return out
}

// imageOf pushes an image with one layer and gives its manifest.
func imageOf(t testing.TB, c *registry.Client, ref name.Reference, layer []byte) []byte {
	t.Helper()
	config := []byte(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["` + sum(layer).String() + `"]}}`)
	put(t, c, ref.Context(), blobOf(config))
	put(t, c, ref.Context(), blobOf(layer))
	raw := manifestOf(config, layer)
	if err := c.PutManifest(t.Context(), ref, raw, types.OCIManifestSchema1); err != nil {
		t.Fatalf("PutManifest: %v", err)
	}
	return raw
}

func manifestOf(config, layer []byte) []byte {
	raw, _ := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: v1.Descriptor{MediaType: types.OCIConfigJSON, Digest: sum(config), Size: int64(len(config))},
		Layers: []v1.Descriptor{{MediaType: types.OCIUncompressedLayer, Digest: sum(layer), Size: int64(len(layer))}},
	})
	return raw
}

func wantKind(t testing.TB, err error, kind fault.Kind) {
	t.Helper()
	if got, _ := fault.KindOf(err); err == nil || got != kind {
		t.Fatalf("error %v is of kind %v, want %v", err, got, kind)
	}
}

func wantText(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("'%s' does not contain '%s'", text, p)
		}
	}
}

// cancelled is a context and its end.
func cancelled(t testing.TB) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

// tagOf is a tag of a repository.
func tagOf(r *regtest.Registry, repo, tag string) name.Tag { return r.Repo(repo).Tag(tag) }

func lines(reqs []regtest.Request) string {
	var b strings.Builder
	for _, q := range reqs {
		fmt.Fprintf(&b, "%s %s?%s %d in=%d out=%d\n", q.Method, q.Path, q.Query.Encode(), q.Status, q.BytesIn, q.BytesOut)
	}
	return b.String()
}

func mustRef(t testing.TB, s string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// settle waits until the registry's log is complete: an answer can be read to
// its end a moment before the request is in the log.
func settle(r *regtest.Registry) {
	for r.Running() > 0 {
		time.Sleep(time.Millisecond)
	}
}
