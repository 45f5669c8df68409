package daemon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/multipack/multipack/internal/daemon"
)

// fake answers like an engine, for what the machine's own cannot show.
type fake struct {
	// version is what the ping says; "" for none.
	version string
	// answers are by method and path, without the version; they are asked before
	// the engine's usual ones.
	answers map[string]http.HandlerFunc

	mu   sync.Mutex
	seen []string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, query := r.URL.EscapedPath(), ""
	if r.URL.RawQuery != "" {
		query = "?" + r.URL.RawQuery
	}
	f.mu.Lock()
	f.seen = append(f.seen, r.Method+" "+path+query)
	f.mu.Unlock()
	if strings.HasPrefix(path, "/v1.") {
		path = path[1+strings.Index(path[1:], "/"):]
	}
	if answer, ok := f.answers[r.Method+" "+path]; ok {
		answer(w, r)
		return
	}
	switch {
	case path == "/_ping":
		if f.version != "" {
			w.Header().Set("API-Version", f.version)
		}
	case path == "/version":
		reply(w, http.StatusOK, map[string]string{"Os": "linux", "Arch": "arm64", "ApiVersion": f.version})
	case path == "/info":
		reply(w, http.StatusOK, map[string]any{"DriverStatus": [][2]string{{"driver-type", "io.containerd.snapshotter.v1"}}})
	case strings.HasSuffix(path, "/json"):
		reply(w, http.StatusOK, map[string]string{"Id": "sha256:1", "Os": "linux", "Architecture": "arm64", "Variant": "v8"})
	case path == "/images/get":
		_, _ = io.WriteString(w, "saved")
	default:
		reply(w, http.StatusNotFound, map[string]string{"message": "page not found"})
	}
}

// requests are those that were made so far, without the pings.
func (f *fake) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.seen), func(s string) bool { return strings.HasSuffix(s, "/_ping") })
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// refuses answers with an error as engines write it.
func refuses(status int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { reply(w, status, map[string]string{"message": message}) }
}

// serve makes handler an engine at a tcp address.
func serve(t *testing.T, handler http.Handler) (host string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return "tcp://" + server.Listener.Addr().String()
}

// serveSocket makes handler an engine at a socket.
func serveSocket(t *testing.T, handler http.Handler) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "engine.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	return path
}

// dial connects to the engine at host.
func dial(t *testing.T, host string, more ...string) *daemon.Client {
	t.Helper()
	c, err := daemon.New(t.Context(), env(append([]string{"DOCKER_HOST", host}, more...)...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// hangs is a handler that begins an answer, tells so, and never ends it.
func hangs(begun chan<- struct{}, begin string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // servers see the end of a connection only after that
		if begin != "" {
			fmt.Fprint(w, begin)
			_ = http.NewResponseController(w).Flush()
		}
		close(begun)
		<-r.Context().Done()
	}
}

// whenBegun is a context that is cancelled when begun is closed.
func whenBegun(t *testing.T, begun <-chan struct{}) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	return ctx
}
