package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/multipack/multipack/internal/fault"
)

// apiVersion is a version of the Engine API.
type apiVersion struct{ major, minor uint64 }

var (
	// newest is the version that the code was written for: what it reads and
	// writes is the same in all since oldest, but for platforms.
	newest = apiVersion{1, 56}
	// oldest came with Docker 1.12, the first to say which version it speaks.
	oldest = apiVersion{1, 24}
	// onePlatform and manyPlatforms are the versions from which save takes a
	// platform, and more than one.
	onePlatform   = apiVersion{1, 48}
	manyPlatforms = apiVersion{1, 52}
)

func parseVersion(s string) (apiVersion, error) {
	major, minor, _ := strings.Cut(s, ".")
	var v apiVersion
	var errs [2]error
	v.major, errs[0] = strconv.ParseUint(major, 10, 32)
	v.minor, errs[1] = strconv.ParseUint(minor, 10, 32)
	if errs != [2]error{} {
		return apiVersion{}, fmt.Errorf("'%s' is no version of the Engine API, like '1.41'", s)
	}
	return v, nil
}

func (v apiVersion) less(than apiVersion) bool {
	return v.major < than.major || v.major == than.major && v.minor < than.minor
}

func (v apiVersion) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// negotiate asks whether an engine answers, and chooses the version: the one that
// is fixed, else the newest that both sides know.
func (a *api) negotiate(ctx context.Context, fixed string) error {
	// Read first, kept last: the questions are asked without a version.
	var v apiVersion
	var err error
	if fixed = strings.TrimPrefix(strings.TrimSpace(fixed), "v"); fixed != "" {
		if v, err = parseVersion(fixed); err != nil {
			return fmt.Errorf("reading DOCKER_API_VERSION: %w", err)
		}
	}
	spoken, err := a.ping(ctx)
	if err != nil {
		return err
	}
	if fixed != "" {
		a.version = v
		return nil
	}
	if spoken == "" { // a proxy may have taken the header away
		var answer struct{ APIVersion string }
		if err := a.get(ctx, "/version", nil, &answer); err != nil {
			return err
		}
		spoken = answer.APIVersion
	}
	if spoken == "" {
		return errNoEngine
	}
	if v, err = parseVersion(spoken); err != nil {
		return err
	}
	if v.less(oldest) {
		return fault.Hint(fmt.Errorf("the engine speaks version %s of the Engine API, at least %s is needed", v, oldest),
			"update the engine: Docker 1.12 and newer will do")
	}
	if newest.less(v) {
		v = newest
	}
	a.version = v
	return nil
}

var errNoEngine = errors.New("what answers there is no Docker engine")

// ping gives the version that the engine speaks, where its answer says it.
func (a *api) ping(ctx context.Context) (string, error) {
	// Engines before 1.40 do not know HEAD, and why one is not well only GET tells.
	resp, err := a.send(ctx, http.MethodHead, "/_ping", nil, nil)
	if status(err) != 0 {
		resp, err = a.send(ctx, http.MethodGet, "/_ping", nil, nil)
	}
	if status(err) == http.StatusNotFound {
		return "", errNoEngine
	}
	if err != nil {
		return "", err
	}
	return resp.Header.Get("Api-Version"), finish(resp)
}
