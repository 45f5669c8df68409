package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Waits between tries: exponential from firstWait, never above longestWait. A
// registry that asks for more with Retry-After is given longestRetryAfter.
const (
	firstWait         = 250 * time.Millisecond
	longestWait       = 10 * time.Second
	longestRetryAfter = time.Minute
)

func defaultBackoff(try int) time.Duration {
	wait := longestWait
	if try < 6 {
		wait = min(longestWait, firstWait<<try)
	}
	return wait/2 + rand.N(wait/2+1)
}

// retryableStatus reports whether a later try may be answered differently.
func retryableStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// transient reports whether err is of the network's kind: the same exchange may
// succeed when it is tried again. An error that has Final() knows it to be none.
func transient(err error) bool {
	var (
		refused  *plainError
		certs    *tls.CertificateVerificationError
		record   tls.RecordHeaderError
		alert    tls.AlertError
		notFound *net.DNSError
		content  *contentError
		final    *finalError
		said     *answerError
	)
	if f, ok := errors.AsType[interface {
		error
		Final() bool
	}](err); ok && f.Final() {
		return false
	}
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.As(err, &refused), errors.As(err, &certs), errors.As(err, &record),
		errors.As(err, &alert), errors.As(err, &content), errors.As(err, &final):
		return false
	case errors.As(err, &notFound) && notFound.IsNotFound, errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return false
	case errors.As(err, &said):
		return retryableStatus(said.status)
	}
	return !errors.Is(err, http.ErrSchemeMismatch)
}

// finalError marks an error that no further try can mend.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
func (e *finalError) Unwrap() error { return e.err }

// retryAfter is what the header Retry-After asks for, seconds or an HTTP date,
// capped; 0 when it asks for nothing.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	var wait time.Duration
	if secs, err := strconv.Atoi(v); err == nil {
		wait = min(time.Duration(secs), longestRetryAfter/time.Second) * time.Second
	} else if at, err := http.ParseTime(v); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), longestRetryAfter)
}

// pause waits for d, or for the end of ctx, whose error it returns.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
