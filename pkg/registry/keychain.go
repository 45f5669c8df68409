package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/multipack/multipack/internal/fault"
)

// keychain finds credentials. Its sources in order, of which the first that
// knows the registry decides: the file that the user named, CNB_REGISTRY_AUTH,
// REGISTRY_AUTH_FILE, Docker's configuration, podman's auth.json.
type keychain struct {
	getenv func(string) string
	named  *authFile
	// env is CNB_REGISTRY_AUTH, canonical host to header value, read when it is
	// first needed: an error of it.
	env func() (map[string]string, error)

	mu sync.Mutex
	// notes tells, by registry, which source could not be used.
	notes map[string]string
}

func newKeychain(file string, getenv func(string) string) (*keychain, error) {
	k := &keychain{getenv: getenv, notes: make(map[string]string)}
	k.env = sync.OnceValues(func() (map[string]string, error) { return readEnv(getenv("CNB_REGISTRY_AUTH")) })
	if file != "" {
		f, err := readAuthFile(file)
		if err != nil {
			return nil, fileError("reading credentials", file, err)
		}
		k.named = f
	}
	return k, nil
}

func readEnv(raw string) (map[string]string, error) {
	if raw == "" {
		return nil, nil
	}
	values := map[string]string{}
	if json.Unmarshal([]byte(raw), &values) != nil {
		// The parser's message may quote the value.
		return nil, fault.New(fault.Failed, "reading credentials from CNB_REGISTRY_AUTH: not a JSON object of registry hosts and header values")
	}
	env := make(map[string]string, len(values))
	for host, value := range values {
		env[keyHost(host)] = value
	}
	return env, nil
}

// resolve gives the credentials for repo, anonymous ones when no source has any.
// A source that exists and cannot be read is an error.
func (k *keychain) resolve(ctx context.Context, repo name.Repository) (authn.Authenticator, error) {
	if k.named != nil {
		if auth, err := k.ask(ctx, k.named, repo); auth != nil || err != nil {
			return auth, err
		}
	}
	env, err := k.env()
	if err != nil {
		return nil, err
	}
	if value, ok := env[keyHost(repo.RegistryStr())]; ok {
		return headerAuth(value)
	}
	for _, path := range k.files() {
		f, err := readAuthFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fileError("reading credentials", path, err)
		}
		if auth, err := k.ask(ctx, f, repo); auth != nil || err != nil {
			return auth, err
		}
	}
	return authn.Anonymous, nil
}

// files are the files that need not exist, in the order of asking.
func (k *keychain) files() []string {
	var paths []string
	add := func(base string, rest ...string) {
		if base != "" {
			paths = append(paths, filepath.Join(append([]string{base}, rest...)...))
		}
	}
	home := k.getenv("HOME")
	if home == "" && runtime.GOOS == "windows" {
		home = k.getenv("USERPROFILE")
	}
	add(k.getenv("REGISTRY_AUTH_FILE"))
	if dir := k.getenv("DOCKER_CONFIG"); dir != "" {
		add(dir, "config.json")
	} else {
		add(home, ".docker", "config.json")
	}
	add(k.getenv("XDG_RUNTIME_DIR"), "containers", "auth.json")
	if dir := k.getenv("XDG_CONFIG_HOME"); dir != "" {
		add(dir, "containers", "auth.json")
	}
	add(home, ".config", "containers", "auth.json")
	return paths
}

// ask looks repo up in one file, the longest path first, helpers before what
// the file itself holds; nil when the file does not know it. A helper that fails
// does not end the search: many public images need no credentials. Its failure
// is told if the registry then refuses.
func (k *keychain) ask(ctx context.Context, f *authFile, repo name.Repository) (authn.Authenticator, error) {
	for _, key := range authKeys(repo) {
		if helper := f.helper(key); helper != "" {
			conf, err := k.runHelper(ctx, helper, f.helperKey(key))
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case err != nil:
				k.remember(repo.Registry, fmt.Sprintf("the credential helper 'docker-credential-%s' that '%s' names failed: %v", helper, f.path, err))
			case conf != nil:
				return authn.FromConfig(*conf), nil
			}
		}
		if conf, ok := f.auths[key]; ok && conf != (authn.AuthConfig{}) {
			return authn.FromConfig(conf), nil
		}
	}
	return nil, nil
}

func (k *keychain) remember(reg name.Registry, note string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.notes[reg.RegistryStr()] = note
}

// note says which source of credentials failed for reg, "" when none did.
func (k *keychain) note(reg name.Registry) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.notes[reg.RegistryStr()]
}

// headerAuth is an Authorization header's value as credentials. The lifecycle of
// Cloud Native Buildpacks also knows X-Identity, for identity tokens.
func headerAuth(value string) (authn.Authenticator, error) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	rest = strings.TrimSpace(strings.TrimPrefix(rest, ":"))
	switch strings.ToLower(strings.TrimSuffix(scheme, ":")) {
	case "basic":
		user, pass, err := splitBasic(rest)
		if err != nil {
			return nil, fault.New(fault.Denied, "reading credentials from CNB_REGISTRY_AUTH: %w", err)
		}
		return authn.FromConfig(authn.AuthConfig{Username: user, Password: pass}), nil
	case "bearer":
		return authn.FromConfig(authn.AuthConfig{RegistryToken: rest}), nil
	case "x-identity":
		return authn.FromConfig(authn.AuthConfig{IdentityToken: rest}), nil
	}
	return nil, fault.New(fault.Denied, "reading credentials from CNB_REGISTRY_AUTH: the header value is neither Basic nor Bearer")
}

// splitBasic decodes user and password. The error never quotes them.
func splitBasic(encoded string) (user, pass string, err error) {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", errors.New("the value is not in base64")
	}
	user, pass, ok := strings.Cut(strings.TrimRight(string(raw), "\x00"), ":")
	if !ok || user == "" {
		return "", "", errors.New("the value is not user:password in base64")
	}
	return user, pass, nil
}
