package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// hubKey is the key under which Docker keeps the credentials of Docker Hub.
const hubKey = "https://" + name.DefaultRegistry + "/v1/"

// authFile is what a credentials file holds, in the format that Docker's
// config.json and podman's auth.json (containers-auth.json(5)) share. Keys are
// canonical: HOST, HOST:PORT or either with a path.
type authFile struct {
	path    string
	auths   map[string]authn.AuthConfig
	store   string
	helpers map[string]string
	// spelled gives back the key as the file has it, which helpers expect.
	spelled map[string]string
}

func readAuthFile(path string) (*authFile, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &authFile{path: path, auths: map[string]authn.AuthConfig{}, helpers: map[string]string{}, spelled: map[string]string{}}
	if len(bytes.TrimSpace(raw)) == 0 {
		return f, nil
	}
	var doc struct {
		Auths map[string]struct {
			Auth          string `json:"auth"`
			Username      string `json:"username"`
			Password      string `json:"password"`
			IdentityToken string `json:"identitytoken"`
			RegistryToken string `json:"registrytoken"`
		} `json:"auths"`
		Store   string            `json:"credsStore"`
		Helpers map[string]string `json:"credHelpers"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, jsonError(err)
	}
	f.store = doc.Store
	for key, helper := range doc.Helpers {
		f.helpers[canonicalKey(key)] = helper
		f.spelled[canonicalKey(key)] = key
	}
	for key, entry := range doc.Auths {
		conf := authn.AuthConfig{Username: entry.Username, Password: entry.Password, IdentityToken: entry.IdentityToken, RegistryToken: entry.RegistryToken}
		if entry.Auth != "" {
			if conf.Username, conf.Password, err = splitBasic(entry.Auth); err != nil {
				return nil, fmt.Errorf("the entry of '%s': %w", key, err)
			}
		}
		if conf != (authn.AuthConfig{}) {
			f.auths[canonicalKey(key)] = conf
		}
	}
	return f, nil
}

// jsonError says where a file's JSON is broken, without quoting it.
func jsonError(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not valid JSON at byte %d", syntax.Offset)
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("field '%s' has the wrong type", kind.Field)
	}
	return errors.New("not valid JSON")
}

// canonicalKey brings the spellings of one key together: with a scheme, with
// the API's version at the end, and Docker Hub's names. Only a key without
// scheme may have a path, which narrows it to the repositories below.
func canonicalKey(key string) string {
	key, schemed := strings.CutPrefix(key, "https://")
	if !schemed {
		key, schemed = strings.CutPrefix(key, "http://")
	}
	host, path, _ := strings.Cut(key, "/")
	path = strings.Trim(path, "/")
	if schemed || path == "v1" || path == "v2" {
		path = ""
	}
	host = keyHost(host)
	if path == "" {
		return host
	}
	return host + "/" + path
}

func keyHost(host string) string {
	host, _ = strings.CutPrefix(strings.ToLower(host), "https://")
	host, _, _ = strings.Cut(host, "/")
	if host == "registry-1.docker.io" {
		return name.DefaultRegistry
	}
	return canonicalHost(host)
}

// authKeys are the keys that may hold repo's credentials, the most specific
// first: HOST/a/b, HOST/a, HOST.
func authKeys(repo name.Repository) []string {
	host := keyHost(repo.RegistryStr())
	var keys []string
	for path := repo.RepositoryStr(); path != ""; {
		keys = append(keys, host+"/"+path)
		cut := strings.LastIndex(path, "/")
		path = path[:max(cut, 0)]
	}
	return append(keys, host)
}

// helper is the credential helper that answers for key; the store answers for
// whole hosts.
func (f *authFile) helper(key string) string {
	if h, ok := f.helpers[key]; ok {
		return h
	}
	if strings.Contains(key, "/") {
		return ""
	}
	return f.store
}

// helperKey is what the helper is asked for.
func (f *authFile) helperKey(key string) string {
	if key == name.DefaultRegistry {
		return hubKey
	}
	if s, ok := f.spelled[key]; ok {
		return s
	}
	return key
}

// runHelper asks a credential helper by Docker's protocol: the key on standard
// input, a JSON document on standard output. Nil without error: it has none.
func (k *keychain) runHelper(ctx context.Context, helper, key string) (*authn.AuthConfig, error) {
	path, err := k.lookPath("docker-credential-" + helper)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, "get")
	cmd.Stdin = strings.NewReader(key)
	cmd.WaitDelay = time.Second
	cmd.Env = os.Environ()
	for _, v := range []string{"PATH", "HOME", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"} {
		if value := k.getenv(v); value != "" {
			cmd.Env = append(cmd.Env, v+"="+value)
		}
	}
	out, err := cmd.Output()
	if err != nil {
		if said := oneLine(string(out)); strings.Contains(said, "credentials not found") {
			return nil, nil
		}
		return nil, err
	}
	var answer struct{ Username, Secret string }
	if json.Unmarshal(out, &answer) != nil {
		return nil, errors.New("its answer is not JSON")
	}
	switch {
	case answer.Secret == "":
		return nil, nil
	case answer.Username == "<token>":
		return &authn.AuthConfig{IdentityToken: answer.Secret}, nil
	}
	return &authn.AuthConfig{Username: answer.Username, Password: answer.Secret}, nil
}

// lookPath finds an executable on the PATH that getenv gives.
func (k *keychain) lookPath(file string) (string, error) {
	for _, dir := range filepath.SplitList(k.getenv("PATH")) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if path, err := exec.LookPath(filepath.Join(dir, file)); err == nil {
			return path, nil
		}
	}
	return "", errors.New("it is not on the PATH")
}
