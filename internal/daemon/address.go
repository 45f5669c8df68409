package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// address is where an engine listens.
type address struct {
	// scheme is unix, npipe, ssh, tcp, http or https.
	scheme string
	// dial is the path of a socket or a pipe, or a host with its port.
	dial string
	// prefix is the path below which the engine is found, for one behind a proxy.
	prefix string
}

// ports are what is meant where none is named: the docker command's for tcp.
var ports = map[string]string{"tcp": "2375", "http": "80", "https": "443"}

// parseAddress reads what DOCKER_HOST and contexts say: unix:///path,
// npipe:////./pipe/name, ssh://[user@]host[:port][/socket], and
// tcp://host[:port][/prefix], for which http and https may be written.
func parseAddress(host string) (address, error) {
	scheme, rest, ok := strings.Cut(host, "://")
	if !ok {
		return address{}, errors.New("the address has no scheme, like that of 'unix:///var/run/docker.sock' and 'tcp://localhost:2375'")
	}
	if rest == "" {
		return address{}, fmt.Errorf("nothing follows '%s://' in the address", scheme)
	}
	switch scheme {
	case "unix":
		if most := len(syscall.RawSockaddrUnix{}.Path); len(rest) >= most {
			return address{}, fmt.Errorf("the path of a socket has less than %d bytes, this one has %d", most, len(rest))
		}
		return address{scheme: scheme, dial: rest}, nil
	case "npipe":
		return address{scheme: scheme, dial: rest}, nil
	case "ssh", "tcp", "http", "https":
		return parseURL(scheme, host)
	default:
		return address{}, fmt.Errorf("'%s' is no scheme of an engine's address (schemes: unix, npipe, ssh, tcp, http, https)", scheme)
	}
}

func parseURL(scheme, host string) (address, error) {
	u, err := url.Parse(host)
	if err != nil {
		// The whole address, which the error of package url repeats, may hold a password.
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err
		}
		return address{}, fmt.Errorf("the address is no URL: %w", err)
	}
	_, password := u.User.Password()
	switch {
	case u.Host == "":
		return address{}, errors.New("the address names no host")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return address{}, errors.New("the address must end before '?' and '#'")
	case password, scheme != "ssh" && u.User != nil:
		return address{}, errors.New("the address must not hold a user's name (but for ssh) or a password")
	// Programs read what begins so as a flag.
	case strings.HasPrefix(u.Hostname(), "-"), strings.HasPrefix(u.User.Username(), "-"):
		return address{}, errors.New("neither a host nor a user begins with '-'")
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || n == 0) {
		return address{}, fmt.Errorf("'%s' is no port", u.Port())
	}
	if scheme == "ssh" {
		return address{scheme: scheme}, nil // the rest is the dialer's to read
	}
	if slices.Contains(strings.Split(u.Path, "/"), "..") {
		return address{}, errors.New("the address must not hold '..'")
	}
	name, port := u.Hostname(), u.Port()
	if name == "" {
		name = "localhost"
	}
	if port == "" {
		port = ports[scheme]
	}
	return address{scheme: scheme, dial: net.JoinHostPort(name, port), prefix: strings.TrimRight(u.EscapedPath(), "/")}, nil
}

// shown is the address for messages: without a password.
func shown(host string) string {
	u, err := url.Parse(host)
	if err == nil {
		if _, password := u.User.Password(); password {
			return u.Redacted()
		}
		return host
	}
	scheme, rest, _ := strings.Cut(host, "://")
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		return scheme + "://…" + rest[i:]
	}
	return host
}
