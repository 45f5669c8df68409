package daemon

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/docker/cli/cli/connhelper"
	"github.com/moby/moby/client"

	"github.com/multipack/multipack/internal/fault"
)

// endpoint is where an engine listens and how it is spoken to.
type endpoint struct {
	host string
	// certs is the directory with ca.pem, cert.pem and key.pem; "" without TLS.
	certs string
	// skipVerify leaves the engine's certificate unchecked.
	skipVerify bool
}

// findEndpoint follows the docker command: DOCKER_HOST, then the context.
func findEndpoint(getenv func(string) string) (endpoint, error) {
	if host := getenv(client.EnvOverrideHost); host != "" {
		return endpoint{host: host, certs: getenv(client.EnvOverrideCertPath), skipVerify: getenv(client.EnvTLSVerify) == ""}, nil
	}
	dir := getenv("DOCKER_CONFIG")
	if dir == "" {
		dir = filepath.Join(getenv("HOME"), ".docker")
	}
	context := getenv("DOCKER_CONTEXT")
	if context == "" {
		var err error
		if context, err = currentContext(filepath.Join(dir, "config.json")); err != nil {
			return endpoint{}, err
		}
	}
	if context == "" || context == "default" {
		return endpoint{host: client.DefaultDockerHost, certs: getenv(client.EnvOverrideCertPath), skipVerify: getenv(client.EnvTLSVerify) == ""}, nil
	}
	return readContext(filepath.Join(dir, "contexts"), context)
}

func currentContext(config string) (string, error) {
	raw, err := os.ReadFile(config)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fault.As(fault.Failed, err)
	}
	var c struct {
		CurrentContext string `json:"currentContext"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return "", fault.New(fault.Failed, "reading '%s': %w", config, err)
	}
	return c.CurrentContext, nil
}

// readContext reads a context of the docker command: meta/<id>/meta.json and
// tls/<id>/docker/ below dir, where id is the hash of the context's name.
func readContext(dir, name string) (endpoint, error) {
	id := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
	file := filepath.Join(dir, "meta", id, "meta.json")
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return endpoint{}, fault.Hint(fault.New(fault.NotFound, "there is no docker context '%s'", name),
			"'docker context ls' lists them; DOCKER_CONTEXT and currentContext in the docker config choose one")
	}
	if err != nil {
		return endpoint{}, fault.New(fault.Failed, "reading docker context '%s': %w", name, err)
	}
	var meta struct {
		Endpoints map[string]struct {
			Host          string
			SkipTLSVerify bool
		}
	}
	if err := json.Unmarshal(raw, &meta); err != nil {
		return endpoint{}, fault.New(fault.Failed, "reading docker context '%s': %w", name, err)
	}
	docker, ok := meta.Endpoints["docker"]
	if !ok || docker.Host == "" {
		return endpoint{}, fault.New(fault.Failed, "reading docker context '%s': it names no engine", name)
	}
	e := endpoint{host: docker.Host, skipVerify: docker.SkipTLSVerify}
	certs := filepath.Join(dir, "tls", id, "docker")
	if info, err := os.Stat(certs); err == nil && info.IsDir() {
		e.certs = certs
	}
	return e, nil
}

func (e endpoint) options() ([]client.Opt, error) {
	helper, err := connhelper.GetConnectionHelper(e.host)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{MaxIdleConns: 6}
	httpClient := &http.Client{Transport: transport, CheckRedirect: client.CheckRedirect}
	if helper != nil { // ssh
		transport.DialContext = helper.Dialer
		return []client.Opt{client.WithHTTPClient(httpClient), client.WithHost(helper.Host), client.WithScheme("http"), client.WithDialContext(helper.Dialer)}, nil
	}
	scheme := "http"
	if e.certs != "" {
		scheme = "https"
		if transport.TLSClientConfig, err = e.tls(); err != nil {
			return nil, err
		}
	}
	return []client.Opt{client.WithHTTPClient(httpClient), client.WithHost(e.host), client.WithScheme(scheme)}, nil
}

// tls is as the docker command has it: a client certificate where there is one,
// and the engine's checked against ca.pem unless that is switched off.
func (e endpoint) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: e.skipVerify}
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
