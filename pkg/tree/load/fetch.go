package load

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/multipack/multipack/internal/fault"
)

// maxBackoff bounds the pause between two tries.
const maxBackoff = 10 * time.Second

// openURL downloads an archive, once, and lists it.
func openURL(ctx context.Context, uri string, opts Options) (*Loaded, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" {
		return nil, fault.New(fault.Usage, "opening '%s': it is no valid URL", shown(u, uri))
	}
	name := shown(u, uri)
	l := &Loaded{}
	f, err := l.temp(opts.Dir)
	if err != nil {
		return nil, err
	}
	l.File = f.Name()
	id, err := download(ctx, u, name, f, opts)
	if err == nil {
		err = l.readArchive(ctx, f, origin{id: id}, name, opts)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// shown is the URL without what may be secret: user, password, query.
func shown(u *url.URL, raw string) string {
	if u == nil {
		scheme, _, _ := strings.Cut(raw, "://")
		return scheme + "://…"
	}
	c := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return c.String()
}

// download tries until the content is there, whole, and gives its digest as an ID.
func download(ctx context.Context, u *url.URL, name string, f *os.File, opts Options) (string, error) {
	retries, backoff := opts.Retries, opts.Backoff
	if retries < 0 {
		retries = 4
	}
	if backoff == nil {
		backoff = func(try int) time.Duration { return min(maxBackoff, 250*time.Millisecond<<min(try, 8)) }
	}
	for try := 0; ; try++ {
		hash := sha256.New()
		again, err := downloadOnce(ctx, u, f, hash, opts)
		if err == nil {
			return contentID(hash), nil
		}
		if ctx.Err() != nil {
			return "", fault.New(fault.Interrupted, "downloading '%s': %w", name, context.Cause(ctx))
		}
		if !again || try >= retries {
			kind, ok := fault.KindOf(err)
			if !ok {
				kind = fault.Failed
			}
			return "", fault.New(kind, "downloading '%s': %w", name, err)
		}
		timer := time.NewTimer(backoff(try + 1))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return "", fault.New(fault.Interrupted, "downloading '%s': %w", name, context.Cause(ctx))
		}
	}
}

// downloadOnce puts the content into f from its start; again says whether
// another try may help.
func downloadOnce(ctx context.Context, u *url.URL, f *os.File, hash io.Writer, opts Options) (again bool, err error) {
	client := opts.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	if err := f.Truncate(0); err != nil {
		return false, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return false, err
	}
	// Asked for explicitly, so that the transport does not unpack what we want as it is.
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := client.Do(req)
	if err != nil {
		return retriable(err), without(err)
	}
	defer resp.Body.Close()
	if again, err := checkStatus(resp); err != nil {
		return again, err
	}
	disk := &diskWriter{f: f}
	body := &counted{r: resp.Body, total: resp.ContentLength, observe: opts.Observe}
	n, err := io.CopyBuffer(io.MultiWriter(disk, hash), body, make([]byte, 256<<10))
	switch {
	case disk.err != nil:
		return false, disk.err
	case err != nil:
		return true, fmt.Errorf("after %d bytes: %w", n, without(err))
	case resp.ContentLength >= 0 && n != resp.ContentLength:
		return true, fmt.Errorf("the server promised %d bytes and sent %d", resp.ContentLength, n)
	}
	_, err = f.Seek(0, io.SeekStart)
	return false, err
}

// checkStatus is nil for a plain 200.
func checkStatus(resp *http.Response) (again bool, err error) {
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		return false, nil
	case code == http.StatusNotFound || code == http.StatusGone:
		return false, fault.New(fault.NotFound, "the server answered %s", resp.Status)
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return false, fault.New(fault.Denied, "the server answered %s", resp.Status)
	default:
		again := code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout
		return again, fault.New(fault.Failed, "the server answered %s", resp.Status)
	}
}

// retriable is false for what another try cannot change: an unknown host name,
// an unknown protocol.
func retriable(err error) bool {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return !dns.IsNotFound
	}
	return true
}

// without takes the URL out of a client's error: it may hold a secret.
func without(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// counted tells how much of a body was read.
type counted struct {
	r           io.Reader
	done, total int64
	observe     func(done, total int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.done += int64(n)
	if c.observe != nil {
		c.observe(c.done, c.total)
	}
	return n, err
}

// diskWriter keeps apart what the disk says from what the network says.
type diskWriter struct {
	f   *os.File
	err error
}

func (w *diskWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	w.err = err
	return n, err
}
