package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/multipack/multipack/internal/daemon"
	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

func TestNegotiation(t *testing.T) {
	t.Parallel()
	notFound := http.NotFound
	for _, c := range []struct {
		engine, fixed string
		answers       map[string]http.HandlerFunc
		want          string
	}{
		{engine: "1.24", want: "/v1.24/version"},
		{engine: "1.41", want: "/v1.41/version"},
		{engine: "1.56", want: "/v1.56/version"},
		{engine: "1.100", want: "/v1.56/version"},
		{engine: "2.0", want: "/v1.56/version"},
		{engine: "1.56", fixed: "1.41", want: "/v1.41/version"},
		{engine: "1.41", fixed: " v1.23 ", want: "/v1.23/version"},
		// Old engines know no HEAD.
		{engine: "1.39", answers: map[string]http.HandlerFunc{"HEAD /_ping": notFound}, want: "/v1.39/version"},
		// A proxy took the header away.
		{answers: map[string]http.HandlerFunc{"GET /version": func(w http.ResponseWriter, _ *http.Request) {
			reply(w, http.StatusOK, map[string]string{"ApiVersion": "1.44", "MinAPIVersion": "1.24"})
		}}, want: "/v1.44/version"},
	} {
		f := &fake{version: c.engine, answers: c.answers}
		client := dial(t, serve(t, f), "DOCKER_API_VERSION", c.fixed)
		if _, _, err := client.Version(t.Context()); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		if got := f.requests(); !slices.Contains(got, "GET "+c.want) {
			t.Errorf("engine '%s', fixed '%s': got %q, want %s", c.engine, c.fixed, got, c.want)
		}
	}
}

func TestNoNegotiation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		engine, fixed string
		answers       map[string]http.HandlerFunc
		kind          fault.Kind
		want          string
	}{
		{engine: "1.23", kind: fault.Failed, want: "the engine speaks version 1.23 of the Engine API, at least 1.24 is needed"},
		{engine: "new", kind: fault.Failed, want: "'new' is no version of the Engine API"},
		{engine: "1.41", fixed: "1.x", kind: fault.Failed, want: "reading DOCKER_API_VERSION: '1.x' is no version of the Engine API"},
		{engine: "1.41", fixed: "1.41.0", kind: fault.Failed, want: "'1.41.0' is no version"},
		{engine: "1.41", fixed: "-1.41", kind: fault.Failed, want: "'-1.41' is no version"},
		{engine: "", kind: fault.Failed, want: "what answers there is no Docker engine"},
		{
			answers: map[string]http.HandlerFunc{"HEAD /_ping": http.NotFound, "GET /_ping": http.NotFound},
			kind:    fault.Failed, want: "what answers there is no Docker engine",
		},
		{
			answers: map[string]http.HandlerFunc{"HEAD /_ping": refuses(500, ""), "GET /_ping": refuses(500, "the disk is full")},
			kind:    fault.Failed, want: "': the disk is full",
		},
		{
			answers: map[string]http.HandlerFunc{"HEAD /_ping": refuses(403, ""), "GET /_ping": refuses(403, "not you")},
			kind:    fault.Denied, want: "': not you",
		},
	} {
		host := serve(t, &fake{version: c.engine, answers: c.answers})
		_, err := daemon.New(t.Context(), env("DOCKER_HOST", host, "DOCKER_API_VERSION", c.fixed))
		if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "connecting to the Docker engine at '"+host+"'") {
			t.Errorf("engine '%s', fixed '%s': %v, want %s", c.engine, c.fixed, err, c.want)
		}
	}
}

// TestPlatforms asks for one platform from API 1.48 on and for several from 1.52 on.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	arm := platform.Platform{OS: "linux", Arch: "arm", Variant: "v7"}
	windows := platform.Platform{OS: "windows", Arch: "amd64", OSVersion: "10.0.1"}
	const armed, windowed = `{"architecture":"arm","os":"linux","variant":"v7"}`, `{"architecture":"amd64","os":"windows","os.version":"10.0.1"}`
	for _, c := range []struct {
		engine    string
		platforms []platform.Platform
		want      []string
	}{
		{"1.47", []platform.Platform{arm}, nil},
		{"1.48", nil, nil},
		{"1.48", []platform.Platform{arm}, []string{armed}},
		{"1.48", []platform.Platform{arm, arm}, []string{armed}},
		{"1.51", []platform.Platform{arm, windows}, nil},
		{"1.52", []platform.Platform{arm, windows}, []string{armed, windowed}},
		{"1.100", []platform.Platform{windows}, []string{windowed}},
	} {
		var got url.Values
		f := &fake{version: c.engine, answers: map[string]http.HandlerFunc{"GET /images/get": func(_ http.ResponseWriter, r *http.Request) { got = r.URL.Query() }}}
		rc, err := dial(t, serve(t, f)).Save(t.Context(), "host:5000/a/b:1", c.platforms...)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		rc.Close()
		if !slices.Equal(got["platform"], c.want) || !slices.Equal(got["names"], []string{"host:5000/a/b:1"}) {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// TestPlatformsThatAreNotThere are for the caller to find out.
func TestPlatformsThatAreNotThere(t *testing.T) {
	t.Parallel()
	f := &fake{version: "1.52", answers: map[string]http.HandlerFunc{"GET /images/get": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("platform") {
			refuses(404, "no such platform")(w, r)
			return
		}
		_, _ = io.WriteString(w, "all")
	}}}
	rc, err := dial(t, serve(t, f)).Save(t.Context(), "a", platform.Platform{OS: "linux", Arch: "arm64"})
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if raw, err := io.ReadAll(rc); err != nil || string(raw) != "all" {
		t.Errorf("got %q, %v", raw, err)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	p, containerd, err := dial(t, serve(t, &fake{version: "1.44"})).Version(t.Context())
	if want := (platform.Platform{OS: "linux", Arch: "arm64"}); err != nil || p != want.Normalize() || !containerd {
		t.Errorf("got %v, %v, %v", p, containerd, err)
	}
}

// TestPaths shows what names become in requests.
func TestPaths(t *testing.T) {
	t.Parallel()
	created := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }
	f := &fake{version: "1.41", answers: map[string]http.HandlerFunc{
		"POST /images/sha256:12/tag": created, "POST /images/h:5000/a/b:1/tag": created,
		"DELETE /images/h:5000/a/b:1": func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, []any{}) },
	}}
	c, ctx := dial(t, serve(t, f)), t.Context()
	inspect := func(name string) error { _, _, err := c.Inspect(ctx, name); return err }
	for _, err := range []error{
		inspect("a b?c#d%2f"), inspect("a@sha256:12"),
		c.Tag(ctx, "sha256:12", "h:5000/a/b:2"), c.Tag(ctx, "h:5000/a/b:1", "h:5000/c"), c.Tag(ctx, "sha256:12", "c:x&y=z"),
		c.Remove(ctx, "h:5000/a/b:1"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	want := []string{
		"GET /v1.41/images/a%20b%3Fc%23d%252f/json", "GET /v1.41/images/a@sha256:12/json",
		"POST /v1.41/images/sha256:12/tag?repo=h%3A5000%2Fa%2Fb&tag=2", "POST /v1.41/images/h:5000/a/b:1/tag?repo=h%3A5000%2Fc&tag=latest",
		"POST /v1.41/images/sha256:12/tag?repo=c&tag=x%26y%3Dz",
		"DELETE /v1.41/images/h:5000/a/b:1?noprune=0",
	}
	if got := f.requests(); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	for _, name := range []string{"", "..", "../containers/json", "a/../../b", "a/./b", "a//b", "/a", "a/"} {
		_, err := c.Save(ctx, name)
		for _, err := range []error{inspect(name), err, c.Tag(ctx, name, "a:1"), c.Remove(ctx, name)} {
			if !fault.Is(err, fault.Usage) || !strings.Contains(err.Error(), "'"+name+"' is no name of an image") {
				t.Errorf("'%s': %v", name, err)
			}
		}
	}
	for _, name := range []string{"", ":1", "a:", "a@sha256:12", "a:1@sha256:12"} {
		if err := c.Tag(ctx, "sha256:12", name); !fault.Is(err, fault.Usage) {
			t.Errorf("tag '%s': %v", name, err)
		}
	}
	if got := f.requests(); len(got) != len(want) {
		t.Errorf("there were requests for what is no name: %q", got[len(want):])
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	text := func(status int, media, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, c := range []struct {
		answer http.HandlerFunc
		kind   fault.Kind
		want   string
	}{
		{refuses(404, "No such image: x:1"), fault.NotFound, "there is no such image"},
		{refuses(404, "the platform is missing"), fault.NotFound, "the platform is missing"},
		{refuses(401, "who are you?"), fault.Denied, "who are you?"},
		{refuses(403, "not you"), fault.Denied, "not you"},
		{refuses(400, "client version 1.41 is too old\n"), fault.Failed, "client version 1.41 is too old"},
		{refuses(500, "the disk is full"), fault.Failed, "the disk is full"},
		{refuses(500, ""), fault.Failed, "it answers '500 Internal Server Error'"},
		{text(500, "text/plain; charset=utf-8", "it went wrong\n"), fault.Failed, "it went wrong"},
		{text(502, "text/html", "<html>no</html>"), fault.Failed, "it answers '502 Bad Gateway'"},
		{text(500, "text/plain", strings.Repeat("x", 1<<20)), fault.Failed, "it answers '500 Internal Server Error'"},
		{http.RedirectHandler("/elsewhere", http.StatusMovedPermanently).ServeHTTP, fault.Failed, "it answers '301 Moved Permanently' and points to '/elsewhere'"},
		{text(200, "application/json", "<html>"), fault.Failed, "reading what the engine answers: invalid character"},
	} {
		f := &fake{version: "1.41", answers: map[string]http.HandlerFunc{"GET /images/x:1/json": c.answer}}
		_, _, err := dial(t, serve(t, f)).Inspect(t.Context(), "x:1")
		if want := "looking up image 'x:1' in the Docker engine: " + c.want; !fault.Is(err, c.kind) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if fault.HintOf(err) != "" {
			t.Errorf("%v: an engine that answers needs no start: %s", err, fault.HintOf(err))
		}
	}
}

// TestLostConnection is an engine that dies while it answers.
func TestLostConnection(t *testing.T) {
	t.Parallel()
	f := &fake{version: "1.41", answers: map[string]http.HandlerFunc{
		"GET /images/x/json": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"GET /images/y/json": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"Id":`)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
	}}
	c := dial(t, serve(t, f))
	for _, name := range []string{"x", "y"} {
		_, _, err := c.Inspect(t.Context(), name)
		if !fault.Is(err, fault.Failed) || fault.HintOf(err) == "" || !strings.Contains(err.Error(), "the engine closed the connection") {
			t.Errorf("%v, hint %q", err, fault.HintOf(err))
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	lines := func(lines string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if raw, err := io.ReadAll(r.Body); err != nil || string(raw) != "tar" || r.URL.RawQuery != "quiet=1" || r.Header.Get("Content-Type") != "application/x-tar" {
				refuses(400, "a strange request")(w, r)
				return
			}
			_, _ = io.WriteString(w, lines)
		}
	}
	for _, c := range []struct {
		answer http.HandlerFunc
		want   string
	}{
		{lines(""), ""},
		{lines("{\"stream\":\"Loaded image: a\"}\r\n"), ""},
		{lines(`{"errorDetail":{"message":"bad tar"},"error":"bad tar"}`), "bad tar"},
		{lines(`{"stream":"x"}{"error":"bad tar"}`), "bad tar"},
		{lines(`{"errorDetail":{"code":1,"message":"bad tar"}}`), "bad tar"}, // from API 1.48 on
		{lines("{\"stream\""), "unexpected EOF"},
		{refuses(500, "no space"), "no space"},
	} {
		f := &fake{version: "1.41", answers: map[string]http.HandlerFunc{"POST /images/load": c.answer}}
		err := dial(t, serve(t, f)).Load(t.Context(), strings.NewReader("tar"))
		if c.want == "" && err != nil || c.want != "" && (!fault.Is(err, fault.Failed) || err.Error() != "loading into the Docker engine: "+c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// TestLoadOfWhatCannotBeRead blames the reader, not the engine.
func TestLoadOfWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	f := &fake{version: "1.41", answers: map[string]http.HandlerFunc{"POST /images/load": func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}}}
	c := dial(t, serve(t, f))
	broken := fault.New(fault.NotFound, "the layer is gone")
	err := c.Load(t.Context(), io.MultiReader(strings.NewReader("tar"), failing{broken}))
	if !errors.Is(err, broken) || !fault.Is(err, fault.NotFound) || err.Error() != "loading into the Docker engine: the layer is gone" || fault.HintOf(err) != "" {
		t.Errorf("got %v", err)
	}
	err = c.Load(t.Context(), failing{errors.New("the disk is bad")})
	if !fault.Is(err, fault.Failed) || err.Error() != "loading into the Docker engine: the disk is bad" {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestCancel ends calls that would otherwise never end.
func TestCancel(t *testing.T) {
	t.Parallel()
	load := func(ctx context.Context, c *daemon.Client) error { return c.Load(ctx, bytes.NewReader([]byte("tar"))) }
	inspect := func(ctx context.Context, c *daemon.Client) error { _, _, err := c.Inspect(ctx, "a"); return err }
	for name, c := range map[string]struct {
		request, begin string
		call           func(context.Context, *daemon.Client) error
	}{
		"before the answer":      {"GET /images/a/json", "", inspect},
		"in the answer":          {"GET /images/a/json", `{"Id":`, inspect},
		"before load's answer":   {"POST /images/load", "", load},
		"in load's answer":       {"POST /images/load", `{"stream":"x"}`, load},
		"before the saved image": {"GET /images/get", "", func(ctx context.Context, c *daemon.Client) error { _, err := c.Save(ctx, "a"); return err }},
		"in the saved image": {"GET /images/get", "saved", func(ctx context.Context, c *daemon.Client) error {
			rc, err := c.Save(ctx, "a")
			if err != nil {
				return err
			}
			defer rc.Close()
			_, err = io.Copy(io.Discard, rc)
			return err
		}},
		"of a tag":    {"POST /images/a/tag", "", func(ctx context.Context, c *daemon.Client) error { return c.Tag(ctx, "a", "b") }},
		"of removing": {"DELETE /images/a", "[", func(ctx context.Context, c *daemon.Client) error { return c.Remove(ctx, "a") }},
		"of versions": {"GET /info", "", func(ctx context.Context, c *daemon.Client) error { _, _, err := c.Version(ctx); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := make(chan struct{})
			f := &fake{version: "1.41", answers: map[string]http.HandlerFunc{c.request: hangs(begun, c.begin)}}
			client := dial(t, "unix://"+serveSocket(t, f))
			if err := c.call(whenBegun(t, begun), client); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestCancelWhileReading does not wait for a reader that never gives anything.
func TestCancelWhileReading(t *testing.T) {
	t.Parallel()
	f := &fake{version: "1.41", answers: map[string]http.HandlerFunc{"POST /images/load": func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}}}
	c := dial(t, serve(t, f))
	r := &silent{begun: make(chan struct{}), end: make(chan struct{})}
	defer close(r.end)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-r.begun
		cancel(cause)
	}()
	if err := c.Load(ctx, r); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

type silent struct{ begun, end chan struct{} }

func (s *silent) Read([]byte) (int, error) {
	close(s.begun)
	<-s.end
	return 0, io.EOF
}

func TestCancelOfConnecting(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	host := serve(t, &fake{answers: map[string]http.HandlerFunc{"HEAD /_ping": hangs(begun, "")}})
	if _, err := daemon.New(whenBegun(t, begun), env("DOCKER_HOST", host)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
