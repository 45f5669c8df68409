package regtest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/multipack/multipack/testhelpers/regtest"
)

func digest(s string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(s))) }

// ask sends one request; user is NAME:PASS, "" for none.
func ask(t testing.TB, r *regtest.Registry, method, path, body string, header ...string) (status int, text string, h http.Header) {
	t.Helper()
	target := path
	if !strings.HasPrefix(path, "http") {
		target = r.URL() + path
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), resp.Header
}

func want(t testing.TB, what string, got, status int) {
	t.Helper()
	if got != status {
		t.Errorf("%s: %d, want %d", what, got, status)
	}
}

func upload(t testing.TB, r *regtest.Registry, repo, body string) {
	t.Helper()
	status, text, h := ask(t, r, "POST", "/v2/"+repo+"/blobs/uploads/", "")
	if status != 202 {
		t.Fatalf("POST: %d %s", status, text)
	}
	at := h.Get("Location")
	if strings.Contains(at, "?") {
		at += "&"
	} else {
		at += "?"
	}
	if status, text, _ = ask(t, r, "PUT", at+"digest="+digest(body), body); status != 201 {
		t.Fatalf("PUT: %d %s", status, text)
	}
}

const (
	ociImage   = "application/vnd.oci.image.manifest.v1+json"
	ociIndex   = "application/vnd.oci.image.index.v1+json"
	dockerList = "application/vnd.docker.distribution.manifest.list.v2+json"
)

func image(config string, size int) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%d},"layers":[]}`,
		ociImage, digest(config), size)
}

func index(mt, child string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":"%s","manifests":[{"mediaType":"%s","digest":"%s","size":%d}]}`, mt, ociImage, digest(child), len(child))
}

func putManifest(t testing.TB, r *regtest.Registry, ref, mt, raw string) (int, string) {
	t.Helper()
	status, text, _ := ask(t, r, "PUT", "/v2/a/manifests/"+ref, raw, "Content-Type", mt)
	return status, text
}

func TestManifestsNeedTheirChildren(t *testing.T) {
	t.Parallel()
	for kind, start := range map[string]func(testing.TB, ...regtest.Option) *regtest.Registry{"strict": regtest.New, "distribution": regtest.Distribution} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := start(t)
			upload(t, r, "other", "{}")
			status, text := putManifest(t, r, "v1", ociImage, image("{}", 2))
			if status < 400 || status >= 500 || !strings.Contains(text, "MANIFEST_BLOB_UNKNOWN") && !strings.Contains(text, "BLOB_UNKNOWN") {
				t.Errorf("config of another repository: %d %s", status, text)
			}
			upload(t, r, "a", "{}")
			raw := image("{}", 2)
			for _, mt := range []string{ociIndex, dockerList} {
				if status, _ := putManifest(t, r, "all", mt, index(mt, raw)); status < 400 || status >= 500 {
					t.Errorf("%s without its child: %d", mt, status)
				}
			}
			status, text = putManifest(t, r, "v1", ociImage, raw)
			want(t, text, status, 201)
			status, text = putManifest(t, r, "all", dockerList, index(dockerList, raw))
			want(t, text, status, 201)
		})
	}
}

func TestStrictness(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	upload(t, r, "a", "{}")
	status, text := putManifest(t, r, "v1", ociImage, image("{}", 3))
	want(t, "wrong size: "+text, status, 400)
	status, text = putManifest(t, r, "v1", ociIndex, image("{}", 2))
	want(t, "wrong media type: "+text, status, 400)
	status, text, _ = ask(t, r, "PUT", "/v2/a/blobs/uploads/bm9uZQ?digest="+digest("x"), "x")
	want(t, "an upload that nobody started: "+text, status, 404)
	status, _, h := ask(t, r, "POST", "/v2/b/blobs/uploads/?from=none&mount="+digest("{}"), "")
	want(t, "a mount from nowhere", status, 202)
	if h.Get("Location") == "" {
		t.Error("no upload after a refused mount")
	}
	status, _, _ = ask(t, r, "POST", "/v2/b/blobs/uploads/?from=a&mount="+digest("{}"), "")
	want(t, "a mount", status, 201)
}

func TestTokenScopes(t *testing.T) {
	t.Parallel()
	r := regtest.New(t, regtest.TokenAuth(regtest.User{Name: "w", Password: "w"}, regtest.User{Name: "r", Password: "r", ReadOnly: true}))
	status, _, h := ask(t, r, "GET", "/v2/", "")
	want(t, "greeting", status, 401)
	if c := h.Get("WWW-Authenticate"); !strings.Contains(c, `realm="`+r.URL()+`/token"`) {
		t.Errorf("challenge: %s", c)
	}
	token := func(user, scope string) string {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", r.URL()+"/token?service=regtest&scope="+scope, nil)
		req.SetBasicAuth(user, user)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer struct{ Token string }
		_ = json.NewDecoder(resp.Body).Decode(&answer)
		return answer.Token
	}
	post := func(token string) int {
		status, _, _ := ask(t, r, "POST", "/v2/a/blobs/uploads/", "", "Authorization", "Bearer "+token)
		return status
	}
	want(t, "writer, push", post(token("w", "repository:a:pull,push")), 202)
	want(t, "writer, pull", post(token("w", "repository:a:pull")), 401)
	want(t, "writer, another repository", post(token("w", "repository:b:pull,push")), 401)
	want(t, "reader, push", post(token("r", "repository:a:pull,push")), 401)
	if token("x", "repository:a:pull") != "" {
		t.Error("a token for nobody")
	}
	valid := token("w", "repository:a:pull,push")
	r.ExpireTokens()
	want(t, "expired", post(valid), 401)
}

func TestStaleReads(t *testing.T) {
	t.Parallel()
	for kind, start := range map[string]func(testing.TB, ...regtest.Option) *regtest.Registry{"strict": regtest.New, "distribution": regtest.Distribution} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := start(t, regtest.Stale("v1", 2))
			upload(t, r, "a", "{}")
			upload(t, r, "a", "{ }")
			read := func() (int, string) {
				status, text, _ := ask(t, r, "GET", "/v2/a/manifests/v1", "", "Accept", ociImage)
				return status, text
			}
			_, _ = putManifest(t, r, "v1", ociImage, image("{}", 2))
			for _, expected := range []int{404, 404, 200} {
				status, _ := read()
				want(t, "new tag", status, expected)
			}
			_, _ = putManifest(t, r, "v1", ociImage, image("{ }", 3))
			for i, expected := range []string{image("{}", 2), image("{}", 2), image("{ }", 3)} {
				if _, text := read(); text != expected {
					t.Errorf("read %d: %s", i, text)
				}
			}
		})
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	upload(t, r, "a", strings.Repeat("x", 1000))
	path := "/v2/a/blobs/" + digest(strings.Repeat("x", 1000))
	r.Reset()
	r.Inject(regtest.Fault{Method: "GET", Skip: 1, Times: 2, Status: 429, RetryAfter: "9"})
	for _, expected := range []int{200, 429, 429, 200} {
		status, _, h := ask(t, r, "GET", path, "")
		want(t, "GET", status, expected)
		if status == 429 && h.Get("Retry-After") != "9" {
			t.Error("no Retry-After")
		}
	}
	r.Inject(regtest.Fault{CutDownload: 100})
	if _, text, _ := ask(t, r, "GET", path, ""); len(text) != 100 {
		t.Errorf("%d bytes before the cut", len(text))
	}
	r.Inject(regtest.Fault{Method: "DELETE", CutDownload: -1})
	if status, _, _ := ask(t, r, "DELETE", path, ""); status != 0 {
		t.Errorf("a lost answer came: %d", status)
	}
	if status, _, _ := ask(t, r, "HEAD", path, ""); status != 404 {
		t.Errorf("what lost its answer was not done: %d", status)
	}
	r.Inject(regtest.Fault{CutUpload: -1})
	if status, _, _ := ask(t, r, "POST", "/v2/a/blobs/uploads/", ""); status != 0 {
		t.Errorf("a cut request was answered: %d", status)
	}
	if got := r.Count("GET", "/blobs/"); got != 5 {
		t.Errorf("%d requests in the log", got)
	}
	r.Kill()
	if status, _, _ := ask(t, r, "GET", "/v2/", ""); status != 0 {
		t.Errorf("a killed registry answered: %d", status)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := regtest.New(t, regtest.ReadOnly())
	status, _, _ := ask(t, r, "POST", "/v2/a/blobs/uploads/", "")
	want(t, "a write to a read-only registry", status, 403)
	status, _, _ = ask(t, r, "GET", "/v2/", "")
	want(t, "a read", status, 200)
	basic := regtest.New(t, regtest.BasicAuth(regtest.User{Name: "u", Password: "p"}))
	status, _, _ = ask(t, basic, "GET", "/v2/", "")
	want(t, "no credentials", status, 401)
}

func TestParseOptions(t *testing.T) {
	t.Parallel()
	opts, faults, err := regtest.ParseOptions([]string{"-token", "-user", "u:p", "-anonymous", "-immutable", "v.*", "-deny", "DELETE:/a/", "-fail", "PUT:/x:503:2"})
	if err != nil || len(opts) != 3 || len(faults) != 1 || faults[0].Status != 503 || faults[0].Times != 2 || faults[0].Path != "/x" {
		t.Errorf("got %d options, %+v, %v", len(opts), faults, err)
	}
	for _, bad := range []string{"-user=x", "-stale=x", "-fail=x", "-deny=x", "-none", "word"} {
		if _, _, err := regtest.ParseOptions([]string{bad}); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}
