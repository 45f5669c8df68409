package regtest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
)

// User may use a registry that wants credentials.
type User struct {
	// Name and Password; a User without Name stands for whoever has no credentials.
	Name, Password string
	// ReadOnly users may pull only.
	ReadOnly bool
	// Repos limits the user to repositories that match one of these patterns of
	// path.Match; empty means all.
	Repos []string
}

type authScheme int

const (
	noAuth authScheme = iota
	basicAuth
	tokenAuth
)

// BasicAuth wants a user's name and password with every request.
func BasicAuth(users ...User) Option {
	return func(c *config) { c.scheme, c.users = basicAuth, users }
}

// TokenAuth wants bearer tokens, which a token server at /token of the same host
// gives out by the scopes that the user may have.
func TokenAuth(users ...User) Option {
	return func(c *config) { c.scheme, c.users = tokenAuth, users }
}

// OpenReads lets whoever brings no credentials read without being asked for any.
func OpenReads() Option { return func(c *config) { c.openReads = true } }

// ExpireTokens makes every token that was given out invalid.
func (r *Registry) ExpireTokens() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.tokens)
}

// grant is what a token allows: repository to actions.
type grant map[string][]string

func (u User) may(repo, action string) bool {
	if u.ReadOnly && action != "pull" {
		return false
	}
	return len(u.Repos) == 0 || slices.ContainsFunc(u.Repos, func(pattern string) bool {
		ok, err := path.Match(pattern, repo)
		return ok && err == nil
	})
}

// user is who sent req; false when the credentials are wrong, or missing where
// nobody may come without.
func (r *Registry) user(req *http.Request) (User, bool) {
	name, password, _ := req.BasicAuth()
	for _, u := range r.conf.users {
		if u.Name == name && u.Password == password {
			return u, true
		}
	}
	return User{}, false
}

// access is one thing that a request needs to be allowed.
type access struct{ repo, action string }

// needs lists what req must be allowed; nothing for the first request of a client.
func needs(req *http.Request) []access {
	repo, _, ok := splitPath(req.URL.Path)
	if !ok {
		return nil
	}
	action := "push"
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		action = "pull"
	case http.MethodDelete:
		action = "delete"
	}
	list := []access{{repo, action}}
	if from := req.URL.Query().Get("from"); from != "" {
		list = append(list, access{from, "pull"})
	}
	return list
}

// splitPath takes /v2/<repo>/<kind>/<rest> apart.
func splitPath(p string) (repo, rest string, ok bool) {
	p, ok = strings.CutPrefix(p, "/v2/")
	if !ok {
		return "", "", false
	}
	for _, kind := range []string{"/blobs/", "/manifests/", "/tags/", "/referrers/"} {
		if i := strings.LastIndex(p, kind); i > 0 {
			return p[:i], p[i+1:], true
		}
	}
	return "", "", false
}

func (r *Registry) authorized(next http.Handler) http.Handler {
	guarded := next
	switch r.conf.scheme {
	case basicAuth:
		guarded = r.basic(next)
	case tokenAuth:
		guarded = r.token(next)
	}
	if !r.conf.openReads {
		return guarded
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		read := len(needs(req)) > 0 && (req.Method == http.MethodGet || req.Method == http.MethodHead)
		if read && req.Header.Get("Authorization") == "" {
			next.ServeHTTP(w, req)
			return
		}
		guarded.ServeHTTP(w, req)
	})
}

func (r *Registry) basic(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		u, ok := r.user(req)
		if !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="regtest"`)
			writeError(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
			return
		}
		for _, a := range needs(req) {
			if !u.may(a.repo, a.action) {
				writeError(w, http.StatusForbidden, "DENIED", "requested access to the resource is denied")
				return
			}
		}
		next.ServeHTTP(w, req)
	})
}

func (r *Registry) token(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/token" {
			r.giveToken(w, req)
			return
		}
		bearer, _ := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
		r.mu.Lock()
		granted, valid := r.tokens[bearer]
		r.mu.Unlock()
		wanted := needs(req)
		for _, a := range wanted {
			valid = valid && slices.Contains(granted[a.repo], a.action)
		}
		if valid {
			next.ServeHTTP(w, req)
			return
		}
		var scopes []string
		for _, a := range wanted {
			scopes = append(scopes, fmt.Sprintf("repository:%s:%s", a.repo, strings.Replace(a.action, "push", "pull,push", 1)))
		}
		challenge := fmt.Sprintf(`Bearer realm="%s/token",service="regtest"`, r.URL())
		if len(scopes) > 0 {
			challenge += fmt.Sprintf(`,scope="%s"`, strings.Join(scopes, " "))
		}
		w.Header().Set("WWW-Authenticate", challenge)
		writeError(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	})
}

// giveToken is the token server: GET /token?service=…&scope=…, by the token
// authentication specification. Scopes that the user may not have are left out.
func (r *Registry) giveToken(w http.ResponseWriter, req *http.Request) {
	u, ok := r.user(req)
	if !ok || req.Method != http.MethodGet || req.URL.Query().Get("service") != "regtest" {
		writeError(w, http.StatusUnauthorized, "UNAUTHORIZED", "incorrect username or password")
		return
	}
	granted := grant{}
	for _, scope := range strings.Fields(strings.Join(req.URL.Query()["scope"], " ")) {
		parts := strings.Split(scope, ":")
		if len(parts) != 3 || parts[0] != "repository" {
			continue
		}
		for _, action := range strings.Split(parts[2], ",") {
			if u.may(parts[1], action) {
				granted[parts[1]] = append(granted[parts[1]], action)
			}
		}
	}
	token := rand.Text()
	r.mu.Lock()
	r.tokens[token] = granted
	r.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 300})
}
