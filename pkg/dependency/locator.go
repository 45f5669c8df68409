package dependency

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/reference"
)

// Kind is what a locator leads to.
type Kind int

const (
	// Package is an image or index in any medium: Ref.
	Package Kind = iota
	// Blob is a folder, an archive or a URL of one: URI. What an archive turns
	// out to be, a buildpack or a packaged one, its content says.
	Blob
	// Registry is an id in a CNB registry: ID.
	Registry
)

// Locator is a dependency's place, parsed. Parse makes them.
type Locator struct {
	// Given is the locator as the user wrote it, less what a URL may hold of
	// secrets; messages quote it.
	Given string
	Kind  Kind
	Ref   reference.Ref
	// URI is a path as seen from the working directory, or a URL.
	URI string
	ID  ID
	// Deprecated is set for one that was written as `image`.
	Deprecated bool
}

// String is the locator as the user wrote it.
func (l Locator) String() string { return l.Given }

// key is the same for two locators that say the same.
func (l Locator) key() string {
	switch l.Kind {
	case Blob:
		return "blob " + l.URI
	case Registry:
		return "registry " + l.ID.String()
	}
	name := l.Ref.Path
	if l.Ref.Name != nil {
		name += " " + l.Ref.Name.Name()
	}
	return fmt.Sprintf("%s %s %s %s", l.Ref.Kind, name, l.Ref.Tag, l.Ref.Digest)
}

const (
	fromBuilder           = "urn:cnb:builder"
	fromBuilderDeprecated = "from=builder"
	fromRegistry          = "urn:cnb:registry:"
)

// descriptors are the files that make a folder a module.
var descriptors = []string{buildpack.FileName(buildpack.KindBuildpack), buildpack.FileName(buildpack.KindExtension)}

// Parse reads a dependency's locator in the order of pack: a URN; a URL or
// another scheme; an existing path; an id ns/name[@version] of a CNB registry; an
// image name. Relative paths, within schemes too, start at dir. Errors are
// fault.Usage, and fault.NotFound for what can only be a path and is not there.
func Parse(dep buildpack.Dependency, dir string, stat reference.Stat) (Locator, error) {
	p := parser{dir: dir, stat: func(path string) (bool, bool) {
		if stat == nil {
			return false, false
		}
		return stat(within(dir, path))
	}}
	l, err := p.parse(dep)
	if err != nil {
		return Locator{}, fmt.Errorf("reading the dependency '%s': %w", dep, err)
	}
	l.Given = dep.String()
	if l.Kind == Blob {
		l.Given = shown(l.Given)
	}
	return l, nil
}

// shown is a URL without what may be secret: user, password and query. A path is
// shown as it is.
func shown(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return s
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// within is path as seen from the working directory, where it starts at dir.
func within(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

type parser struct {
	dir  string
	stat reference.Stat
}

func (p parser) parse(dep buildpack.Dependency) (Locator, error) {
	s := dep.String()
	if dep.URI == "" && dep.Image != "" {
		name := strings.TrimPrefix(dep.Image, "docker://")
		l, err := p.reference("docker://" + name)
		l.Deprecated = true
		return l, err
	}
	scheme, _, hasScheme := strings.Cut(s, "://")
	switch {
	case s == fromBuilderDeprecated, strings.HasPrefix(s, fromBuilder+":"), strings.HasPrefix(s, fromBuilderDeprecated+":"):
		return Locator{}, fault.New(fault.Usage, "a package cannot take modules from a builder")
	case strings.HasPrefix(s, fromRegistry):
		id, err := ParseID(strings.TrimPrefix(s, fromRegistry))
		return Locator{Kind: Registry, ID: id}, err
	case hasScheme && isURL(scheme):
		return Locator{Kind: Blob, URI: s}, nil
	case hasScheme, schemed(s):
		return p.reference(s)
	}
	return p.naked(s)
}

func isURL(scheme string) bool {
	switch strings.ToLower(scheme) {
	case "file", "http", "https":
		return true
	}
	return false
}

// schemed reports whether s begins with one of the schemes that take no "//".
func schemed(s string) bool {
	for _, scheme := range []string{"docker-daemon:", "oci:", "oci-archive:", "docker-archive:", "local:"} {
		if strings.HasPrefix(s, scheme) {
			return true
		}
	}
	return false
}

func (p parser) naked(s string) (Locator, error) {
	exists, isDir := p.stat(s)
	switch {
	case s == "":
		return Locator{}, fault.New(fault.Usage, "it is empty")
	case exists && isDir && !p.module(s) && p.layout(s):
		return p.reference("oci-layout://" + s)
	case exists:
		return Locator{Kind: Blob, URI: within(p.dir, s)}, nil
	case canBePath(s):
		if ref, err := reference.Parse(s, p.stat); err == nil && ref.Kind == reference.Layout {
			ref.Path = within(p.dir, ref.Path)
			return Locator{Kind: Package, Ref: ref}, nil
		}
		return Locator{}, fault.Hint(fault.New(fault.NotFound, "there is no '%s'", within(p.dir, s)),
			"relative paths start at the folder of the file that names them")
	}
	if semantic().MatchString(s) {
		id, err := ParseID(s)
		return Locator{Kind: Registry, ID: id}, err
	}
	return p.reference(s)
}

// module reports whether the folder is a buildpack or an extension.
func (p parser) module(folder string) bool {
	for _, name := range descriptors {
		if ok, _ := p.stat(filepath.Join(folder, name)); ok {
			return true
		}
	}
	return false
}

// layout reports whether the folder is an OCI image layout.
func (p parser) layout(folder string) bool {
	ok, _ := p.stat(filepath.Join(folder, "index.json"))
	return ok
}

// canBePath reports whether s can be nothing but a path: pack's users write
// names of images and ids otherwise.
func canBePath(s string) bool {
	if strings.HasPrefix(s, "/") || strings.HasPrefix(s, ".") {
		return true
	}
	for _, ending := range []string{".cnb", ".tgz", ".tar", ".tar.gz"} {
		if strings.HasSuffix(s, ending) && !strings.Contains(s, ":") { // no tag is called so
			return true
		}
	}
	return false
}

func (p parser) reference(s string) (Locator, error) {
	ref, err := reference.Parse(s, p.stat)
	if err != nil {
		return Locator{}, err
	}
	if ref.Path != "" {
		ref.Path = within(p.dir, ref.Path)
	}
	return Locator{Kind: Package, Ref: ref}, nil
}
