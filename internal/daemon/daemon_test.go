package daemon_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multipack/multipack/internal/daemon"
	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

func env(pairs ...string) func(string) string {
	return func(key string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == key {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// engine connects to the machine's engine; without one the test is skipped.
func engine(t *testing.T) *daemon.Client {
	t.Helper()
	c, err := daemon.New(t.Context(), os.Getenv)
	if err != nil {
		// What the docker command reaches must be reached here too.
		if exec.Command("docker", "version").Run() == nil {
			t.Fatal(err)
		}
		t.Skipf("no Docker engine: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// archive is a docker archive with one image of one layer.
func archive(t *testing.T, name, arch string) (raw []byte, id string) {
	t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	put(t, w, "file", []byte(rand.Text()))
	closeTar(t, w)
	config := fmt.Appendf(nil, `{"architecture":%q,"os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%x"]}}`, arch, sha256.Sum256(layer.Bytes()))
	hex := fmt.Sprintf("%x", sha256.Sum256(config))
	manifest, err := json.Marshal([]map[string]any{{"Config": hex + ".json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w = tar.NewWriter(&out)
	put(t, w, hex+".json", config)
	put(t, w, "layer.tar", layer.Bytes())
	put(t, w, "manifest.json", manifest)
	closeTar(t, w)
	return out.Bytes(), "sha256:" + hex
}

func put(t *testing.T, w *tar.Writer, name string, data []byte) {
	t.Helper()
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
}

func closeTar(t *testing.T, w *tar.Writer) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	c, ctx := engine(t), t.Context()
	p, _, err := c.Version(ctx)
	if err != nil || p.OS == "" || p.Arch == "" || p != p.Normalize() {
		t.Fatalf("Version: %v, %v", p, err)
	}
	name := "multipack-test-" + strings.ToLower(rand.Text()) + ":1"
	raw, id := archive(t, name, p.Arch)
	if err := c.Load(ctx, bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	other := strings.TrimSuffix(name, ":1") + ":2"
	t.Cleanup(func() {
		for _, n := range []string{name, other} {
			if err := c.Remove(context.Background(), n); err != nil {
				t.Error(err)
			}
		}
	})
	if err := c.Tag(ctx, name, other); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{name, other, id} {
		got, on, err := c.Inspect(ctx, n)
		if err != nil || got != id || on.Arch != p.Arch {
			t.Errorf("Inspect(%q) = %q, %v, %v; want %q", n, got, on, err, id)
		}
	}
	rc, err := c.Save(ctx, other, platform.Platform{OS: "linux", Arch: p.Arch})
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	names := map[string]bool{}
	tr := tar.NewReader(rc)
	for h, err := tr.Next(); err != io.EOF; h, err = tr.Next() {
		if err != nil {
			t.Fatal(err)
		}
		names[h.Name] = true
	}
	if !names["manifest.json"] {
		t.Errorf("the saved stream holds %v", names)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	c, ctx := engine(t), t.Context()
	absent := "multipack-test-absent:1"
	if _, _, err := c.Inspect(ctx, absent); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "'"+absent+"'") {
		t.Errorf("Inspect: %v", err)
	}
	if _, err := c.Save(ctx, absent); !fault.Is(err, fault.NotFound) {
		t.Errorf("Save: %v", err)
	}
	if err := c.Tag(ctx, absent, "x:1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("Tag: %v", err)
	}
	raw, _ := archive(t, "multipack-test-bad:1", "amd64")
	raw = bytes.Replace(raw, []byte(`"diff_ids":["sha256:`), []byte(`"diff_ids":["sha256;`), 1)
	if err := c.Load(ctx, bytes.NewReader(raw)); !fault.Is(err, fault.Failed) {
		t.Errorf("Load of a bad archive: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := c.Inspect(cancelled, absent); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestNoEngine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead.sock")
	l, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	for _, host := range []string{"unix://" + filepath.Join(dir, "none.sock"), "unix://" + dead, "tcp://127.0.0.1:1"} {
		_, err := daemon.New(t.Context(), env("DOCKER_HOST", host))
		if !fault.Is(err, fault.Failed) || fault.HintOf(err) == "" || !strings.Contains(err.Error(), "'"+host+"'") {
			t.Errorf("%s: %v, hint %q", host, err, fault.HintOf(err))
		}
	}
	if _, err := daemon.New(t.Context(), env("DOCKER_HOST", "no host")); !fault.Is(err, fault.Failed) {
		t.Errorf("bad DOCKER_HOST: %v", err)
	}
}

// dockerConfig writes a docker configuration whose current context is name.
func dockerConfig(t *testing.T, name, host string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("config.json", `{"currentContext":"`+name+`"}`)
	if host != "" {
		write(fmt.Sprintf("contexts/meta/%x/meta.json", sha256.Sum256([]byte(name))),
			`{"Name":"`+name+`","Metadata":{},"Endpoints":{"docker":{"Host":"`+host+`","SkipTLSVerify":false}}}`)
	}
	return dir
}

func TestContexts(t *testing.T) {
	t.Parallel()
	host := engine(t).Host()
	if c, err := daemon.New(t.Context(), env("DOCKER_CONFIG", dockerConfig(t, "mine", host))); err != nil {
		t.Errorf("current context: %v", err)
	} else if c.Close(); c.Host() != host {
		t.Errorf("host %q, want %q", c.Host(), host)
	}
	dead := "unix:///nonexistent/engine.sock"
	config := dockerConfig(t, "dead", dead)
	if _, err := daemon.New(t.Context(), env("DOCKER_CONFIG", config)); err == nil || !strings.Contains(err.Error(), dead) {
		t.Errorf("the context's engine is not there: %v", err)
	}
	if c, err := daemon.New(t.Context(), env("DOCKER_CONFIG", config, "DOCKER_HOST", host)); err != nil {
		t.Errorf("DOCKER_HOST goes before the context: %v", err)
	} else {
		c.Close()
	}
	if c, err := daemon.New(t.Context(), env("DOCKER_CONFIG", config, "DOCKER_HOST", host, "DOCKER_API_VERSION", "1.41")); err != nil {
		t.Errorf("fixed version: %v", err)
	} else {
		c.Close()
	}
	if _, err := daemon.New(t.Context(), env("DOCKER_CONFIG", config, "DOCKER_CONTEXT", "other")); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "'other'") || fault.HintOf(err) == "" {
		t.Errorf("unknown context: %v", err)
	}
}

// TestTLS reaches the engine through a proxy that speaks TLS.
func TestTLS(t *testing.T) {
	t.Parallel()
	host := engine(t).Host()
	socket, ok := strings.CutPrefix(host, "unix://")
	if !ok {
		t.Skipf("the engine at %s has no socket", host)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "engine"})
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	server := httptest.NewTLSServer(proxy)
	t.Cleanup(server.Close)
	certs := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(certs, "ca.pem"), ca, 0o644); err != nil {
		t.Fatal(err)
	}
	address := "tcp://" + server.Listener.Addr().String()
	c, err := daemon.New(t.Context(), env("DOCKER_HOST", address, "DOCKER_CERT_PATH", certs, "DOCKER_TLS_VERIFY", "1"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, _, err := c.Version(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := daemon.New(t.Context(), env("DOCKER_HOST", address, "DOCKER_CERT_PATH", t.TempDir(), "DOCKER_TLS_VERIFY", "1")); err == nil {
		t.Error("an unknown certificate was accepted")
	}
}
