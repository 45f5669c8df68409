package registry_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// anybody may do everything, but has to get a token for it.
var anybody = regtest.User{}

func greetings(r *regtest.Registry) int { return r.Count("GET", "^/v2/$") }

func TestFirstCallInThePlaceOfAGreeting(t *testing.T) {
	t.Parallel()
	for what, opts := range map[string][]regtest.Option{"open": nil, "tls": {regtest.TLS()}, "tokens": {regtest.TokenAuth(anybody)}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := regtest.New(t, opts...)
			cfg := registry.Config{CAFile: r.CAFile()}
			imageOf(t, newClient(t, cfg), tagOf(r, "a", "v1"), content(1, 100))
			r.Reset()
			c := newClient(t, cfg)
			m, err := c.Manifest(t.Context(), tagOf(r, "a", "v1"))
			if err != nil || len(m.Raw) == 0 {
				t.Fatalf("%d bytes, %v", len(m.Raw), err)
			}
			want := 1
			if what == "tokens" {
				want = 3 // refused, the token, and again
			}
			if n := len(r.Requests()); n != want || greetings(r) != 0 {
				t.Errorf("%d requests, want %d\n%s", n, want, lines(r.Requests()))
			}
		})
	}
}

func TestOneFirstCallForAll(t *testing.T) {
	t.Parallel()
	r := regtest.New(t, regtest.TokenAuth(anybody))
	imageOf(t, newClient(t, registry.Config{}), tagOf(r, "a", "v1"), content(1, 100))
	r.Reset()
	c := newClient(t, registry.Config{Requests: 8})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := c.Head(t.Context(), tagOf(r, "a", "v1")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	refused := 0
	for _, q := range r.Requests() {
		if q.Status == http.StatusUnauthorized {
			refused++
		}
	}
	if tokens := r.Count("", "^/token"); refused != 1 || tokens != 1 {
		t.Errorf("%d calls were refused, %d tokens, want 1 of each\n%s", refused, tokens, lines(r.Requests()))
	}
}

// A registry that lets anybody read may still ask for more when something is written.
func TestAskedForCredentialsLater(t *testing.T) {
	t.Parallel()
	r := regtest.New(t, regtest.TokenAuth(anybody), regtest.OpenReads())
	c := newClient(t, registry.Config{})
	if _, err := c.Head(t.Context(), tagOf(r, "a", "v1")); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	if r.Count("", "^/token") != 0 {
		t.Fatalf("a token for a read\n%s", lines(r.Requests()))
	}
	raw := content(1, 1000)
	put(t, c, r.Repo("a"), blobOf(raw))
	rc, err := c.Blob(t.Context(), r.Repo("a"), sum(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if got, err := io.ReadAll(rc); err != nil || !bytes.Equal(got, raw) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// Credentials for one repository are used there, also where the registry was
// first spoken to without any for another.
func TestCredentialsAfterAFirstCallWithout(t *testing.T) {
	t.Parallel()
	for what, auth := range map[string]func(...regtest.User) regtest.Option{"basic": regtest.BasicAuth, "token": regtest.TokenAuth} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := regtest.New(t, auth(alice), regtest.OpenReads())
			file := authJSON(t, filepath.Join(t.TempDir(), "auth.json"), map[string]string{r.Host() + "/own": basicOf("alice", alice.Password)}, nil)
			c := newClient(t, registry.Config{AuthFile: file})
			if _, err := c.Head(t.Context(), tagOf(r, "other", "v1")); !fault.Is(err, fault.NotFound) {
				t.Fatal(err)
			}
			put(t, c, r.Repo("own"), blobOf(content(1, 100)))
			_, err := c.PutBlob(t.Context(), r.Repo("other"), blobOf(content(2, 100)), nil)
			wantKind(t, err, fault.Denied)
		})
	}
}

func TestFirstCallIsRedirected(t *testing.T) {
	t.Parallel()
	raw := content(1, 1000)
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(raw) }))
	defer store.Close()
	front := httptest.NewServer(http.RedirectHandler(store.URL, http.StatusTemporaryRedirect))
	defer front.Close()
	rc, err := newClient(t, registry.Config{}).Blob(t.Context(), repoAt(t, strings.TrimPrefix(front.URL, "http://")+"/a"), sum(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if got, err := io.ReadAll(rc); err != nil || !bytes.Equal(got, raw) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
