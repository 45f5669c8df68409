package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// greeting is how a registry answered the first request: its scheme, and how it
// wants to be authenticated to.
type greeting struct {
	registry  name.Registry
	scheme    string
	challenge *transport.Challenge
	// asked is set where the challenge is known to be the registry's word on the
	// matter. Else the registry answered a first call without asking who calls,
	// which it may still do for the next.
	asked bool
}

// greet is the greeting of a registry, which is asked for it where it is not
// known: GET /v2/ (distribution specification, "Determining Support"). With
// credentials it must have been asked for them.
func (c *Client) greet(ctx context.Context, reg name.Registry, credentials bool) (*greeting, error) {
	known := func() *greeting {
		if g := c.sessions.greeting(reg); g != nil && (g.asked || !credentials) {
			return g
		}
		return nil
	}
	if g := known(); g != nil {
		return g, nil
	}
	g, _, err := c.pings.do(ctx, reg.RegistryStr(), func() (*greeting, error) {
		if g := known(); g != nil {
			return g, nil
		}
		p := &prober{wire: c.wire}
		g, err := c.hear(ctx, reg, p, p)
		if err != nil {
			return nil, err
		}
		g.asked = true
		c.sessions.greeted(reg, g)
		return g, nil
	})
	if err == nil && credentials && !g.asked { // somebody else's first call
		return c.greet(ctx, reg, credentials)
	}
	return g, err
}

// meet sends the first call to a registry, without credentials. Of several at
// once only one is the first, the others wait for what it learns.
func (c *Client) meet(ctx context.Context, repo name.Repository, cl call) (*http.Response, error) {
	var resp *http.Response
	_, _, err := c.pings.do(ctx, repo.RegistryStr(), func() (*greeting, error) {
		if g := c.sessions.greeting(repo.Registry); g != nil {
			return g, nil
		}
		p := &prober{wire: c.wire}
		first := &firstCall{ctx: ctx, call: cl, prober: p, registry: repo.Registry}
		g, err := c.hear(ctx, repo.Registry, p, first)
		if resp = first.answer(g); err != nil {
			return nil, err
		}
		c.sessions.greeted(repo.Registry, g)
		return g, nil
	})
	if err != nil || resp != nil {
		return resp, err
	}
	s, err := c.session(ctx, repo, pull(repo))
	if err != nil {
		return nil, err
	}
	return s.send(ctx, cl)
}

// reconsider is what comes in the place of s, whose call was answered with 401
// by a registry that had not asked before who calls.
func (c *Client) reconsider(ctx context.Context, s *session) (*session, error) {
	c.sessions.forget(s.greeting)
	if _, err := c.greet(ctx, s.repo.Registry, true); err != nil {
		return nil, err
	}
	return c.session(ctx, s.repo, s.scopes...)
}

// hear finds out how to speak to a registry, by way of rt.
func (c *Client) hear(ctx context.Context, reg name.Registry, p *prober, rt http.RoundTripper) (*greeting, error) {
	reg, err := c.policy.registry(reg)
	if err != nil {
		return nil, err
	}
	challenge, err := transport.Ping(ctx, reg, rt)
	if err != nil {
		return nil, p.cause(c.policy, reg, err)
	}
	g := &greeting{registry: reg, scheme: "https", challenge: challenge, asked: challenge.Scheme != ""}
	if challenge.Insecure {
		g.scheme = "http"
	}
	return g, nil
}

// firstCall answers a ping with what the registry says to a call.
type firstCall struct {
	ctx      context.Context
	call     call
	prober   *prober
	registry name.Registry

	mu      sync.Mutex
	over    bool
	answers map[string]*http.Response // by scheme
	stops   map[string]context.CancelFunc
}

// RoundTrip sends the call by the ping's scheme.
func (f *firstCall) RoundTrip(ping *http.Request) (*http.Response, error) {
	scheme := ping.URL.Scheme
	// The ping's own context ends with the ping, before the answer is read.
	ctx, stop := context.WithCancel(f.ctx)
	req, err := f.call.request(ctx, scheme, f.registry)
	if err != nil {
		stop()
		return nil, err
	}
	f.mu.Lock()
	if f.stops == nil {
		f.answers, f.stops = map[string]*http.Response{}, map[string]context.CancelFunc{}
	}
	f.stops[scheme] = stop
	f.mu.Unlock()
	resp, err := f.prober.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusBadRequest && scheme == "http" {
		// What speaks HTTPS says so too where it is spoken to in plain text.
		_ = resp.Body.Close()
		stop()
		return f.prober.RoundTrip(ping)
	}
	if err != nil {
		stop()
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		_ = resp.Body.Close()
		stop()
		return nil, context.Canceled
	}
	f.answers[scheme] = resp
	pong := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}, Request: ping}
	if resp.StatusCode == http.StatusUnauthorized {
		pong.StatusCode, pong.Header = resp.StatusCode, resp.Header
	}
	return pong, nil
}

// answer ends what is under way and gives the registry's answer by the
// greeting's scheme, nil where the call is to be sent once more: with
// credentials, or so that a redirect is followed.
func (f *firstCall) answer(g *greeting) *http.Response {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	var out *http.Response
	for scheme, stop := range f.stops {
		resp := f.answers[scheme]
		if g != nil && scheme == g.scheme && resp != nil && resp.StatusCode != http.StatusUnauthorized && resp.StatusCode/100 != 3 {
			resp.Body = &lastBody{resp.Body, stop}
			out = resp
			continue
		}
		if resp != nil {
			drain(resp)
		}
		stop()
	}
	return out
}

// lastBody ends what its exchange holds when it is closed.
type lastBody struct {
	io.ReadCloser
	stop context.CancelFunc
}

func (b *lastBody) Close() error {
	defer b.stop()
	return b.ReadCloser.Close()
}

// prober remembers why HTTPS failed: where plain HTTP is refused, or where the
// registry does speak HTTPS and its certificate is at fault, that is the reason
// to tell, and not what became of plain HTTP.
type prober struct {
	wire  *wire
	mu    sync.Mutex
	https error
}

func (p *prober) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := p.wire.RoundTrip(req)
	if err != nil && req.URL.Scheme == "https" {
		p.mu.Lock()
		p.https = err
		p.mu.Unlock()
	}
	return resp, err
}

// certificate is why HTTPS failed, where that was for the registry's certificate.
func (p *prober) certificate() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, is := errors.AsType[*tls.CertificateVerificationError](p.https); is {
		return p.https
	}
	return nil
}

func (p *prober) cause(pol policy, reg name.Registry, err error) error {
	if bad := p.certificate(); bad != nil {
		return bad
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.https != nil && !pol.plain(reg.RegistryStr()) {
		return p.https
	}
	return err
}

// greeting is what is known of a registry, nil for nothing.
func (s *sessions) greeting(reg name.Registry) *greeting {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.greetings[reg.RegistryStr()]
}

func (s *sessions) greeted(reg name.Registry, g *greeting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.greetings == nil {
		s.greetings = make(map[string]*greeting)
	}
	s.greetings[reg.RegistryStr()] = g
}

// forget drops a greeting and the sessions that rest on it.
func (s *sessions) forget(g *greeting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := g.registry.RegistryStr()
	if s.greetings[key] == g {
		delete(s.greetings, key)
	}
	for repo := range s.open {
		if strings.HasPrefix(repo, key+"/") {
			s.open[repo] = slices.DeleteFunc(s.open[repo], func(have *session) bool { return have.greeting == g })
		}
	}
}
