// Package daemon talks to a Docker engine: which platform it runs, and images
// in and out as the streams of `docker save` and `docker load`. It is the only
// importer of the engine's client.
package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// platformAPI is the API version from which save and load choose platforms.
const platformAPI = "1.48"

// Client is a connection to an engine. It is safe for concurrent use.
type Client struct {
	api  *client.Client
	host string
}

// New connects to the engine that the docker command would use, and agrees on
// an API version with it: DOCKER_HOST (unix, tcp, npipe, ssh; with
// DOCKER_CERT_PATH, DOCKER_TLS_VERIFY, DOCKER_API_VERSION), else the context
// named by DOCKER_CONTEXT or by currentContext in $DOCKER_CONFIG/config.json,
// else the platform's default socket. The environment is read through getenv.
// Errors: fault.Failed with a hint where no engine answers, fault.Denied where
// the socket may not be used, fault.NotFound for a context that is not there.
func New(ctx context.Context, getenv func(string) string) (*Client, error) {
	e, err := findEndpoint(getenv)
	if err != nil {
		return nil, fmt.Errorf("finding the Docker engine: %w", err)
	}
	opts, err := e.options()
	if err != nil {
		return nil, fault.New(fault.Failed, "connecting to the Docker engine at '%s': %w", e.host, err)
	}
	if v := getenv(client.EnvOverrideAPIVersion); v != "" {
		opts = append(opts, client.WithAPIVersion(v))
	}
	api, err := client.New(opts...)
	if err != nil {
		return nil, fault.New(fault.Failed, "connecting to the Docker engine at '%s': %w", e.host, err)
	}
	c := &Client{api: api, host: e.host}
	if _, err := api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		api.Close()
		return nil, c.fail(ctx, err, "connecting to the Docker engine at '%s'", e.host)
	}
	return c, nil
}

// Close drops idle connections.
func (c *Client) Close() error { return c.api.Close() }

// Host is the engine's address.
func (c *Client) Host() string { return c.host }

// Version is the platform that the engine runs, and whether its image store is
// containerd's, which keeps indexes; the older stores keep one platform a name.
func (c *Client) Version(ctx context.Context) (p platform.Platform, containerdStore bool, err error) {
	v, err := c.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return platform.Platform{}, false, c.fail(ctx, err, "asking the Docker engine for its version")
	}
	info, err := c.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return platform.Platform{}, false, c.fail(ctx, err, "asking the Docker engine for its image store")
	}
	for _, pair := range info.Info.DriverStatus {
		if pair[0] == "driver-type" && pair[1] == "io.containerd.snapshotter.v1" {
			containerdStore = true
		}
	}
	return platform.Platform{OS: v.Os, Arch: v.Arch}.Normalize(), containerdStore, nil
}

// Inspect gives the id ("sha256:…") and the platform of the image called name.
// An image that the engine does not have is a fault.NotFound.
func (c *Client) Inspect(ctx context.Context, name string) (id string, p platform.Platform, err error) {
	i, err := c.api.ImageInspect(ctx, name)
	if err != nil {
		return "", platform.Platform{}, c.fail(ctx, err, "looking up image '%s' in the Docker engine", name)
	}
	return i.ID, platform.Platform{OS: i.Os, Arch: i.Architecture, Variant: i.Variant, OSVersion: i.OsVersion}.Normalize(), nil
}

// Save streams the image called name as `docker save` writes it. With
// platforms, engines that can choose (API 1.48, containerd's store) save just
// those; others, and those that do not have them, save what they have, and the
// caller checks. The caller closes the stream. An image that the engine does not have is a fault.NotFound.
func (c *Client) Save(ctx context.Context, name string, platforms ...platform.Platform) (io.ReadCloser, error) {
	// Asked first: some engines begin the answer before they look.
	if _, _, err := c.Inspect(ctx, name); err != nil {
		return nil, err
	}
	var opts []client.ImageSaveOption
	if len(platforms) > 0 && c.choosesPlatforms() {
		list := make([]ocispec.Platform, len(platforms))
		for i, p := range platforms {
			list[i] = ocispec.Platform{OS: p.OS, Architecture: p.Arch, Variant: p.Variant, OSVersion: p.OSVersion}
		}
		opts = append(opts, client.ImageSaveWithPlatforms(list...))
	}
	rc, err := c.api.ImageSave(ctx, []string{name}, opts...)
	if len(opts) > 0 && errdefs.IsNotFound(err) {
		// Not for these platforms; the caller can say for which.
		rc, err = c.api.ImageSave(ctx, []string{name})
	}
	if err != nil {
		return nil, c.fail(ctx, err, "saving image '%s' from the Docker engine", name)
	}
	return rc, nil
}

func (c *Client) choosesPlatforms() bool {
	return versions.GreaterThanOrEqualTo(c.api.ClientVersion(), platformAPI)
}

// Load gives the engine a `docker save` stream. It returns when the engine has
// taken all of it; what the engine says about a bad stream is the error.
func (c *Client) Load(ctx context.Context, r io.Reader) error {
	answer, err := c.api.ImageLoad(ctx, r, client.ImageLoadWithQuiet(true))
	if err != nil {
		return c.fail(ctx, err, "loading into the Docker engine")
	}
	defer answer.Close()
	for dec := json.NewDecoder(answer); ; {
		var line struct {
			Error string `json:"error"`
		}
		err := dec.Decode(&line)
		if err == io.EOF {
			return nil
		}
		if err == nil && line.Error != "" {
			err = errors.New(line.Error)
		}
		if err != nil {
			return c.fail(ctx, err, "loading into the Docker engine")
		}
	}
}

// Tag gives the image called src (a name or an id) the name dst as well.
func (c *Client) Tag(ctx context.Context, src, dst string) error {
	if _, err := c.api.ImageTag(ctx, client.ImageTagOptions{Source: src, Target: dst}); err != nil {
		return c.fail(ctx, err, "tagging image '%s' as '%s' in the Docker engine", src, dst)
	}
	return nil
}

// Remove takes the name away, and the image where that was its last name.
func (c *Client) Remove(ctx context.Context, name string) error {
	if _, err := c.api.ImageRemove(ctx, name, client.ImageRemoveOptions{PruneChildren: true}); err != nil {
		return c.fail(ctx, err, "removing image '%s' from the Docker engine", name)
	}
	return nil
}

// fail classifies err and says what was being done.
func (c *Client) fail(ctx context.Context, err error, doing string, args ...any) error {
	what := fmt.Sprintf(doing, args...)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	case errdefs.IsNotFound(err):
		return fault.New(fault.NotFound, "%s: there is no such image", what)
	case errdefs.IsPermissionDenied(err), errdefs.IsUnauthorized(err):
		return fault.New(fault.Denied, "%s: %w", what, err)
	case client.IsErrConnectionFailed(err):
		return fault.Hint(fault.New(fault.Failed, "%s: %w", what, err),
			"start the Docker engine, let DOCKER_HOST or the docker context name one that runs, or use an 'oci-archive:' or registry reference")
	default:
		return fault.New(fault.Failed, "%s: %w", what, err)
	}
}
