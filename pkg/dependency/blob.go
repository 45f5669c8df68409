package dependency

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/tree"
	"github.com/multipack/multipack/pkg/tree/load"
)

// openBlob opens a folder, an archive or a URL: a module to package for each
// target, or a packaged one.
func (s *search) openBlob(ctx context.Context, n *node) error {
	if s.Load == nil {
		return fault.New(fault.Usage, "folders and archives cannot be opened here")
	}
	loaded, err := s.Load(ctx, n.loc.URI)
	if err != nil {
		return err
	}
	n.closers = append(n.closers, loaded.Close)
	if isPackage(loaded) {
		return s.openPackage(ctx, n, reference.Ref{Kind: reference.File, Path: loaded.File, Given: n.loc.Given})
	}
	d, err := buildpack.Load(loaded.Tree)
	if err != nil {
		return err
	}
	if d.Kind != s.Kind {
		return fault.New(fault.Usage, "it is of kind '%s', '%s' is wanted", d.Kind, s.Kind)
	}
	plan, err := buildpack.NewPlan(d, loaded.Tree, targetsFor(s.targets, d), nil)
	var lacking *buildpack.MissingFolders
	if errors.As(err, &lacking) {
		n.missing.Wanted, n.missing.Found = lacking.Targets, lacking.Platforms
		return nil
	}
	if err != nil {
		return err
	}
	n.plan = &plan
	for i, item := range plan.Items {
		m := item.Module()
		m.From = n.name()
		n.modules[i] = []buildpack.Module{m}
	}
	if d.IsComposite() {
		return n.readConfig(loaded)
	}
	return nil
}

// isPackage reports whether an archive is an OCI image layout, as .cnb files are.
func isPackage(l *load.Loaded) bool {
	return !l.Folder && l.Tree.Has("index.json") && (l.Tree.Has("oci-layout") || !l.Tree.Has("buildpack.toml") && !l.Tree.Has("extension.toml"))
}

// targetsFor are the targets with the folders that the dependency's own
// [[targets]] name for them.
func targetsFor(targets []platform.Target, d buildpack.Descriptor) []platform.Target {
	declared := buildpack.Targets(d.Targets)
	out := make([]platform.Target, len(targets))
	for i, t := range targets {
		t.Path = ""
		loose := t.Platform.Normalize()
		loose.OSVersion, loose.Features = "", ""
		for _, own := range declared {
			if own.Path == "" {
				continue
			}
			if own.Platform == t.Platform.Normalize() && (own.Distro == t.Distro || own.Distro.Name == "" || t.Distro.Name == "") {
				t.Path = own.Path
				break
			}
			if own.Platform == loose && t.Path == "" {
				t.Path = own.Path
			}
		}
		out[i] = t
	}
	return out
}

// configFile is what a composite's folder names its own dependencies in.
const configFile = "package.toml"

// readConfig reads the package.toml of a composite, where it is about that
// composite itself.
func (n *node) readConfig(loaded *load.Loaded) error {
	config, ok, err := ConfigOf(loaded.Tree)
	if err != nil || !ok {
		return err
	}
	n.config = &config
	if loaded.Folder {
		n.folder = strings.TrimPrefix(n.loc.URI, "file://")
	}
	return nil
}

// ConfigOf is the package.toml at the root of a buildpack's tree; false where
// there is none, or where it packages something else than this tree.
func ConfigOf(t tree.Tree) (buildpack.PackageConfig, bool, error) {
	if !t.Has(configFile) {
		return buildpack.PackageConfig{}, false, nil
	}
	raw, err := t.ReadFile(configFile)
	if err != nil {
		return buildpack.PackageConfig{}, false, err
	}
	name := strings.TrimSuffix(t.Name, "/") + "/" + configFile
	if !strings.Contains(t.Name, "://") {
		name = filepath.Join(t.Name, configFile)
	}
	config, err := buildpack.ParsePackage(name, raw)
	if err != nil {
		return buildpack.PackageConfig{}, false, err
	}
	return config, filepath.Clean(config.URI) == ".", nil
}

// expand gives composites the dependencies of their own package.toml, where
// modules of their order are not there yet. Which are is judged for all at once,
// so that the order of the dependencies makes no difference.
func (s *search) expand() error {
	present := map[string]bool{}
	for _, n := range s.all {
		for _, modules := range n.modules {
			for _, m := range modules {
				present[m.FullName()] = true
			}
		}
	}
	var errs []error
	for _, n := range s.all[:len(s.all):len(s.all)] {
		if n.config == nil || complete(n.plan, present) {
			continue
		}
		config := *n.config
		n.config = nil
		locators, err := ParseAll(config, n.folder, s.Stat)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		n.children = s.nodes(locators, n)
	}
	return errors.Join(errs...)
}

// complete reports whether every module of the composite's orders is present.
func complete(plan *buildpack.Plan, present map[string]bool) bool {
	for _, item := range plan.Items {
		for _, group := range item.Descriptor.Order {
			for _, ref := range group.Group {
				if !present[ref.FullName()] {
					return false
				}
			}
		}
	}
	return true
}

// ParseAll reads all dependencies of a package.toml that lies in the folder dir;
// "" is one out of an archive, whose paths lead nowhere. All failures come in one
// error, in the order of the file.
func ParseAll(config buildpack.PackageConfig, dir string, stat reference.Stat) ([]Locator, error) {
	var out []Locator
	var errs []error
	if dir == "" {
		stat = nil
	}
	for _, dep := range config.Dependencies {
		l, err := Parse(dep, dir, stat)
		if err == nil && dir == "" && l.isRelative() {
			err = fault.New(fault.Usage, "reading the dependency '%s': it is a relative path in an archive; write a URL or an image", dep)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, l)
	}
	if err := errors.Join(errs...); err != nil {
		kind, ok := fault.KindOf(err)
		if !ok {
			kind = fault.Usage
		}
		return nil, fault.New(kind, "reading %s: %w", config.File, err)
	}
	return out, nil
}

func (l Locator) isRelative() bool {
	if l.Kind == Package {
		return l.Ref.Path != "" && !filepath.IsAbs(l.Ref.Path)
	}
	return l.Kind == Blob && !strings.Contains(l.URI, "://") && !filepath.IsAbs(l.URI)
}
