package dependency

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"

	"github.com/multipack/multipack/internal/fault"
)

// The registry that everybody has without naming it, as in pack.
const (
	officialName = "official"
	officialURL  = "https://github.com/buildpacks/registry-index"
)

// IndexOptions say which CNB registry is meant, and where things are kept.
type IndexOptions struct {
	// Registry is a name out of pack's configuration, a git URL, or a folder that
	// holds an index; "" is pack's default registry, else the official one.
	Registry string
	// PackHome is the folder of pack's config.toml; "" for none.
	PackHome string
	// CacheDir is where clones are kept between runs.
	CacheDir string
}

// OpenIndex opens a CNB registry's index. A folder is read as it is; a git
// repository is cloned into the cache folder, or brought up to date there, by the
// git program. Where that fails and an older clone is there, ids with a version
// can still be located. Errors: fault.NotFound for an unknown name or a folder
// that is not there, fault.Failed where git fails.
func OpenIndex(ctx context.Context, o IndexOptions) (*Index, error) {
	if _, err := os.Stat(o.Registry); o.Registry != "" && (err == nil || isGitURL(o.Registry) || canBePath(o.Registry)) {
		return openAt(ctx, without(o.Registry), o.Registry, o)
	}
	known, name, err := packRegistries(o.PackHome)
	if err != nil {
		return nil, err
	}
	if o.Registry != "" {
		name = o.Registry
	}
	i := slices.IndexFunc(known, func(r packRegistry) bool { return r.Name == name })
	if i < 0 {
		names := make([]string, len(known))
		for i, r := range known {
			names[i] = r.Name
		}
		err := fault.New(fault.NotFound, "opening CNB registry '%s': pack's configuration names no such registry (names found: %s)", name, strings.Join(names, ", "))
		return nil, fault.Hint(err, "name a folder or a git URL, or run 'pack config registries add'")
	}
	return openAt(ctx, name, known[i].URL, o)
}

// openAt opens the index at a git URL or in a folder; name is what messages call it.
func openAt(ctx context.Context, name, place string, o IndexOptions) (*Index, error) {
	if isGitURL(place) {
		return clonedIndex(ctx, name, place, o)
	}
	info, err := os.Stat(place)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.NotFound, "opening CNB registry '%s': there is no such folder", name)
	case err != nil:
		return nil, fault.New(fault.Failed, "opening CNB registry '%s': %w", name, err)
	case !info.IsDir():
		return nil, fault.New(fault.Usage, "opening CNB registry '%s': it is a file; a folder, a git URL or a name is expected", name)
	case isBare(place):
		return repository{dir: place, name: name}.index(ctx, "HEAD")
	}
	return folderIndex(name, place), nil
}

// scp is git's short form of an ssh URL: [user@]host:path.
var scp = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:[^:]+$`) })

func isGitURL(s string) bool { return strings.Contains(s, "://") || scp().MatchString(s) }

// isBare reports whether the folder is a git repository without a work tree.
func isBare(dir string) bool {
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// without is a URL without what may be secret.
func without(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.User == nil {
		return raw
	}
	u.User = nil
	return u.String()
}

// cacheName is the folder for the clone of a URL.
func cacheName(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return hex.EncodeToString(sum[:16])
}

type packRegistry struct {
	Name string `toml:"name"`
	URL  string `toml:"url"`
}

// packRegistries are the registries that pack's config.toml names, the official
// one included, and the name of the default one.
func packRegistries(home string) (known []packRegistry, def string, err error) {
	var config struct {
		Default    string         `toml:"default-registry"`
		Registries []packRegistry `toml:"registries"`
	}
	official := packRegistry{Name: officialName, URL: officialURL}
	if home == "" {
		return []packRegistry{official}, officialName, nil
	}
	file := filepath.Join(home, "config.toml")
	raw, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", fault.New(fault.Failed, "reading pack's configuration: %w", err)
	}
	if _, err := toml.Decode(string(raw), &config); err != nil {
		return nil, "", fault.New(fault.Failed, "reading pack's configuration '%s': %w", file, err)
	}
	known = config.Registries
	if !slices.ContainsFunc(known, func(r packRegistry) bool { return r.Name == officialName }) {
		known = append(known, official)
	}
	if config.Default == "" {
		config.Default = officialName
	}
	return known, config.Default, nil
}
