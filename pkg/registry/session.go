package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// session is an authenticated way to the repositories that its scopes name.
type session struct {
	c        *Client
	repo     name.Repository
	greeting *greeting // nil: nothing was said to the registry yet
	scopes   []string
	client   *http.Client
}

// sessions keeps what was agreed on with registries, for the client's life.
type sessions struct {
	mu        sync.Mutex
	greetings map[string]*greeting
	open      map[string][]*session
	// refused are the handshakes that were answered with 401. To send the same
	// credentials again would change nothing, and may lock an account.
	refused map[string]error
	flight  flight[*session]
}

// pull and push are the scopes of a repository.
func pull(repo name.Repository) string { return repo.Scope(transport.PullScope) }
func push(repo name.Repository) string { return repo.Scope(transport.PushScope) }

// session is one for repo, whose credentials are used, with at least the scopes
// wanted. One that covers them is used again.
func (c *Client) session(ctx context.Context, repo name.Repository, scopes ...string) (*session, error) {
	return c.enter(ctx, repo, scopes, false)
}

// reading is a session that reads from repo. Where there are no credentials for
// it, and nothing was said to its registry yet, the first call takes the place
// of the question how to go on: most registries that need no credentials do not
// need that question either.
func (c *Client) reading(ctx context.Context, repo name.Repository) (*session, error) {
	return c.enter(ctx, repo, []string{pull(repo)}, true)
}

func (c *Client) enter(ctx context.Context, repo name.Repository, scopes []string, unasked bool) (*session, error) {
	if s := c.sessions.find(repo, scopes, unasked); s != nil {
		return s, nil
	}
	key := fmt.Sprint(repo.Name(), " ", unasked, " ", strings.Join(scopes, " "))
	s, _, err := c.sessions.flight.do(ctx, key, func() (*session, error) {
		if s := c.sessions.find(repo, scopes, unasked); s != nil {
			return s, nil
		}
		if err := c.sessions.refusal(key); err != nil {
			return nil, err
		}
		s, err := c.authenticate(ctx, repo, scopes, unasked)
		if err != nil {
			return nil, c.sessions.refuse(key, err)
		}
		c.sessions.add(repo, s)
		return s, nil
	})
	return s, err
}

// find is an open session; one to a registry that nothing was said to yet counts
// where that is wanted, and for as long as it is true.
func (s *sessions) find(repo name.Repository, scopes []string, unasked bool) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	unasked = unasked && s.greetings[repo.RegistryStr()] == nil
	for _, have := range s.open[repo.Name()] {
		if have.covers(scopes) && (have.greeting != nil || unasked) {
			return have
		}
	}
	return nil
}

func (s *sessions) refusal(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused[key]
}

// refuse remembers err where it says that the credentials are wrong.
func (s *sessions) refuse(key string, err error) error {
	if said, ok := errors.AsType[*transport.Error](err); ok && said.StatusCode == http.StatusUnauthorized {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.refused == nil {
			s.refused = make(map[string]error)
		}
		s.refused[key] = err
	}
	return err
}

func (s *sessions) add(repo name.Repository, add *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[string][]*session)
	}
	s.open[repo.Name()] = append(s.open[repo.Name()], add)
}

// covers reports whether every scope wanted is one of s's; push includes pull.
func (s *session) covers(scopes []string) bool {
	for _, want := range scopes {
		wider := strings.TrimSuffix(want, ":pull") + ":push,pull"
		if !slices.Contains(s.scopes, want) && !slices.Contains(s.scopes, wider) {
			return false
		}
	}
	return true
}

// authenticate does the handshake that the registry asks for, none, basic or
// bearer, for scopes with the credentials of repo. With unasked it leaves that to
// the first call, where there are no credentials.
func (c *Client) authenticate(ctx context.Context, repo name.Repository, scopes []string, unasked bool) (*session, error) {
	auth, err := c.keys.resolve(ctx, repo)
	if err != nil {
		return nil, err
	}
	if unasked && auth == authn.Anonymous && c.sessions.greeting(repo.Registry) == nil {
		return &session{c: c, repo: repo, scopes: scopes}, nil
	}
	g, err := c.greet(ctx, repo.Registry, auth != authn.Anonymous)
	if err != nil {
		return nil, err
	}
	token, err := c.exchangeToken(ctx, g, auth, scopes)
	if err != nil {
		return nil, err
	}
	rt, err := transport.FromToken(g.registry, auth, c.wire, g.challenge, token)
	if err != nil {
		return nil, err
	}
	return &session{c: c, repo: repo, greeting: g, scopes: scopes, client: &http.Client{Transport: rt}}, nil
}

// exchangeToken gets a bearer token, where the registry wants one.
func (c *Client) exchangeToken(ctx context.Context, g *greeting, auth authn.Authenticator, scopes []string) (*transport.Token, error) {
	if !strings.EqualFold(g.challenge.Scheme, "bearer") {
		return &transport.Token{}, nil
	}
	conf, err := authn.Authorization(ctx, auth)
	if err != nil {
		return nil, err
	}
	if conf.RegistryToken != "" {
		return &transport.Token{Token: conf.RegistryToken}, nil
	}
	token, err := transport.Exchange(ctx, g.registry, auth, c.wire, scopes, g.challenge)
	if err != nil {
		return nil, err
	}
	if token.AccessToken != "" {
		token.Token = token.AccessToken
	}
	return token, nil
}

// call is one request of the specification.
type call struct {
	method string
	// url is absolute, as a Location gave it; else path and query are used.
	url    *url.URL
	path   string
	query  url.Values
	header http.Header
	// open gives the body, size its length, -1 when that is unknown.
	open   func() (io.ReadCloser, error)
	size   int64
	manner manner
}

// send sends a call and gives the answer, whatever its status. The body must be closed.
func (s *session) send(ctx context.Context, cl call) (*http.Response, error) {
	if s.greeting == nil {
		return s.c.meet(ctx, s.repo, cl)
	}
	resp, err := s.exchange(ctx, cl)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || s.greeting.asked {
		return resp, err
	}
	drain(resp)
	if s, err = s.c.reconsider(ctx, s); err != nil {
		return nil, err
	}
	return s.exchange(ctx, cl)
}

func (s *session) exchange(ctx context.Context, cl call) (*http.Response, error) {
	req, err := cl.request(ctx, s.greeting.scheme, s.greeting.registry)
	if err != nil {
		return nil, err
	}
	return s.client.Do(req)
}

// request is the call as a request to reg.
func (cl call) request(ctx context.Context, scheme string, reg name.Registry) (*http.Request, error) {
	u := cl.url
	if u == nil {
		u = &url.URL{Scheme: scheme, Host: reg.RegistryStr(), Path: cl.path, RawQuery: cl.query.Encode()}
	}
	req, err := http.NewRequestWithContext(withManner(ctx, cl.manner), cl.method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for key, values := range cl.header {
		req.Header[key] = values
	}
	if cl.open != nil && cl.size != 0 {
		// The wire takes its bodies from GetBody; this one is never read.
		req.Body = io.NopCloser(strings.NewReader(""))
		req.GetBody = cl.open
		req.ContentLength = cl.size
	}
	return req, nil
}

// follow resolves an answer's Location. A registry behind a proxy that ends TLS
// often believes that it speaks plain HTTP: the scheme of its own host is kept.
func (s *session) follow(resp *http.Response) (*url.URL, error) {
	loc := resp.Header.Get("Location")
	if loc == "" {
		return nil, &finalError{errors.New("the registry's answer has no Location")}
	}
	u, err := resp.Request.URL.Parse(loc)
	if err != nil {
		return nil, &finalError{fmt.Errorf("the registry's answer has a Location that is no address")}
	}
	if u.Host == s.greeting.registry.RegistryStr() {
		u.Scheme = s.greeting.scheme
	}
	return u, nil
}
