package daemon_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/multipack/multipack/internal/daemon"
	"github.com/multipack/multipack/internal/fault"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"no host":                            "the address has no scheme",
		"localhost:2375":                     "the address has no scheme",
		"unix://":                            "nothing follows 'unix://'",
		"unix://" + strings.Repeat("x", 300): "the path of a socket has less than 1",
		"fd://3":                             "'fd' is no scheme of an engine's address",
		"UNIX:///x":                          "'UNIX' is no scheme",
		"tcp://":                             "nothing follows 'tcp://'",
		"tcp:///path":                        "the address names no host",
		"tcp://h:port":                       "the address is no URL: ",
		"tcp://h:0":                          "'0' is no port",
		"tcp://h:65536":                      "'65536' is no port",
		"tcp://h:1?a=b":                      "the address must end before '?' and '#'",
		"https://h/#a":                       "the address must end before '?' and '#'",
		"tcp://me@h":                         "must not hold a user's name",
		"tcp://h/../x":                       "must not hold '..'",
		"tcp://h o st":                       "the address is no URL: ",
		"tcp://[::1":                         "the address is no URL: ",
		"ssh://":                             "nothing follows 'ssh://'",
		"ssh:///path":                        "the address names no host",
		"ssh://-oProxyCommand=x":             "neither a host nor a user begins with '-'",
		"ssh://-l@h":                         "neither a host nor a user begins with '-'",
		"ssh://h?x":                          "the address must end before '?' and '#'",
	} {
		_, err := daemon.New(t.Context(), env("DOCKER_HOST", host))
		if prefix := "connecting to the Docker engine at '" + host + "': "; !fault.Is(err, fault.Failed) || !strings.HasPrefix(err.Error(), prefix) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", host, err, want)
		}
	}
	if _, err := daemon.New(t.Context(), env("DOCKER_HOST", "npipe:////./pipe/multipack-test-none")); !fault.Is(err, fault.Failed) || fault.HintOf(err) == "" {
		t.Errorf("a pipe: %v", err)
	}
	for _, host := range []string{"ssh://me:hunter2@h", "tcp://me:hunter2@h", "tcp://me:hunter2%@h", "tcp://me:hunter2@h:x"} {
		if _, err := daemon.New(t.Context(), env("DOCKER_HOST", host)); !fault.Is(err, fault.Failed) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a password: %v", err)
		}
	}
}

func TestTCP(t *testing.T) {
	t.Parallel()
	f := &fake{version: "1.41"}
	host := serve(t, f)
	at := strings.TrimPrefix(host, "tcp://")
	below := &fake{version: "1.41"}
	proxied := serve(t, http.StripPrefix("/my engine", below))
	for _, c := range []struct {
		host string
		on   *fake
	}{
		{host, f}, {" " + host + "/ ", f}, {"http://" + at, f}, {proxied + "/my%20engine/", below},
	} {
		before := len(c.on.requests())
		if _, _, err := dial(t, c.host).Inspect(t.Context(), "a"); err != nil {
			t.Errorf("%s: %v", c.host, err)
		}
		if got := c.on.requests()[before:]; !slices.Equal(got, []string{"GET /v1.41/images/a/json"}) {
			t.Errorf("%s: got %q", c.host, got)
		}
	}
}

// TestProxy reaches hosts through the proxy of the environment, and sockets without.
func TestProxy(t *testing.T) {
	t.Parallel()
	f := &fake{version: "1.41"}
	proxy := "http://" + strings.TrimPrefix(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host != "engine.example:2375" {
			http.Error(w, "not for "+r.URL.Host, http.StatusBadGateway)
			return
		}
		f.ServeHTTP(w, r)
	})), "tcp://")
	dial(t, "tcp://engine.example", "HTTP_PROXY", proxy)
	dial(t, "tcp://engine.example", "HTTP_PROXY", "http://127.0.0.1:1", "http_proxy", proxy)
	if _, err := daemon.New(t.Context(), env("DOCKER_HOST", "tcp://other.example:2375", "HTTP_PROXY", proxy)); err == nil || !strings.Contains(err.Error(), "not for other.example") {
		t.Errorf("got %v", err)
	}
	dial(t, "unix://"+serveSocket(t, &fake{version: "1.41"}), "HTTP_PROXY", "http://127.0.0.1:1", "ALL_PROXY", "http://127.0.0.1:1")
}

// certificate is one that signs itself, in the files of a docker configuration.
func certificate(t *testing.T) (dir string, cert *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(1, 0, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true, IsCA: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	writePEM(t, dir, "cert.pem", "CERTIFICATE", raw)
	writePEM(t, dir, "key.pem", "PRIVATE KEY", private)
	return dir, cert
}

func writePEM(t *testing.T, dir, name, kind string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// quiet leaves failed handshakes, which are wanted here, out of the tests' output.
func quiet(s *httptest.Server) { s.Config.ErrorLog = log.New(io.Discard, "", 0) }

// TestClientCertificate is an engine that wants to know who asks.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	certs, client := certificate(t)
	server := httptest.NewUnstartedServer(&fake{version: "1.41"})
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
	server.TLS.ClientCAs.AddCert(client)
	quiet(server)
	server.StartTLS()
	t.Cleanup(server.Close)
	at := server.Listener.Addr().String()
	writePEM(t, certs, "ca.pem", "CERTIFICATE", server.Certificate().Raw)

	dial(t, "tcp://"+at, "DOCKER_CERT_PATH", certs, "DOCKER_TLS_VERIFY", "1")
	dial(t, "https://"+at, "DOCKER_CERT_PATH", certs, "DOCKER_TLS_VERIFY", "1")
	dial(t, "tcp://"+at, "DOCKER_CERT_PATH", certs)
	// Without a folder it is the docker configuration's, as for the docker command.
	dial(t, "tcp://"+at, "DOCKER_CONFIG", certs, "DOCKER_TLS_VERIFY", "1")
	// A socket has no use for TLS.
	dial(t, "unix://"+serveSocket(t, &fake{version: "1.41"}), "DOCKER_CERT_PATH", certs, "DOCKER_TLS_VERIFY", "1")

	stranger := t.TempDir()
	writePEM(t, stranger, "ca.pem", "CERTIFICATE", server.Certificate().Raw)
	bad := t.TempDir()
	writePEM(t, bad, "ca.pem", "OTHER", nil)
	for name, environment := range map[string][]string{
		"no client certificate":  {"DOCKER_CERT_PATH", stranger, "DOCKER_TLS_VERIFY", "1"},
		"unknown authority":      {"DOCKER_CERT_PATH", t.TempDir(), "DOCKER_TLS_VERIFY", "1"},
		"no authority":           {"DOCKER_CERT_PATH", bad},
		"plain HTTP":             nil,
		"https trusts by itself": {"DOCKER_HOST", "https://" + at},
	} {
		_, err := daemon.New(t.Context(), env(append(environment, "DOCKER_HOST", "tcp://"+at)...))
		if !fault.Is(err, fault.Failed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestContextWithoutVerification is https even where the context holds no certificates.
func TestContextWithoutVerification(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(&fake{version: "1.41"})
	quiet(server)
	server.StartTLS()
	t.Cleanup(server.Close)
	config := dockerConfig(t, "mine", "tcp://"+server.Listener.Addr().String())
	if _, err := daemon.New(t.Context(), env("DOCKER_CONFIG", config)); err == nil {
		t.Error("a context without certificates means plain HTTP")
	}
	files, err := filepath.Glob(filepath.Join(config, "contexts", "meta", "*", "meta.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	raw = []byte(strings.Replace(string(raw), `"SkipTLSVerify":false`, `"SkipTLSVerify":true`, 1))
	if err := os.WriteFile(files[0], raw, 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := daemon.New(t.Context(), env("DOCKER_CONFIG", config))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestSocketOfOthers(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" || os.Getuid() == 0 {
		t.Skip("this user may use every socket")
	}
	socket := serveSocket(t, &fake{version: "1.41"})
	if err := os.Chmod(socket, 0); err != nil {
		t.Fatal(err)
	}
	_, err := daemon.New(t.Context(), env("DOCKER_HOST", "unix://"+socket))
	if !fault.Is(err, fault.Denied) || !strings.Contains(fault.HintOf(err), "group") {
		t.Errorf("got %v, hint %q", err, fault.HintOf(err))
	}
}
