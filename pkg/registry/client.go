package registry

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
)

// Defaults of [Config].
const (
	defaultRetries  = 4
	defaultRequests = 8
)

// Config says how a [Client] reaches registries. The zero value of each field
// is usable, save that Retries 0 means no further try.
type Config struct {
	// Insecure lists the registries, as HOST or HOST:PORT, that may speak plain
	// HTTP or show a certificate that nothing vouches for. A host matches
	// exactly. Only localhost, 127.0.0.0/8 and [::1] may speak plain HTTP unasked.
	Insecure []string
	// AuthFile is a credentials file in the format of Docker's config.json, which
	// podman's auth.json shares; it comes before all other sources.
	AuthFile string
	// CAFile names PEM certificates that are trusted beside the system's.
	CAFile string
	// Retries is the number of further tries after a failed one; 4 when negative.
	Retries int
	// Requests limits the exchanges in flight; 8 when not positive. A body that
	// is being streamed holds its place. A download that feeds an upload shares
	// the upload's place.
	Requests int
	// Mirrors maps a registry host to one that is asked first for what is named
	// by digest, and for what is opened.
	Mirrors map[string]string
	// UserAgent is the User-Agent header's value.
	UserAgent string
	// Getenv is asked for everything that the environment decides: credentials,
	// proxies, the home directory. Nil means os.Getenv.
	Getenv func(string) string
	// Observe is called once per HTTP exchange, when its bodies are done with;
	// several goroutines call it at once.
	Observe func(Request)
	// Backoff is the wait before the further try number try, counted from 0. Nil
	// means exponential with jitter.
	Backoff func(try int) time.Duration
}

// Request is one HTTP exchange as it happened on the wire, retries included.
type Request struct {
	Method string
	// URL has neither user information nor query values that may be secret.
	URL string
	// Status is the HTTP status, 0 when no answer came.
	Status int
	// Sent and Received count the bytes of the bodies.
	Sent, Received int64
	// Err is why no answer came, or why its body broke off.
	Err error
}

// Manifest is a manifest or index as a registry keeps it.
type Manifest struct {
	// Raw are the exact bytes, which Digest was computed from.
	Raw       []byte
	MediaType types.MediaType
	Digest    v1.Hash
}

// Client speaks to any number of registries. It is safe for concurrent use.
type Client struct {
	wire     *wire
	policy   policy
	keys     *keychain
	mirrors  map[string]string
	retries  int
	pings    flight[*greeting]
	sessions sessions
	uploads  flight[Outcome]
	known    knownBlobs
	// manifests are those that were seen in a repository.
	manifests knownManifests
	// unmounted are pairs of repositories between which mounting failed before.
	unmounted pairs
}

// New is a client after cfg. An authentication or CA file that cannot be read is
// an error here rather than at the first request.
func New(cfg Config) (*Client, error) {
	if cfg.Getenv == nil {
		cfg.Getenv = os.Getenv
	}
	if cfg.Retries < 0 {
		cfg.Retries = defaultRetries
	}
	if cfg.Requests <= 0 {
		cfg.Requests = defaultRequests
	}
	if cfg.Backoff == nil {
		cfg.Backoff = defaultBackoff
	}
	roots, err := loadRoots(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	keys, err := newKeychain(cfg.AuthFile, cfg.Getenv)
	if err != nil {
		return nil, err
	}
	pol := newPolicy(cfg.Insecure)
	return &Client{
		wire:    newWire(cfg, pol, roots),
		policy:  pol,
		keys:    keys,
		mirrors: cfg.Mirrors,
		retries: cfg.Retries,
	}, nil
}

// CloseIdle closes the connections that no exchange uses.
func (c *Client) CloseIdle() { c.wire.closeIdle() }

// loadRoots gives the system's certificates and those of file; nil, which
// means the system's alone, when file is "".
func loadRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fileError("reading certificates", file, err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fault.New(fault.Failed, "reading certificates '%s': no PEM certificate in it", file)
	}
	return pool, nil
}

// fileError names file once: the path inside an *os.PathError is left out.
func fileError(doing, file string, err error) error {
	kind := fault.Failed
	if os.IsNotExist(err) {
		kind = fault.NotFound
	}
	return fault.New(kind, "%s '%s': %w", doing, file, pathless(err))
}

func pathless(err error) error {
	if pe, ok := err.(*os.PathError); ok {
		return pe.Err
	}
	return err
}

// interrupted classifies the end of ctx: a cancelled one is Interrupted, one
// whose deadline passed Failed.
func interrupted(ctx context.Context, doing string) error {
	kind := fault.Failed
	if ctx.Err() == context.Canceled {
		kind = fault.Interrupted
	}
	return fault.New(kind, "%s: %w", doing, ctx.Err())
}

var _ http.RoundTripper = (*wire)(nil)

// quote is a name in messages: quoted once, Docker Hub by the name that people know.
func quote(s fmt.Stringer) string {
	if hub, ok := strings.CutPrefix(s.String(), name.DefaultRegistry+"/"); ok {
		return "'docker.io/" + hub + "'"
	}
	return "'" + s.String() + "'"
}
