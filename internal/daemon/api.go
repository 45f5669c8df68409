package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/multipack/multipack/internal/fault"
)

// api makes requests of the Engine API. See docs.docker.com/reference/api/engine.
type api struct {
	http *http.Transport
	// base is what comes before the version in a URL.
	base string
	// version is zero until it is agreed on: paths then have none.
	version apiVersion
	// local says that the engine is reached by a file's permissions.
	local bool
}

// send makes a request and gives the answer where its status says success. The
// answer's body ends with ctx. Other answers are a *refusal, and where there is
// none it is an *unreachable. The request's body is closed in any case, but may
// be read from for a while.
//
// The transport is used without http.Client: an engine that redirects is none,
// and its errors repeat the URL.
func (a *api) send(ctx context.Context, method, path string, query url.Values, body io.ReadCloser) (*http.Response, error) {
	target := a.base
	if a.version != (apiVersion{}) {
		target += "/v" + a.version.String()
	}
	target += path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "multipack")
	if body != nil {
		req.Header.Set("Content-Type", "application/x-tar")
	}
	resp, err := a.http.RoundTrip(req)
	if err != nil {
		return nil, &unreachable{err}
	}
	if resp.StatusCode/100 != 2 {
		return nil, refused(resp)
	}
	return resp, nil
}

// get reads a JSON document into v.
func (a *api) get(ctx context.Context, path string, query url.Values, v any) error {
	resp, err := a.send(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	// To its end, so that the connection can be used again.
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return &unreachable{err}
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("reading what the engine answers: %w", err)
	}
	return nil
}

// do makes a request whose answer holds nothing that is needed.
func (a *api) do(ctx context.Context, method, path string, query url.Values) error {
	resp, err := a.send(ctx, method, path, query, nil)
	if err != nil {
		return err
	}
	return finish(resp)
}

// finish reads an answer to its end: only then is the engine done, and the
// connection free.
func finish(resp *http.Response) error {
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return &unreachable{err}
	}
	return nil
}

// imagePath is the path of what is asked of the image called name. The slashes
// of a name stay; one that would lead to another path is refused.
func imagePath(name, what string) (string, error) {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		if p == "" || p == "." || p == ".." {
			return "", fault.New(fault.Usage, "'%s' is no name of an image", name)
		}
		parts[i] = url.PathEscape(p)
	}
	return "/images/" + strings.Join(parts, "/") + what, nil
}

// refused is the error of an answer without success: what the engine says, in
// JSON or, where it is old or a proxy answers, in plain text.
func refused(resp *http.Response) error {
	defer resp.Body.Close()
	const most = 64 << 10
	raw, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return &unreachable{err}
	}
	var said struct{ Message string }
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if json.Unmarshal(raw, &said) != nil && media == "text/plain" && len(raw) < most {
		said.Message = string(raw)
	}
	r := &refusal{status: resp.StatusCode, message: strings.TrimSpace(said.Message)}
	if r.message == "" {
		r.message = fmt.Sprintf("it answers '%s'", resp.Status)
		if to := resp.Header.Get("Location"); to != "" {
			r.message += fmt.Sprintf(" and points to '%s'", to)
		}
	}
	return r
}
