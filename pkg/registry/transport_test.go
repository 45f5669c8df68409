package registry_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// forward is an HTTP proxy that sends everything to one registry, whatever the
// host asked for. It knows CONNECT, and counts.
type forward struct {
	to    string
	mu    sync.Mutex
	asked []string
}

func newForward(t testing.TB, to string) (*forward, string) {
	t.Helper()
	f := &forward{to: to}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return f, s.URL
}

func (f *forward) hosts() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.asked, " ")
}

func (f *forward) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, req.Method+" "+req.Host)
	f.mu.Unlock()
	if req.Method == http.MethodConnect {
		f.tunnel(w)
		return
	}
	req.RequestURI = ""
	req.URL.Host = f.to
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	for key, values := range resp.Header {
		w.Header()[key] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

func (f *forward) tunnel(w http.ResponseWriter) {
	there, err := net.Dial("tcp", f.to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	here, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = there.Close()
		return
	}
	go func() {
		_, _ = io.Copy(there, buffered)
		_ = there.Close()
	}()
	_, _ = io.Copy(here, there)
	_ = here.Close()
}

func repoAt(t testing.TB, s string) name.Repository {
	t.Helper()
	repo, err := name.NewRepository(s)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func TestProxyIsUsedForInsecureHostsToo(t *testing.T) {
	t.Parallel()
	plain, secure := regtest.New(t), regtest.New(t, regtest.TLS())
	viaPlain, plainURL := newForward(t, plain.Host())
	c := newClient(t, registry.Config{Insecure: []string{"registry.test:5000"}, Getenv: env{"http_proxy": plainURL, "HTTPS_PROXY": plainURL}.get})
	if out := put(t, c, repoAt(t, "registry.test:5000/a"), blobOf(content(1, 1000))); out != registry.Uploaded {
		t.Errorf("got %s", out)
	}
	wantText(t, viaPlain.hosts(), "CONNECT registry.test:5000", "PUT registry.test:5000")

	viaSecure, secureURL := newForward(t, secure.Host())
	for what, cfg := range map[string]registry.Config{
		"unverified": {Insecure: []string{"registry.test:5000"}},
		"verified":   {CAFile: secure.CAFile()},
	} {
		cfg.Getenv = env{"HTTPS_PROXY": secureURL, "HTTP_PROXY": secureURL}.get
		if _, err := newClient(t, cfg).HasBlob(t.Context(), repoAt(t, "registry.test:5000/a"), sum(nil)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	wantText(t, viaSecure.hosts(), "CONNECT registry.test:5000")

	c = newClient(t, registry.Config{Getenv: env{"HTTPS_PROXY": secureURL, "NO_PROXY": "invalid"}.get})
	before := viaSecure.hosts()
	if _, err := c.HasBlob(t.Context(), repoAt(t, "none.invalid/a"), sum(nil)); err == nil || viaSecure.hosts() != before {
		t.Errorf("NO_PROXY: %v, %s", err, viaSecure.hosts())
	}
}

// A proxy shows what would go over the wire for hosts that do not exist.
func TestPlainHTTPIsForNamedHostsAlone(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	for _, host := range []string{
		"10.1.2.3:5000", "192.168.1.1", "172.16.0.1:80", "registry.local", "x.localhost:5000", "registry.test:5001",
		"registry.test", "registry.test.evil:5000", "registry.test:50001",
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			via, url := newForward(t, r.Host())
			c := newClient(t, registry.Config{Insecure: []string{"registry.test:5000"}, Getenv: env{
				"http_proxy": url, "https_proxy": url,
				"CNB_REGISTRY_AUTH": `{"` + host + `":"Basic ` + basicOf("alice", "secret") + `"}`,
			}.get})
			_, err := c.HasBlob(t.Context(), repoAt(t, host+"/a"), sum(nil))
			wantKind(t, err, fault.Failed)
			wantText(t, fault.HintOf(err), "--insecure-registry "+host)
			if got := via.hosts(); strings.Contains(got, "GET") || strings.Contains(got, "HEAD") {
				t.Errorf("sent in plain text: %s", got)
			}
		})
	}
}

func TestInsecureByFlag(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	_, url := newForward(t, r.Host())
	c := newClient(t, registry.Config{Insecure: []string{"10.1.2.3:5000"}, Getenv: env{"http_proxy": url, "https_proxy": url}.get})
	if _, err := c.HasBlob(t.Context(), repoAt(t, "10.1.2.3:5000/a"), sum(nil)); err != nil {
		t.Error(err)
	}
}

func TestRedirectToPlainHTTPIsRefused(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	target := strings.Replace(plain.URL, "127.0.0.1", "elsewhere.test", 1)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.Contains(req.URL.Path, "/blobs/") {
			http.Redirect(w, req, target, http.StatusTemporaryRedirect)
		}
	}))
	defer front.Close()
	host := strings.TrimPrefix(front.URL, "http://")
	_, err := newClient(t, registry.Config{}).Blob(t.Context(), repoAt(t, host+"/a"), sum(nil))
	wantKind(t, err, fault.Failed)
	wantText(t, err.Error(), "plain HTTP is not allowed for 'elsewhere.test")
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	r := regtest.New(t, regtest.TLS())
	_, err := newClient(t, registry.Config{}).HasBlob(t.Context(), r.Repo("a"), sum(nil))
	wantKind(t, err, fault.Failed)
	wantText(t, err.Error(), "certificate")
	wantText(t, fault.HintOf(err), "--ca-file")
	for what, cfg := range map[string]registry.Config{
		"--ca-file": {CAFile: r.CAFile()}, "--insecure-registry": {Insecure: []string{r.Host()}},
	} {
		if _, err := newClient(t, cfg).HasBlob(t.Context(), r.Repo("a"), sum(nil)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = newClient(t, registry.Config{Insecure: []string{"127.0.0.1"}}).HasBlob(t.Context(), r.Repo("a"), sum(nil))
	wantKind(t, err, fault.Failed)

	_, err = registry.New(registry.Config{CAFile: "/nowhere/ca.pem", Getenv: env{}.get})
	wantKind(t, err, fault.NotFound)
	wantText(t, err.Error(), "'/nowhere/ca.pem'")
	empty := writeFile(t, t.TempDir()+"/empty.pem", "nothing", 0o600)
	_, err = registry.New(registry.Config{CAFile: empty, Getenv: env{}.get})
	wantText(t, err.Error(), "no PEM certificate")
}

func TestObserve(t *testing.T) {
	t.Parallel()
	r := regtest.New(t, regtest.TokenAuth(alice))
	watch := &seen{}
	c := newClient(t, registry.Config{
		UserAgent: "multipack/test", Observe: watch.add, Retries: 1,
		Getenv: env{"CNB_REGISTRY_AUTH": `{"` + r.Host() + `":"Basic ` + basicOf("alice", alice.Password) + `"}`}.get,
	})
	raw := content(2, 50_000)
	r.Inject(regtest.Fault{Method: "PUT", Path: "/uploads/", Status: 500})
	put(t, c, r.Repo("a"), blobOf(raw))
	var sent int64
	statuses := map[int]int{}
	for _, q := range watch.all() {
		statuses[q.Status]++
		if q.Status == 201 {
			sent += q.Sent
		}
		if strings.Contains(q.URL, "_state") || strings.Contains(q.URL, alice.Password) {
			t.Errorf("a secret in %s", q.URL)
		}
	}
	if sent != int64(len(raw)) || statuses[500] != 1 || statuses[201] != 1 {
		t.Errorf("sent %d, statuses %v", sent, statuses)
	}
	for _, q := range r.Requests() {
		if q.Path == "/v2/" && q.Status == 401 {
			return
		}
	}
	t.Errorf("no greeting:\n%s", lines(r.Requests()))
}

func TestUserAgentAndAccept(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.Contains(req.URL.Path, "/manifests/") {
			got <- req.Header.Clone()
		}
		_, _ = io.WriteString(w, `{}`)
	}))
	defer s.Close()
	c := newClient(t, registry.Config{UserAgent: "multipack/test"})
	if _, err := c.Manifest(t.Context(), mustRef(t, strings.TrimPrefix(s.URL, "http://")+"/a:b")); err != nil {
		t.Fatal(err)
	}
	h := <-got
	if h.Get("User-Agent") != "multipack/test" {
		t.Errorf("User-Agent: %s", h.Get("User-Agent"))
	}
	wantText(t, h.Get("Accept"), "oci.image.index.v1", "oci.image.manifest.v1", "manifest.list.v2", "manifest.v2")
}

func TestDownloadsTrustTheSameCertificates(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t, regtest.TLS())
	get := func(cfg registry.Config) error {
		cfg.Getenv = func(string) string { return "" }
		c, err := registry.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseIdle()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, reg.URL()+"/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Downloads().Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}
	if err := get(registry.Config{}); err == nil {
		t.Error("a certificate that nothing vouches for was taken")
	}
	if err := get(registry.Config{Insecure: []string{reg.Host()}}); err == nil {
		t.Error("an insecure registry is no reason to download unverified")
	}
	if err := get(registry.Config{CAFile: reg.CAFile()}); err != nil {
		t.Error(err)
	}
}
