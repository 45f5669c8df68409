package registry

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"
)

func enter(t *testing.T, g *gate, read bool) (leave func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	leave, err := g.enter(ctx, read)
	if err != nil {
		t.Fatalf("no place: %v", err)
	}
	return leave
}

// refused reports whether g has no place to give now.
func refused(t *testing.T, g *gate, read bool) bool {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.busy >= g.limit && (!read || g.tickets == 0)
}

func TestGateGivesPlacesUpToItsLimit(t *testing.T) {
	t.Parallel()
	g := newGate(2)
	first, second := enter(t, g, true), enter(t, g, false)
	if !refused(t, g, true) {
		t.Error("a third place")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.enter(ctx, true); err == nil {
		t.Error("a place after the end of the context")
	}
	first()
	third := enter(t, g, true)
	second()
	third()
	if g.busy != 0 || len(g.queue) != 0 {
		t.Errorf("%d places taken, %d waiting", g.busy, len(g.queue))
	}
}

func TestGateLetsAnOpeningUploadRead(t *testing.T) {
	t.Parallel()
	g := newGate(1)
	upload := enter(t, g, false)
	opened := g.open()
	if !refused(t, g, false) {
		t.Error("a ticket is for reads")
	}
	// One exchange after the other, as a handshake and the download need them.
	enter(t, g, true)()
	download := enter(t, g, true)
	if !refused(t, g, true) {
		t.Error("a second read with one ticket")
	}
	opened()
	opened()
	download()
	if !refused(t, g, true) {
		t.Error("the ticket outlives the opening")
	}
	upload()
	if g.busy != 0 || g.tickets != 0 || g.opening != 0 {
		t.Errorf("left over: %d places, %d tickets, %d openings", g.busy, g.tickets, g.opening)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 3 ": 3 * time.Second, "-5": 0, "soon": 0,
		"99999999999": longestRetryAfter, "3600": longestRetryAfter,
		now.Add(9 * time.Second).Format(http.TimeFormat): 9 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):      0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("'%s': %v, want %v", value, got, want)
		}
	}
}

func TestDefaultBackoffGrowsToItsLimit(t *testing.T) {
	t.Parallel()
	for try := range 40 {
		full := longestWait
		if try < 6 {
			full = min(firstWait<<try, longestWait)
		}
		if got := defaultBackoff(try); got < full/2 || got > full {
			t.Errorf("try %d: %v", try, got)
		}
	}
}

func TestPublicURLHidesSecrets(t *testing.T) {
	t.Parallel()
	u, err := url.Parse("https://user:pass@h.test/v2/a/blobs/uploads/x?_state=s3cr3t&X-Amz-Signature=s3cr3t&from=a%2Fb&mount=sha256%3Aaa")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := publicURL(u), "https://h.test/v2/a/blobs/uploads/x?from=a%2Fb&mount=sha256%3Aaa"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST:5000": true, "127.0.0.1": true, "127.8.9.10:80": true, "[::1]:5000": true, "[::1]": true,
		"localhost.evil.test": false, "x.localhost": false, "127.0.0.1.test": false, "128.0.0.1": false, "10.0.0.1:5000": false, "[fe80::1]": false,
	} {
		if got := loopback(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
}

func TestRegistryWords(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][2]string{
		`{"errors":[{"code":"DENIED","message":"no"}]}`:                          {"DENIED", "no"},
		`{"errors":[{"code":"A","message":"one"},{"code":"B","message":"two"}]}`: {"A", "one; B: two"},
		`{"message":"rate limit"}`:                                               {"", "rate limit"},
		"<!DOCTYPE html><html><body>Bad gateway</body></html>":                   {"", ""},
		"plain\n\ttext \x1b[31mred":                                              {"", "plain text [31mred"},
		"":                                                                       {"", ""},
	} {
		if code, text := registryWords([]byte(body)); code != want[0] || text != want[1] {
			t.Errorf("%q: got %q, %q", body, code, text)
		}
	}
}
