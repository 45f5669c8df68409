package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/multipack/multipack/internal/proxy"
)

// Timeouts of one exchange. There is none on bodies: a layer takes as long as
// it takes. The wait for an answer is long because a registry on object storage
// copies a blob to its place before it says that the upload is done.
const (
	dialTimeout   = 30 * time.Second
	tlsTimeout    = 15 * time.Second
	answerTimeout = 5 * time.Minute
)

// wire is the lowest layer: every exchange of a client, those of the token
// handshake included, passes its RoundTrip, which keeps to the policy, the limit
// of requests in flight and the retries, and reports to observe.
type wire struct {
	policy    policy
	gate      *gate
	verified  *http.Transport
	blind     *http.Transport
	userAgent string
	retries   int
	backoff   func(int) time.Duration
	observe   func(Request)
}

func newWire(cfg Config, pol policy, roots *x509.CertPool) *wire {
	proxied := proxy.FromEnv(cfg.Getenv)
	return &wire{
		policy:    pol,
		gate:      newGate(cfg.Requests),
		verified:  newTransport(cfg.Requests, proxied, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}),
		blind:     newTransport(cfg.Requests, proxied, &tls.Config{InsecureSkipVerify: true}), //nolint:gosec // only for hosts that the user named
		userAgent: cfg.UserAgent,
		retries:   cfg.Retries,
		backoff:   cfg.Backoff,
		observe:   cfg.Observe,
	}
}

func newTransport(requests int, proxied func(*http.Request) (*url.URL, error), conf *tls.Config) *http.Transport {
	return &http.Transport{
		Proxy:                 proxied,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       conf,
		TLSHandshakeTimeout:   tlsTimeout,
		ResponseHeaderTimeout: answerTimeout,
		ForceAttemptHTTP2:     true,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConns:          4 * requests,
		MaxIdleConnsPerHost:   requests,
		// Digests are of the bytes as the registry keeps them.
		DisableCompression: true,
		WriteBufferSize:    64 << 10,
		ReadBufferSize:     64 << 10,
	}
}

func (w *wire) closeIdle() {
	w.verified.CloseIdleConnections()
	w.blind.CloseIdleConnections()
}

// manner is how an exchange is to be handled; it travels in the request's
// context, because the handshake's layers lie between.
type manner struct {
	// write: the exchange is of a push. It may hold its place in the gate while
	// its body is opened.
	write bool
	// once: no retry here; who sends it starts over at an earlier step.
	once bool
	// blob: the answer's body is content by digest and may be continued.
	blob bool
}

type mannerKey struct{}

func withManner(ctx context.Context, m manner) context.Context {
	return context.WithValue(ctx, mannerKey{}, m)
}

// RoundTrip sends req, again if need be. A body is always taken from GetBody:
// the handshake's layers send the same request a second time when a token has
// expired, when its first body is used up.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	m, _ := ctx.Value(mannerKey{}).(manner)
	if req.Body != nil {
		defer req.Body.Close()
	}
	if err := w.policy.check(req.URL); err != nil {
		return nil, err
	}
	tries := w.retries
	if m.once || (req.Body != nil && req.Body != http.NoBody && req.GetBody == nil) {
		tries = 0
	}
	for try := 0; ; try++ {
		resp, err := w.exchange(req, m)
		again := err != nil && transient(err) || err == nil && retryableStatus(resp.StatusCode)
		if !again || try >= tries || ctx.Err() != nil {
			if err == nil && m.blob {
				resp.Body = w.continued(req, resp, m)
			}
			return resp, err
		}
		wait := w.backoff(try)
		if err == nil {
			wait = max(wait, retryAfter(resp.Header, time.Now()))
			drain(resp)
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// exchange sends req once. Its place in the gate is given back, and the exchange
// reported, when the answer's body is closed.
func (w *wire) exchange(req *http.Request, m manner) (*http.Response, error) {
	leave, err := w.gate.enter(req.Context(), !m.write)
	if err != nil {
		return nil, err
	}
	out := req.Clone(req.Context())
	if w.userAgent != "" {
		out.Header.Set("User-Agent", w.userAgent)
	}
	sent := &counter{}
	if err := w.openBody(out, req, m, sent); err != nil {
		leave()
		return nil, err
	}
	seen := Request{Method: req.Method, URL: publicURL(req.URL)}
	resp, err := w.transport(req.URL.Host).RoundTrip(out)
	if err != nil {
		leave()
		seen.Sent, seen.Err = sent.n.Load(), err
		w.report(seen)
		return nil, err
	}
	seen.Status = resp.StatusCode
	resp.Request = req
	resp.Body = &answerBody{ReadCloser: resp.Body, end: func(received int64, err error) {
		leave()
		seen.Sent, seen.Received, seen.Err = sent.n.Load(), received, err
		w.report(seen)
	}}
	return resp, nil
}

// openBody gives out a fresh body of req's, counted.
func (w *wire) openBody(out, req *http.Request, m manner, sent *counter) error {
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	opened := func() {}
	if m.write {
		opened = w.gate.open()
	}
	body := req.Body
	if req.GetBody != nil {
		var err error
		if body, err = req.GetBody(); err != nil {
			opened()
			return err
		}
	}
	if f, ok := body.(*fileBody); ok {
		out.Body = &sentFile{fileBody: f, sent: sent, opened: opened}
	} else {
		out.Body = &sentBody{ReadCloser: body, sent: sent, opened: opened}
	}
	return nil
}

func (w *wire) transport(host string) http.RoundTripper {
	if w.policy.unverified(host) {
		return w.blind
	}
	return w.verified
}

func (w *wire) report(r Request) {
	if w.observe != nil {
		w.observe(r)
	}
}

// drain reads what little is left of an answer, so that its connection can be
// used again, and closes it.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}

// publicURL is u without what may be secret: user information, and the query
// values other than those of the distribution specification. Upload states and
// signed addresses of object storage are such secrets.
func publicURL(u *url.URL) string {
	out := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	query := url.Values{}
	for _, key := range []string{"mount", "from", "digest", "n", "last", "artifactType", "scope", "service"} {
		if vs, ok := u.Query()[key]; ok {
			query[key] = vs
		}
	}
	out.RawQuery = query.Encode()
	return out.String()
}
