package daemon

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/multipack/multipack/internal/fault"
)

// endpoint is where an engine listens and how it is spoken to.
type endpoint struct {
	host string
	// certs is the directory with ca.pem, cert.pem and key.pem; "" for none.
	certs string
	// skipVerify leaves the engine's certificate unchecked. Both mean TLS, but
	// not for a socket, a pipe and ssh.
	skipVerify bool
}

// findEndpoint follows the docker command: DOCKER_HOST, then the context.
func findEndpoint(getenv func(string) string) (endpoint, error) {
	dir := getenv("DOCKER_CONFIG")
	if dir == "" {
		dir = filepath.Join(getenv("HOME"), ".docker")
	}
	if host := strings.TrimSpace(getenv("DOCKER_HOST")); host != "" {
		return fromEnvironment(host, dir, getenv), nil
	}
	context := getenv("DOCKER_CONTEXT")
	if context == "" {
		var err error
		if context, err = currentContext(filepath.Join(dir, "config.json")); err != nil {
			return endpoint{}, err
		}
	}
	if context == "" || context == "default" {
		return fromEnvironment(defaultHost, dir, getenv), nil
	}
	return readContext(filepath.Join(dir, "contexts"), context)
}

// fromEnvironment is the endpoint of a host that no context describes.
func fromEnvironment(host, config string, getenv func(string) string) endpoint {
	e := endpoint{host: host, certs: getenv("DOCKER_CERT_PATH")}
	if getenv("DOCKER_TLS_VERIFY") == "" {
		e.skipVerify = e.certs != ""
	} else if e.certs == "" {
		e.certs = config // as the docker command: who wants TLS must not get less
	}
	return e
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
