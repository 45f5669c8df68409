package regtest

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
)

// Registry is a running registry.
type Registry struct {
	conf    config
	host    string
	caFile  string
	dir     string
	server  *http.Server
	backend http.Handler
	stop    func() error

	mu      sync.Mutex
	log     []Request
	faults  []*fault
	stale   map[string]*staleTag
	tokens  map[string]grant
	page    int
	running int
	peak    int
}

// Option changes a registry that is about to start.
type Option func(*config)

type config struct {
	distribution bool
	storage      string
	tls          bool
	addr         string
	scheme       authScheme
	users        []User
	openReads    bool
	denials      []denial
	readOnly     bool
	immutable    *regexp.Regexp
	staleTags    *regexp.Regexp
	staleReads   int
	noReferrers  bool
}

// TLS serves HTTPS with a certificate of its own for localhost, 127.0.0.1, ::1
// and names under .test; CAFile is what vouches for it.
func TLS() Option { return func(c *config) { c.tls = true } }

// Real runs the distribution registry in place of the strict one.
func Real() Option { return func(c *config) { c.distribution = true } }

// Storage makes the distribution registry keep its content under dir, and not in memory.
func Storage(dir string) Option { return func(c *config) { c.storage = dir } }

// Address is where to listen; 127.0.0.1 on a free port by default.
func Address(addr string) Option { return func(c *config) { c.addr = addr } }

// ReadOnly refuses every write with 403.
func ReadOnly() Option { return func(c *config) { c.readOnly = true } }

// Deny refuses requests of the method, or any when it is "", whose path matches
// the regular expression, with 403.
func Deny(method, path string) Option {
	return func(c *config) { c.denials = append(c.denials, denial{method, regexp.MustCompile(path)}) }
}

// Immutable refuses, in ECR's words, to move a tag that matches the whole
// regular expression.
func Immutable(tag string) Option {
	return func(c *config) { c.immutable = regexp.MustCompile("^(?:" + tag + ")$") }
}

// Stale answers the next n reads of a tag that was just written, and that
// matches the whole regular expression, with what was there before.
func Stale(tag string, n int) Option {
	return func(c *config) {
		c.staleTags, c.staleReads = regexp.MustCompile("^(?:"+tag+")$"), n
	}
}

// NoReferrers leaves out the referrers API of the strict registry.
func NoReferrers() Option { return func(c *config) { c.noReferrers = true } }

// New starts a registry that ends with the test.
func New(t testing.TB, opts ...Option) *Registry {
	t.Helper()
	r, err := Start(opts...)
	if err != nil {
		t.Fatalf("starting a registry: %v", err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// Distribution starts the distribution registry; it ends with the test.
func Distribution(t testing.TB, opts ...Option) *Registry {
	t.Helper()
	return New(t, append([]Option{Real()}, opts...)...)
}

// Start starts a registry outside a test. Close ends it.
func Start(opts ...Option) (*Registry, error) {
	conf := config{addr: "127.0.0.1:0"}
	for _, o := range opts {
		o(&conf)
	}
	dir, err := os.MkdirTemp("", "regtest")
	if err != nil {
		return nil, err
	}
	r := &Registry{conf: conf, dir: dir, stale: map[string]*staleTag{}, tokens: map[string]grant{}}
	if err := r.start(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return r, nil
}

func (r *Registry) start() error {
	ln, err := net.Listen("tcp", r.conf.addr)
	if err != nil {
		return err
	}
	r.host = ln.Addr().String()
	if r.conf.tls {
		cert, pem, err := certificate()
		if err != nil {
			return err
		}
		r.caFile = filepath.Join(r.dir, "ca.pem")
		if err := os.WriteFile(r.caFile, pem, 0o600); err != nil {
			return err
		}
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	}
	if r.conf.distribution {
		r.backend, r.stop, err = newDistribution(r.conf.storage)
	} else {
		r.backend, r.stop = newStrict(r.conf.noReferrers), func() error { return nil }
	}
	if err != nil {
		_ = ln.Close()
		return err
	}
	r.server = &http.Server{
		Handler:  r.logged(r.faulty(r.authorized(r.refusing(r.tagged(r.backend))))),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { _ = r.server.Serve(ln) }()
	return nil
}

// Close ends the registry and removes its files.
func (r *Registry) Close() error {
	r.Kill()
	err := r.stop()
	if rmErr := os.RemoveAll(r.dir); err == nil {
		err = rmErr
	}
	return err
}

// Kill closes every connection at once, and answers no more.
func (r *Registry) Kill() { _ = r.server.Close() }

// Host is the HOST:PORT of the registry.
func (r *Registry) Host() string { return r.host }

// URL is the registry's address with its scheme.
func (r *Registry) URL() string {
	if r.conf.tls {
		return "https://" + r.host
	}
	return "http://" + r.host
}

// CAFile is the PEM file that vouches for the registry's certificate; "" without TLS.
func (r *Registry) CAFile() string { return r.caFile }

// Repo is the repository of the given path in the registry. It panics when the
// path is none.
func (r *Registry) Repo(path string) name.Repository {
	repo, err := name.NewRepository(fmt.Sprintf("%s/%s", r.host, path))
	if err != nil {
		panic(err)
	}
	return repo
}

// PageSize limits the pages of tags from now on; 0 leaves it to the client.
func (r *Registry) PageSize(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.page = n
}
