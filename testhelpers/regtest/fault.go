package regtest

import (
	"io"
	"net/http"
	"regexp"
	"slices"
)

// Fault is a failure to inject.
type Fault struct {
	// Method and Path choose the requests: a method, any when "", and a regular
	// expression, any path when "".
	Method, Path string
	// Skip lets that many matching requests pass first.
	Skip int
	// Times is how many are hit after that; 0 means one, a negative number all.
	Times int

	// Status is answered, with RetryAfter as that header and Body as the body.
	Status     int
	RetryAfter string
	Body       string
	// CutUpload breaks the connection after so many bytes of the request's body,
	// CutDownload after so many of the answer's; -1 breaks it before the first, so
	// that there is no answer although what was asked for is done.
	CutUpload, CutDownload int64
	// Hang gives no answer until the client goes away.
	Hang bool
	// Hit, when not nil, is called at each hit, before the failure. With nothing
	// else set, the request is then answered as ever.
	Hit func()
}

type fault struct {
	Fault
	path *regexp.Regexp
}

// Inject adds a failure. Of several that match, the oldest that still has hits
// to give is taken.
func (r *Registry) Inject(f Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.Times == 0 {
		f.Times = 1
	}
	r.faults = append(r.faults, &fault{Fault: f, path: regexp.MustCompile(f.Path)})
}

// Heal takes away every failure that was injected.
func (r *Registry) Heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = nil
}

// strike is the failure that hits req, if any.
func (r *Registry) strike(req *http.Request) *fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, f := range r.faults {
		if f.Method != "" && f.Method != req.Method || !f.path.MatchString(req.URL.Path) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		if f.Times == 0 {
			r.faults = slices.Delete(r.faults, i, i+1)
		}
		return f
	}
	return nil
}

func (r *Registry) faulty(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		f := r.strike(req)
		if f == nil {
			next.ServeHTTP(w, req)
			return
		}
		if f.Hit != nil {
			f.Hit()
		}
		switch {
		case f.Hang:
			// The server notices that the client went away only while it reads.
			_, _ = io.Copy(io.Discard, req.Body)
			<-req.Context().Done()
			panic(http.ErrAbortHandler)
		case f.CutUpload != 0:
			req.Body = &cutBody{ReadCloser: req.Body, left: max(f.CutUpload, 0)}
			next.ServeHTTP(discarded{http.Header{}}, req)
			panic(http.ErrAbortHandler)
		case f.CutDownload < 0:
			next.ServeHTTP(discarded{http.Header{}}, req)
			panic(http.ErrAbortHandler)
		case f.CutDownload > 0:
			next.ServeHTTP(&cutAnswer{ResponseWriter: w, left: f.CutDownload}, req)
		case f.Status == 0:
			next.ServeHTTP(w, req)
		default:
			refuse(w, f)
		}
	})
}

func refuse(w http.ResponseWriter, f *fault) {
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	if f.Body == "" {
		writeError(w, f.Status, "UNKNOWN", "injected failure")
		return
	}
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, f.Body)
}

// cutBody ends with an error, as a body does whose connection broke.
type cutBody struct {
	io.ReadCloser
	left int64
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// discarded is an answer that nobody will get.
type discarded struct{ header http.Header }

func (d discarded) Header() http.Header         { return d.header }
func (d discarded) Write(p []byte) (int, error) { return len(p), nil }
func (d discarded) WriteHeader(int)             {}

// cutAnswer breaks the connection when enough was written.
type cutAnswer struct {
	http.ResponseWriter
	left int64
}

func (a *cutAnswer) Write(p []byte) (int, error) {
	if int64(len(p)) < a.left {
		a.left -= int64(len(p))
		return a.ResponseWriter.Write(p)
	}
	_, _ = a.ResponseWriter.Write(p[:a.left])
	_ = http.NewResponseController(a.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}
