package registry

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// policy decides which hosts may be spoken to in plain text or without a
// verified certificate. go-containerregistry's own rule also lets private
// addresses fall back to plain HTTP; this one is asked on every exchange,
// redirects and token servers included, so that nothing slips by.
type policy struct {
	insecure map[string]bool
}

func newPolicy(hosts []string) policy {
	p := policy{insecure: make(map[string]bool, len(hosts))}
	for _, h := range hosts {
		p.insecure[canonicalHost(h)] = true
	}
	return p
}

// plain reports whether host, HOST or HOST:PORT, may speak plain HTTP.
func (p policy) plain(host string) bool {
	return p.unverified(host) || loopback(host)
}

// unverified reports whether host's certificate need not be verified.
func (p policy) unverified(host string) bool { return p.insecure[canonicalHost(host)] }

// plainError is the refusal to speak plain HTTP.
type plainError struct{ host string }

func (e *plainError) Error() string {
	return fmt.Sprintf("plain HTTP is not allowed for '%s'", e.host)
}

// check refuses a URL that would be fetched in plain text from a host that may not.
func (p policy) check(u *url.URL) error {
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && p.plain(u.Host):
		return nil
	case u.Scheme == "http":
		return &plainError{u.Host}
	}
	return fmt.Errorf("scheme '%s' is not supported", u.Scheme)
}

// registry is reg as the handshake must see it: marked insecure when plain HTTP
// may be tried, and only then.
func (p policy) registry(reg name.Registry) (name.Registry, error) {
	if p.plain(reg.RegistryStr()) {
		return name.NewRegistry(reg.RegistryStr(), name.Insecure)
	}
	return name.NewRegistry(reg.RegistryStr())
}

// canonicalHost makes the spellings of Docker Hub one, and drops case.
func canonicalHost(h string) string {
	h = strings.ToLower(h)
	if h == "docker.io" {
		return name.DefaultRegistry
	}
	return h
}

// loopback reports whether host is this machine: localhost, 127.0.0.0/8, [::1].
// Other names under .localhost do not count: a resolver may send them elsewhere.
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
