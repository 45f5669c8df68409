package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/multipack/multipack/internal/fault"
)

// refusal is an answer that says no.
type refusal struct {
	status  int
	message string
}

func (r *refusal) Error() string { return r.message }

// status is that of a refusal, 0 for another error.
func status(err error) int {
	var r *refusal
	if errors.As(err, &r) {
		return r.status
	}
	return 0
}

// unreachable is why an engine gave no answer, or not all of it.
type unreachable struct{ err error }

func (u *unreachable) Error() string {
	if u.err == io.EOF || errors.Is(u.err, io.ErrUnexpectedEOF) {
		return "the engine closed the connection"
	}
	return u.err.Error()
}

func (u *unreachable) Unwrap() error { return u.err }

// unreadable is why what is to be sent to an engine cannot be read.
type unreadable struct{ error }

func (u *unreadable) Unwrap() error { return u.error }

// fail classifies err and says what was being done.
func (c *Client) fail(ctx context.Context, err error, doing string, args ...any) error {
	what := fmt.Sprintf(doing, args...)
	var (
		source *unreadable
		lost   *unreachable
	)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	case status(err) == http.StatusNotFound:
		if strings.Contains(strings.ToLower(err.Error()), "no such image") {
			err = errors.New("there is no such image")
		}
		return fault.New(fault.NotFound, "%s: %w", what, err)
	case status(err) == http.StatusUnauthorized, status(err) == http.StatusForbidden:
		return fault.New(fault.Denied, "%s: %w", what, err)
	case errors.As(err, &source):
		if _, ok := fault.KindOf(source.error); !ok {
			return fault.New(fault.Failed, "%s: %w", what, source.error)
		}
		return fmt.Errorf("%s: %w", what, source.error)
	case errors.As(err, &lost) && c.api.local && errors.Is(err, fs.ErrPermission):
		return fault.Hint(fault.New(fault.Denied, "%s: %w", what, err),
			"the engine's socket is not for this user: a member of its group (on Linux mostly 'docker') may use it")
	case errors.As(err, &lost):
		return fault.Hint(fault.New(fault.Failed, "%s: %w", what, err),
			"start the Docker engine, let DOCKER_HOST or the docker context name one that runs, or use an 'oci-archive:' or registry reference")
	}
	if _, ok := fault.KindOf(err); ok {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fault.New(fault.Failed, "%s: %w", what, err)
}
