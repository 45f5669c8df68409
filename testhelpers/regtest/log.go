package regtest

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sync/atomic"
)

// Request is a request that the registry has dealt with.
type Request struct {
	Method string
	Path   string
	Query  url.Values
	// Status is the answer's; 0 when the connection was cut before one.
	Status int
	// BytesIn and BytesOut count the bodies, as far as they went.
	BytesIn, BytesOut int64
}

// Requests is the log, in the order in which requests ended.
func (r *Registry) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.log)
}

// Reset empties the log.
func (r *Registry) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log, r.peak = nil, r.running
}

// Count is the number of requests of the method, of any when it is "", whose
// path matches the regular expression.
func (r *Registry) Count(method, path string) int {
	match := regexp.MustCompile(path)
	n := 0
	for _, q := range r.Requests() {
		if (method == "" || q.Method == method) && match.MatchString(q.Path) {
			n++
		}
	}
	return n
}

// BytesIn is the number of bytes that all bodies of requests had.
func (r *Registry) BytesIn() int64 {
	var n int64
	for _, q := range r.Requests() {
		n += q.BytesIn
	}
	return n
}

// Running is the number of requests that are being answered now, and Peak the
// most that ever were at once since the last Reset.
func (r *Registry) Running() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running
}

// Peak is described with Running.
func (r *Registry) Peak() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.peak
}

func (r *Registry) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		in := &countedBody{ReadCloser: req.Body}
		req.Body = in
		out := &countedAnswer{ResponseWriter: w}
		entry := Request{Method: req.Method, Path: req.URL.Path, Query: req.URL.Query()}
		r.mu.Lock()
		r.running++
		r.peak = max(r.peak, r.running)
		r.mu.Unlock()
		defer func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.running--
			entry.Status, entry.BytesIn, entry.BytesOut = out.status, in.n.Load(), out.n
			r.log = append(r.log, entry)
		}()
		next.ServeHTTP(out, req)
		if out.status == 0 {
			out.status = http.StatusOK
		}
	})
}

type countedBody struct {
	io.ReadCloser
	n atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

type countedAnswer struct {
	http.ResponseWriter
	status int
	n      int64
}

func (a *countedAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *countedAnswer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(p)
	a.n += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController through.
func (a *countedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
