// Package daemon talks to a Docker engine: which platform it runs, and images
// in and out as the streams of `docker save` and `docker load`. Of the Engine API
// it speaks just what that takes: the engine's own client would add a fifth to
// the time of every start of the program.
package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// Client is a connection to an engine. It is safe for concurrent use.
type Client struct {
	api  *api
	host string
}

// New connects to the engine that the docker command would use, and agrees on
// an API version with it: DOCKER_HOST (unix, tcp, http, https, npipe, ssh; with
// DOCKER_CERT_PATH, DOCKER_TLS_VERIFY, DOCKER_API_VERSION), else the context
// named by DOCKER_CONTEXT or by currentContext in $DOCKER_CONFIG/config.json,
// else the platform's default socket. Engines behind tcp, http and https are
// reached through the proxies of the environment, which is read through getenv.
// Errors: fault.Failed with a hint where no engine answers, fault.Denied where
// the socket may not be used, fault.NotFound for a context that is not there.
func New(ctx context.Context, getenv func(string) string) (*Client, error) {
	e, err := findEndpoint(getenv)
	if err != nil {
		return nil, fmt.Errorf("finding the Docker engine: %w", err)
	}
	const doing = "connecting to the Docker engine at '%s'"
	api, err := connect(e, getenv)
	if err != nil {
		return nil, fault.New(fault.Failed, doing+": %w", shown(e.host), err)
	}
	c := &Client{api: api, host: e.host}
	if err := api.negotiate(ctx, getenv("DOCKER_API_VERSION")); err != nil {
		c.Close()
		return nil, c.fail(ctx, err, doing, shown(e.host))
	}
	return c, nil
}

// Close drops idle connections.
func (c *Client) Close() error {
	c.api.http.CloseIdleConnections()
	return nil
}

// Host is the engine's address.
func (c *Client) Host() string { return c.host }

// Version is the platform that the engine runs, and whether its image store is
// containerd's, which keeps indexes; the older stores keep one platform a name.
func (c *Client) Version(ctx context.Context) (p platform.Platform, containerdStore bool, err error) {
	var v struct{ Os, Arch string }
	if err := c.api.get(ctx, "/version", nil, &v); err != nil {
		return platform.Platform{}, false, c.fail(ctx, err, "asking the Docker engine for its version")
	}
	var info struct{ DriverStatus [][2]string }
	if err := c.api.get(ctx, "/info", nil, &info); err != nil {
		return platform.Platform{}, false, c.fail(ctx, err, "asking the Docker engine for its image store")
	}
	for _, pair := range info.DriverStatus {
		if pair[0] == "driver-type" && pair[1] == "io.containerd.snapshotter.v1" {
			containerdStore = true
		}
	}
	return platform.Platform{OS: v.Os, Arch: v.Arch}.Normalize(), containerdStore, nil
}

// Inspect gives the id ("sha256:…") and the platform of the image called name.
// An image that the engine does not have is a fault.NotFound.
func (c *Client) Inspect(ctx context.Context, name string) (id string, p platform.Platform, err error) {
	const doing = "looking up image '%s' in the Docker engine"
	path, err := imagePath(name, "/json")
	if err != nil {
		return "", platform.Platform{}, c.fail(ctx, err, doing, name)
	}
	var i struct{ ID, Os, Architecture, Variant, OsVersion string }
	if err := c.api.get(ctx, path, nil, &i); err != nil {
		return "", platform.Platform{}, c.fail(ctx, err, doing, name)
	}
	return i.ID, platform.Platform{OS: i.Os, Arch: i.Architecture, Variant: i.Variant, OSVersion: i.OsVersion}.Normalize(), nil
}

// Save streams the image called name as `docker save` writes it. With
// platforms, engines that can choose (API 1.48, for several 1.52; containerd's
// store) save just those; others, and those that do not have them, save what
// they have, and the caller checks. The caller closes the stream, which ends
// with ctx. An image that the engine does not have is a fault.NotFound.
func (c *Client) Save(ctx context.Context, name string, platforms ...platform.Platform) (io.ReadCloser, error) {
	// Asked first: some engines begin the answer before they look.
	if _, _, err := c.Inspect(ctx, name); err != nil {
		return nil, err
	}
	query := url.Values{"names": {name}}
	chosen := c.choose(platforms)
	if len(chosen) > 0 {
		query["platform"] = chosen
	}
	resp, err := c.api.send(ctx, http.MethodGet, "/images/get", query, nil)
	if len(chosen) > 0 && status(err) == http.StatusNotFound {
		// Not for these platforms; the caller can say for which.
		query.Del("platform")
		resp, err = c.api.send(ctx, http.MethodGet, "/images/get", query, nil)
	}
	if err != nil {
		return nil, c.fail(ctx, err, "saving image '%s' from the Docker engine", name)
	}
	return resp.Body, nil
}

// choose are the parameters that have the engine save the platforms only; none
// where it cannot.
func (c *Client) choose(platforms []platform.Platform) []string {
	var out []string
	for _, p := range platforms {
		raw, err := json.Marshal(struct { // as image-spec writes it
			Architecture string `json:"architecture"`
			OS           string `json:"os"`
			OSVersion    string `json:"os.version,omitempty"`
			Variant      string `json:"variant,omitempty"`
		}{p.Arch, p.OS, p.OSVersion, p.Variant})
		if err == nil && !slices.Contains(out, string(raw)) {
			out = append(out, string(raw))
		}
	}
	if c.api.version.less(onePlatform) || len(out) > 1 && c.api.version.less(manyPlatforms) {
		return nil
	}
	return out
}

// Load gives the engine a `docker save` stream. It returns when the engine has
// taken all of it; what the engine says about a bad stream is the error. When
// ctx ends while r is being read, that Read is not waited for.
func (c *Client) Load(ctx context.Context, r io.Reader) error {
	body, release := interruptible(ctx, r)
	defer release()
	if err := c.load(ctx, body); err != nil {
		return c.fail(ctx, err, "loading into the Docker engine")
	}
	return nil
}

func (c *Client) load(ctx context.Context, body io.ReadCloser) error {
	resp, err := c.api.send(ctx, http.MethodPost, "/images/load", url.Values{"quiet": {"1"}}, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for dec := json.NewDecoder(resp.Body); ; {
		// Engines say it twice; from API 1.48 on error may be left out.
		var line struct {
			Error       string
			ErrorDetail struct{ Message string }
		}
		switch err := dec.Decode(&line); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case line.ErrorDetail.Message != "":
			return errors.New(line.ErrorDetail.Message)
		case line.Error != "":
			return errors.New(line.Error)
		}
	}
}

// interruptible is r for a request's body. The transport waits for a Read that
// it began, even when the request is cancelled; this one's ends with ctx.
func interruptible(ctx context.Context, r io.Reader) (body io.ReadCloser, release func()) {
	out, in := io.Pipe()
	go func() {
		_, err := io.Copy(in, r)
		if err != nil {
			err = &unreadable{err}
		}
		in.CloseWithError(err)
	}()
	stop := context.AfterFunc(ctx, func() { out.CloseWithError(context.Cause(ctx)) })
	return out, func() {
		stop()
		out.Close()
	}
}

// Tag gives the image called src (a name or an id) the name dst as well.
func (c *Client) Tag(ctx context.Context, src, dst string) error {
	if err := c.tag(ctx, src, dst); err != nil {
		return c.fail(ctx, err, "tagging image '%s' as '%s' in the Docker engine", src, dst)
	}
	return nil
}

func (c *Client) tag(ctx context.Context, src, dst string) error {
	path, err := imagePath(src, "/tag")
	if err != nil {
		return err
	}
	repo, tag := dst, "latest"
	// A colon before a slash is a port's.
	if i := strings.LastIndexByte(dst, ':'); i > strings.LastIndexByte(dst, '/') {
		repo, tag = dst[:i], dst[i+1:]
	}
	if repo == "" || tag == "" || strings.Contains(dst, "@") {
		return fault.New(fault.Usage, "'%s' is no name with a tag", dst)
	}
	return c.api.do(ctx, http.MethodPost, path, url.Values{"repo": {repo}, "tag": {tag}})
}

// Remove takes the name away, and the image where that was its last name.
func (c *Client) Remove(ctx context.Context, name string) error {
	path, err := imagePath(name, "")
	if err == nil {
		err = c.api.do(ctx, http.MethodDelete, path, url.Values{"noprune": {"0"}})
	}
	if err != nil {
		return c.fail(ctx, err, "removing image '%s' from the Docker engine", name)
	}
	return nil
}
