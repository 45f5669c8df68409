package registry_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/testhelpers/regtest"
)

var alice = regtest.User{Name: "alice", Password: "wonder:land"}

func basicOf(name, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(name + ":" + password))
}

// authJSON is a credentials file with one entry per key; "" is an entry without credentials.
func authJSON(t testing.TB, path string, auths map[string]string, more map[string]any) string {
	t.Helper()
	entries := map[string]any{}
	for key, auth := range auths {
		entries[key] = map[string]string{"auth": auth}
	}
	doc := map[string]any{"auths": entries}
	for key, v := range more {
		doc[key] = v
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, path, string(raw), 0o600)
}

func writeFile(t testing.TB, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBasicAndTokenAuthentication(t *testing.T) {
	t.Parallel()
	for what, auth := range map[string]func(...regtest.User) regtest.Option{"basic": regtest.BasicAuth, "token": regtest.TokenAuth} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
				r := start(auth(alice, regtest.User{Name: "bob", Password: "b", ReadOnly: true}))
				with := func(user, password string) *registry.Client {
					file := authJSON(t, filepath.Join(t.TempDir(), "auth.json"), map[string]string{r.Host(): basicOf(user, password)}, nil)
					return newClient(t, registry.Config{AuthFile: file, Retries: 2})
				}
				imageOf(t, with("alice", alice.Password), tagOf(r, "a", "v1"), content(1, 100))
				if _, err := with("bob", "b").Head(t.Context(), tagOf(r, "a", "v1")); err != nil {
					t.Errorf("bob may not read: %v", err)
				}
				for who, c := range map[string]*registry.Client{
					"bob": with("bob", "b"), "wrong": with("alice", "guess"), "anonymous": newClient(t, registry.Config{}),
				} {
					_, err := c.PutBlob(t.Context(), r.Repo("a"), blobOf(content(2, 100)), nil)
					wantKind(t, err, fault.Denied)
					wantText(t, fault.HintOf(err), "docker login "+r.Host())
					if strings.Contains(err.Error(), "guess") {
						t.Errorf("%s: a password in '%v'", who, err)
					}
				}
			})
		})
	}
}

func TestWrongCredentialsAreSentOnce(t *testing.T) {
	t.Parallel()
	r := regtest.New(t, regtest.TokenAuth(alice))
	file := authJSON(t, filepath.Join(t.TempDir(), "auth.json"), map[string]string{r.Host(): basicOf("alice", "guess")}, nil)
	c := newClient(t, registry.Config{AuthFile: file, Retries: 4})
	for i := range uint64(3) {
		_, err := c.PutBlob(t.Context(), r.Repo("a"), blobOf(content(i, 100)), nil)
		wantKind(t, err, fault.Denied)
	}
	if n := r.Count("", "^/token"); n != 1 {
		t.Errorf("%d tokens were asked for, want 1\n%s", n, lines(r.Requests()))
	}
}

func TestOneHandshakePerRepository(t *testing.T) {
	t.Parallel()
	r := regtest.New(t, regtest.TokenAuth(alice))
	c := newClient(t, registry.Config{Getenv: env{"CNB_REGISTRY_AUTH": fmt.Sprintf(`{"%s":"Basic %s"}`, r.Host(), basicOf("alice", alice.Password))}.get})
	imageOf(t, c, tagOf(r, "a", "v1"), content(3, 100))
	imageOf(t, c, tagOf(r, "a", "v2"), content(4, 100))
	if _, err := c.Manifest(t.Context(), tagOf(r, "a", "v2")); err != nil {
		t.Fatal(err)
	}
	if pings, tokens := r.Count("GET", "^/v2/$"), r.Count("", "^/token"); pings != 1 || tokens != 1 {
		t.Errorf("%d greetings, %d tokens\n%s", pings, tokens, lines(r.Requests()))
	}
}

func TestMountWithTokens(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		bob := regtest.User{Name: "bob", Password: "b", Repos: []string{"to"}}
		r := start(regtest.TokenAuth(alice, bob))
		client := func(u regtest.User) *registry.Client {
			return newClient(t, registry.Config{Getenv: env{"CNB_REGISTRY_AUTH": fmt.Sprintf(`{"%s":"Basic %s"}`, r.Host(), basicOf(u.Name, u.Password))}.get})
		}
		raw := content(5, 100_000)
		put(t, client(alice), r.Repo("from"), blobOf(raw))
		if out := put(t, client(alice), r.Repo("other"), blobOf(raw, r.Repo("from"))); out != registry.Mounted {
			t.Errorf("got %s", out)
		}
		// Bob may not read the source: he has to send the bytes.
		if out := put(t, client(bob), r.Repo("to"), blobOf(raw, r.Repo("from"))); out != registry.Uploaded {
			t.Errorf("got %s", out)
		}
	})
}

func TestExpiredTokenIsRenewed(t *testing.T) {
	t.Parallel()
	r := regtest.New(t, regtest.TokenAuth(alice))
	c := newClient(t, registry.Config{Getenv: env{"CNB_REGISTRY_AUTH": fmt.Sprintf(`{"%s":"Basic %s"}`, r.Host(), basicOf("alice", alice.Password))}.get})
	imageOf(t, c, tagOf(r, "a", "v1"), content(6, 100))
	r.ExpireTokens()
	if _, err := c.Manifest(t.Context(), tagOf(r, "a", "v1")); err != nil {
		t.Errorf("a read: %v", err)
	}
	// The token ends between the start of an upload and its bytes: they are sent
	// again from their start, in the same try.
	raw := content(7, 300_000)
	r.Inject(regtest.Fault{Method: "PUT", Path: "/uploads/", Hit: r.ExpireTokens})
	if out := put(t, c, r.Repo("a"), blobOf(raw)); out != registry.Uploaded {
		t.Errorf("got %s", out)
	}
	if n := r.Count("PUT", "/uploads/"); n != 4 {
		t.Errorf("%d ends of uploads, want 4\n%s", n, lines(r.Requests()))
	}
}

func TestBearerValueFromTheEnvironment(t *testing.T) {
	t.Parallel()
	r := regtest.New(t, regtest.TokenAuth(alice))
	c := newClient(t, registry.Config{Getenv: env{"CNB_REGISTRY_AUTH": fmt.Sprintf(`{"%s":"Bearer secret-token"}`, r.Host())}.get})
	_, err := c.Head(t.Context(), tagOf(r, "a", "v1"))
	wantKind(t, err, fault.Denied)
	if strings.Contains(err.Error(), "secret-token") || r.Count("", "^/token") != 0 {
		t.Errorf("%v\n%s", err, lines(r.Requests()))
	}
}

// Each source is told apart by its user name; the registry takes one of them
// alone, so that the right one must have come first.
func TestPrecedenceOfCredentials(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the credential helper is a shell script")
	}
	sources := []string{"authfile", "cnb", "registry-auth-file", "docker", "podman-runtime", "podman-home"}
	for i, winner := range sources {
		t.Run(winner, func(t *testing.T) {
			t.Parallel()
			r := regtest.New(t, regtest.BasicAuth(regtest.User{Name: winner, Password: "p"}))
			dir := t.TempDir()
			file := func(source, path string) string {
				return authJSON(t, filepath.Join(dir, path), map[string]string{r.Host(): basicOf(source, "p")}, nil)
			}
			e := env{"HOME": dir}
			cfg := registry.Config{Getenv: e.get}
			for _, source := range sources[i:] {
				switch source {
				case "authfile":
					cfg.AuthFile = file(source, "named.json")
				case "cnb":
					e["CNB_REGISTRY_AUTH"] = fmt.Sprintf(`{"%s":"Basic %s"}`, r.Host(), basicOf(source, "p"))
				case "registry-auth-file":
					e["REGISTRY_AUTH_FILE"] = file(source, "registry.json")
				case "docker":
					e["DOCKER_CONFIG"] = filepath.Dir(file(source, "docker/config.json"))
				case "podman-runtime":
					file(source, "run/containers/auth.json")
					e["XDG_RUNTIME_DIR"] = filepath.Join(dir, "run")
				case "podman-home":
					file(source, ".config/containers/auth.json")
				}
			}
			if _, err := newClient(t, cfg).HasBlob(t.Context(), r.Repo("a"), sum(nil)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSourceWithoutTheHostIsPassedOver(t *testing.T) {
	t.Parallel()
	r := regtest.New(t, regtest.BasicAuth(alice))
	dir := t.TempDir()
	authJSON(t, filepath.Join(dir, ".docker/config.json"), map[string]string{"https://" + r.Host() + "/v2/": basicOf("alice", alice.Password)}, nil)
	c := newClient(t, registry.Config{
		AuthFile: authJSON(t, filepath.Join(dir, "named.json"), map[string]string{"elsewhere.test": basicOf("x", "y")}, nil),
		Getenv:   env{"HOME": dir, "CNB_REGISTRY_AUTH": `{"elsewhere.test":"Basic x"}`, "REGISTRY_AUTH_FILE": filepath.Join(dir, "none")}.get,
	})
	if _, err := c.HasBlob(t.Context(), r.Repo("a"), sum(nil)); err != nil {
		t.Error(err)
	}
}

func TestLongestPathOfAuthFileWins(t *testing.T) {
	t.Parallel()
	r := regtest.New(t, regtest.BasicAuth(
		regtest.User{Name: "all", Password: "p"}, regtest.User{Name: "team", Password: "p", Repos: []string{"team/*"}},
		regtest.User{Name: "app", Password: "p", Repos: []string{"team/app"}}))
	file := authJSON(t, filepath.Join(t.TempDir(), "auth.json"), map[string]string{
		r.Host(): basicOf("nobody", "p"), r.Host() + "/team": basicOf("team", "p"), r.Host() + "/team/app": basicOf("app", "p"),
	}, nil)
	c := newClient(t, registry.Config{AuthFile: file})
	for _, repo := range []string{"team/app", "team/other"} {
		if _, err := c.HasBlob(t.Context(), r.Repo(repo), sum(nil)); err != nil {
			t.Errorf("%s: %v", repo, err)
		}
	}
	_, err := c.HasBlob(t.Context(), r.Repo("teamwork/app"), sum(nil))
	wantKind(t, err, fault.Denied)
}

// helperScript puts a credential helper on a PATH of its own.
func helperScript(t testing.TB, name, script string) (path string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the credential helper is a shell script")
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "docker-credential-"+name), "#!/bin/sh\n"+script, 0o755)
	return dir + string(os.PathListSeparator) + "/usr/bin" + string(os.PathListSeparator) + "/bin"
}

func TestCredentialHelpers(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"credsStore", "credHelpers"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			r := regtest.New(t, regtest.BasicAuth(alice))
			dir := t.TempDir()
			path := helperScript(t, "fake", fmt.Sprintf(`read host
[ "$1" = get ] && [ "$host" = "%s" ] || { echo "credentials not found in native keychain"; exit 1; }
echo '{"ServerURL":"x","Username":"alice","Secret":"%s"}'
`, r.Host(), alice.Password))
			more := map[string]any{"credsStore": "fake"}
			if key == "credHelpers" {
				more = map[string]any{"credHelpers": map[string]string{r.Host(): "fake"}, "credsStore": "missing"}
			}
			authJSON(t, filepath.Join(dir, "config.json"), map[string]string{r.Host(): ""}, more)
			c := newClient(t, registry.Config{Getenv: env{"DOCKER_CONFIG": dir, "PATH": path}.get})
			if _, err := c.HasBlob(t.Context(), r.Repo("a"), sum(nil)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFailingHelperIsToldWhenItMatters(t *testing.T) {
	t.Parallel()
	open, closed := regtest.New(t), regtest.New(t, regtest.BasicAuth(alice))
	dir := t.TempDir()
	authJSON(t, filepath.Join(dir, "config.json"), nil, map[string]any{"credsStore": "missing"})
	c := newClient(t, registry.Config{Getenv: env{"DOCKER_CONFIG": dir, "PATH": "/nowhere"}.get})
	if _, err := c.HasBlob(t.Context(), open.Repo("a"), sum(nil)); err != nil {
		t.Errorf("without need of credentials: %v", err)
	}
	_, err := c.HasBlob(t.Context(), closed.Repo("a"), sum(nil))
	wantKind(t, err, fault.Denied)
	wantText(t, err.Error(), "docker-credential-missing", filepath.Join(dir, "config.json"), "not on the PATH")
}

func TestUnusableCredentialsAreErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	missing := filepath.Join(dir, "none.json")
	_, err := registry.New(registry.Config{AuthFile: missing, Getenv: env{}.get})
	wantKind(t, err, fault.NotFound)
	wantText(t, err.Error(), "'"+missing+"'")

	secret := "hunter2"
	broken := writeFile(t, filepath.Join(dir, "broken.json"), `{"auths":{"a":{"auth":"`+secret+`}}`, 0o600)
	_, err = registry.New(registry.Config{AuthFile: broken, Getenv: env{}.get})
	wantKind(t, err, fault.Failed)
	wantText(t, err.Error(), "'"+broken+"'")
	notBase64 := writeFile(t, filepath.Join(dir, "base64.json"), `{"auths":{"a":{"auth":"`+secret+`!"}}}`, 0o600)
	_, err2 := registry.New(registry.Config{AuthFile: notBase64, Getenv: env{}.get})
	wantKind(t, err2, fault.Failed)
	_, err3 := newClient(t, registry.Config{Getenv: env{"CNB_REGISTRY_AUTH": `{"a":"Basic ` + secret}.get}).Head(t.Context(), repoAt(t, "127.0.0.1:1/a").Tag("1"))
	wantKind(t, err3, fault.Failed)
	wantText(t, err3.Error(), "CNB_REGISTRY_AUTH")
	for _, err := range []error{err, err2, err3} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("a secret in '%v'", err)
		}
	}

	writeFile(t, filepath.Join(dir, "config.json"), `{`, 0o600)
	r := regtest.New(t)
	_, err = newClient(t, registry.Config{Getenv: env{"DOCKER_CONFIG": dir}.get}).HasBlob(t.Context(), r.Repo("a"), sum(nil))
	wantKind(t, err, fault.Failed)
	wantText(t, err.Error(), filepath.Join(dir, "config.json"))
}
