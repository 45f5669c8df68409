//go:build unix

package load_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/tree/load"
)

// quick waits not at all between tries.
func quick(t testing.TB, retries int) load.Options {
	return load.Options{Dir: t.TempDir(), Retries: retries, Backoff: func(int) time.Duration { return 0 }}
}

// serve answers request number n (from 1) by answer.
func serve(t testing.TB, answer func(n int64, w http.ResponseWriter)) (url string, requests *atomic.Int64) {
	requests = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(requests.Add(1), w) }))
	t.Cleanup(s.Close)
	return s.URL, requests
}

func TestDownload(t *testing.T) {
	t.Parallel()
	data := pack(t, dir("a"), reg("a/b"))
	url, requests := serve(t, func(_ int64, w http.ResponseWriter) { _, _ = w.Write(data) })
	l := open(t, url+"/x.tgz?token=secret", quick(t, 2))
	same(t, list(t, l.Tree), []string{"a directory 755", "a/b file 644 a/b"})
	if strings.Contains(l.Tree.Name, "secret") {
		t.Errorf("the name tells a secret: %s", l.Tree.Name)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
	if raw, err := os.ReadFile(l.File); err != nil || string(raw) != string(data) {
		t.Errorf("'%s' is not what was downloaded: %v", l.File, err)
	}
	// One content, one identity: wherever it was downloaded to.
	again := open(t, url+"/x.tgz", quick(t, 2))
	if a, b := l.Tree.Entries[1], again.Tree.Entries[1]; a.ID != b.ID || !a.Durable {
		t.Errorf("identities %q and %q, durable %v", a.ID, b.ID, a.Durable)
	}
}

func TestDownloadIsObserved(t *testing.T) {
	t.Parallel()
	data := pack(t, reg("a"))
	url, _ := serve(t, func(_ int64, w http.ResponseWriter) { _, _ = w.Write(data) })
	var done, total int64
	opts := quick(t, 0)
	opts.Observe = func(d, t int64) { done, total = d, t }
	open(t, url+"/x.tar", opts)
	if size := int64(len(data)); done != size || total != size {
		t.Errorf("%d of %d, want %d", done, total, size)
	}
}

func TestDownloadIsRetried(t *testing.T) {
	t.Parallel()
	data := pack(t, reg("a"))
	url, requests := serve(t, func(n int64, w http.ResponseWriter) {
		switch n {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2: // less than promised
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			_, _ = w.Write(data[:700])
		case 3:
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			_, _ = w.Write(data)
		}
	})
	same(t, list(t, open(t, url, quick(t, 3)).Tree), []string{"a file 644 a"})
	if n := requests.Load(); n != 4 {
		t.Errorf("%d requests", n)
	}
}

func TestDownloadThatFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer   func(w http.ResponseWriter)
		kind     fault.Kind
		requests int64
	}{
		"missing":   {func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }, fault.NotFound, 1},
		"forbidden": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) }, fault.Denied, 1},
		"broken":    {func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }, fault.Failed, 3},
		"short": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "5000")
			_, _ = w.Write(make([]byte, 512))
		}, fault.Failed, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, requests := serve(t, func(_ int64, w http.ResponseWriter) { c.answer(w) })
			url = strings.Replace(url, "http://", "http://me:secret@", 1) + "/x.tgz"
			o := quick(t, 2)
			_, err := load.Open(t.Context(), url+"?token=secret", o)
			wantError(t, err, c.kind, "/x.tgz'")
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells a secret: %v", err)
			}
			if n := requests.Load(); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
			left, err := os.ReadDir(o.Dir)
			must(t, err)
			if len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
