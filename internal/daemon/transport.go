package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/docker/cli/cli/connhelper"

	"github.com/multipack/multipack/internal/proxy"
)

// patience is how long a connection may take to come about.
const patience = 10 * time.Second

// connect prepares the connections to an endpoint; none is made yet.
func connect(e endpoint, getenv func(string) string) (*api, error) {
	at, err := parseAddress(e.host)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: patience}
	t := &http.Transport{MaxIdleConns: 6, TLSHandshakeTimeout: patience, DisableCompression: true}
	// HTTP wants a host's name; the engine at the other end of a socket reads none.
	a := &api{http: t, base: "http://localhost"}
	switch at.scheme {
	case "unix":
		a.local = true
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", at.dial)
		}
	case "npipe":
		a.local = true
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dialPipe(ctx, at.dial) }
	case "ssh":
		helper, err := connhelper.GetConnectionHelper(e.host)
		if err != nil {
			return nil, err
		}
		t.DialContext = helper.Dialer
	default:
		base := url.URL{Scheme: "http", Host: at.dial}
		if at.scheme == "https" || e.certs != "" || e.skipVerify {
			base.Scheme = "https"
			if t.TLSClientConfig, err = e.tls(); err != nil {
				return nil, err
			}
		}
		t.Proxy, t.DialContext = proxy.FromEnv(getenv), dialer.DialContext
		a.base = base.String() + at.prefix
	}
	return a, nil
}

// tls is as the docker command has it: a client certificate where there is one,
// and the engine's checked against ca.pem unless that is switched off.
func (e endpoint) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: e.skipVerify} //nolint:gosec // only where the user said so
	if e.certs == "" {
		return c, nil
	}
	ca, err := os.ReadFile(filepath.Join(e.certs, "ca.pem"))
	switch {
	case err == nil:
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("reading '%s': it holds no certificate", filepath.Join(e.certs, "ca.pem"))
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(e.certs, "cert.pem"), filepath.Join(e.certs, "key.pem"))
	switch {
	case err == nil:
		c.Certificates = []tls.Certificate{pair}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("reading the client certificate in '%s': %w", e.certs, err)
	}
	return c, nil
}
