package regtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

type denial struct {
	method string
	path   *regexp.Regexp
}

// writeError answers in the form of the distribution specification.
func writeError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}

// refusing keeps to ReadOnly and Deny.
func (r *Registry) refusing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		read := req.Method == http.MethodGet || req.Method == http.MethodHead
		if r.conf.readOnly && !read {
			writeError(w, http.StatusForbidden, "DENIED", "the registry is read-only")
			return
		}
		for _, d := range r.conf.denials {
			if (d.method == "" || d.method == req.Method) && d.path.MatchString(req.URL.Path) {
				writeError(w, http.StatusForbidden, "DENIED", "requested access to the resource is denied")
				return
			}
		}
		next.ServeHTTP(w, req)
	})
}

// staleTag is what a tag was before it was written, and how often that is still
// to be answered.
type staleTag struct {
	left   int
	answer *httptest.ResponseRecorder
}

// paged keeps to PageSize: a page smaller than asked for, with a link to the
// next, which the specification allows.
func (r *Registry) paged(req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, rest, _ := splitPath(req.URL.Path); r.page == 0 || rest != "tags/list" {
		return
	}
	query := req.URL.Query()
	query.Set("n", strconv.Itoa(r.page))
	req.URL.RawQuery = query.Encode()
}

// tagged keeps to Immutable and Stale.
func (r *Registry) tagged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.paged(req)
		repo, rest, _ := splitPath(req.URL.Path)
		tag, isManifest := strings.CutPrefix(rest, "manifests/")
		switch {
		case !isManifest || strings.Contains(tag, ":"):
			next.ServeHTTP(w, req)
		case req.Method == http.MethodPut:
			r.putTag(next, w, req, repo, tag)
		case req.Method == http.MethodGet || req.Method == http.MethodHead:
			r.readTag(next, w, req)
		default:
			next.ServeHTTP(w, req)
		}
	})
}

func (r *Registry) putTag(next http.Handler, w http.ResponseWriter, req *http.Request, repo, tag string) {
	if r.conf.immutable == nil && r.conf.staleTags == nil {
		next.ServeHTTP(w, req)
		return
	}
	before := r.peek(next, req)
	if r.conf.immutable != nil && r.conf.immutable.MatchString(tag) && before.Code == http.StatusOK {
		body, raw, err := readAgain(req)
		if err != nil {
			writeError(w, http.StatusBadRequest, "MANIFEST_INVALID", "the body broke off")
			return
		}
		if digest.FromBytes(raw).String() != digest.FromBytes(before.Body.Bytes()).String() {
			writeError(w, http.StatusBadRequest, "TAG_INVALID", fmt.Sprintf("The image tag '%s' already exists in the '%s' repository "+
				"and cannot be overwritten because the tag is immutable.", tag, repo))
			return
		}
		req.Body = body
	}
	if r.conf.staleTags != nil && r.conf.staleTags.MatchString(tag) {
		r.mu.Lock()
		r.stale[req.URL.Path] = &staleTag{left: r.conf.staleReads, answer: before}
		r.mu.Unlock()
	}
	next.ServeHTTP(w, req)
}

// peek reads what the tag that req writes is now.
func (r *Registry) peek(next http.Handler, req *http.Request) *httptest.ResponseRecorder {
	get := httptest.NewRequestWithContext(req.Context(), http.MethodGet, req.URL.Path, nil)
	get.Header.Set("Accept", acceptAll)
	answer := httptest.NewRecorder()
	next.ServeHTTP(answer, get)
	return answer
}

func (r *Registry) readTag(next http.Handler, w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	old := r.stale[req.URL.Path]
	if old != nil {
		if old.left--; old.left < 0 {
			delete(r.stale, req.URL.Path)
			old = nil
		}
	}
	r.mu.Unlock()
	if old == nil {
		next.ServeHTTP(w, req)
		return
	}
	for key, values := range old.answer.Header() {
		w.Header()[key] = values
	}
	w.WriteHeader(old.answer.Code)
	if req.Method == http.MethodGet {
		_, _ = w.Write(old.answer.Body.Bytes())
	}
}
