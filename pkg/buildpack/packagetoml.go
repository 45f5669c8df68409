package buildpack

import (
	"errors"
	"fmt"
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// PackageConfig is a package.toml: what to package, and out of what.
type PackageConfig struct {
	// File is what messages call the file.
	File string
	// Kind is KindExtension where [extension] is given and [buildpack] is not.
	Kind string
	// URI is the module to package, as written: relative to the file's folder.
	URI          string
	Dependencies []Dependency
	// OS is [platform] os, "linux" where it is absent.
	OS string
	// Targets are what a composite is built for.
	Targets []Target
}

// Dependency is one [[dependencies]] entry; exactly one field is set.
type Dependency struct {
	// URI is any locator, relative paths are relative to the file's folder.
	URI string `toml:"uri"`
	// Image is the deprecated form: a registry image.
	Image string `toml:"image"`
}

// String is the dependency as written.
func (d Dependency) String() string {
	if d.URI != "" {
		return d.URI
	}
	return d.Image
}

type packageFile struct {
	Buildpack struct {
		URI string `toml:"uri"`
	} `toml:"buildpack"`
	Extension struct {
		URI string `toml:"uri"`
	} `toml:"extension"`
	Dependencies []Dependency `toml:"dependencies"`
	Platform     struct {
		OS string `toml:"os"`
	} `toml:"platform"`
	Targets []Target `toml:"targets"`
}

// ParsePackage reads a package.toml. name is what messages call it. It is
// strict: a key that nothing reads is an error that lists all of them, sorted.
func ParsePackage(name string, raw []byte) (PackageConfig, error) {
	var file packageFile
	doc, err := decode(name, raw, &file)
	if err != nil {
		return PackageConfig{}, err
	}
	if unknown := doc.unknown(func(string) bool { return false }); len(unknown) > 0 {
		return PackageConfig{}, doc.wrap(unknown[0].Line, unknownElements(unknown, name))
	}
	out := PackageConfig{
		File: name, Kind: KindBuildpack, URI: file.Buildpack.URI,
		Dependencies: file.Dependencies, OS: file.Platform.OS, Targets: file.Targets,
	}
	switch {
	case file.Buildpack.URI != "" && file.Extension.URI != "":
		return PackageConfig{}, doc.wrap(0, errors.New("only one of 'buildpack.uri' and 'extension.uri' is possible"))
	case file.Extension.URI != "":
		out.Kind, out.URI = KindExtension, file.Extension.URI
	case file.Buildpack.URI == "" && doc.meta.IsDefined("extension") && !doc.meta.IsDefined("buildpack"):
		return PackageConfig{}, doc.wrap(0, errors.New("missing 'extension.uri' configuration"))
	case file.Buildpack.URI == "":
		return PackageConfig{}, doc.wrap(0, errors.New("missing 'buildpack.uri' configuration"))
	}
	if out.OS == "" {
		out.OS = defaultOS
	}
	if out.OS != "linux" && out.OS != "windows" {
		return PackageConfig{}, doc.problem(fault.Failed, "platform.os",
			fmt.Errorf("invalid 'platform.os' configuration: only ['linux', 'windows'] is permitted, found '%s'", out.OS))
	}
	return out, errors.Join(append(doc.checkDependencies(out.Dependencies), doc.checkTargets(out.Targets)...)...)
}

func (d *document) checkDependencies(deps []Dependency) []error {
	var out []error
	for i, dep := range deps {
		key := fmt.Sprintf("dependencies[%d]", i)
		switch {
		case dep.URI != "" && dep.Image != "":
			out = append(out, d.problem(fault.Failed, key, errors.New("dependency configured with both 'uri' and 'image'")))
		case dep.URI == "" && dep.Image == "":
			out = append(out, d.problem(fault.Failed, key, errors.New("dependency configured with neither 'uri' nor 'image'")))
		}
	}
	return out
}

// unknownElements is pack's message, with the keys in order.
func unknownElements(keys []UnknownKey, file string) error {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = "'" + k.Key + "'"
	}
	word := "element"
	if len(keys) > 1 {
		word = "elements"
	}
	return fmt.Errorf("unknown configuration %s %s in '%s'", word, strings.Join(names, ", "), file)
}

// DefaultTarget is what pack builds for where nobody says a platform: the
// given os ("" is linux) and no architecture.
func DefaultTarget(os string) platform.Target {
	if os == "" {
		os = defaultOS
	}
	return platform.Target{Platform: platform.Platform{OS: os}}
}
