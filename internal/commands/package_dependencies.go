package commands

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/dependency"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/pkg/source"
	"github.com/multipack/multipack/pkg/tree/load"
)

// adopt takes the package.toml beside a composite's buildpack.toml where --path
// names the composite itself: its targets and dependencies are those of the package.
func (p *packaging) adopt(loaded *load.Loaded, uri string) error {
	if p.input.hasConfig || !p.input.descriptor.IsComposite() {
		return nil
	}
	config, ok, err := dependency.ConfigOf(loaded.Tree)
	if err != nil || !ok {
		return err
	}
	p.input.config, p.input.hasConfig = config, true
	if loaded.Folder {
		p.input.configDir = strings.TrimPrefix(uri, "file://")
	}
	return nil
}

// builds are the modules of each platform's image. All dependencies are found,
// and the package as a whole is judged, before anything is made of it.
func (p *packaging) builds(ctx context.Context) ([]buildpack.PlatformBuild, error) {
	builds := make([]buildpack.PlatformBuild, len(p.plan.Items))
	for i, item := range p.plan.Items {
		builds[i] = buildpack.PlatformBuild{Target: item.Target, Main: item.Module()}
	}
	if p.flags.flatten {
		p.console.Warn("Flattening a buildpack package could break the distribution specification. Please use it with caution.")
	}
	var err error
	if p.found, err = p.resolve(ctx); err != nil {
		return nil, err
	}
	for i := range builds {
		builds[i].Deps = p.found.Modules(i)
	}
	return builds, nil
}

// resolve finds the dependencies that package.toml names.
func (p *packaging) resolve(ctx context.Context) (*dependency.Resolution, error) {
	if len(p.input.config.Dependencies) == 0 {
		return &dependency.Resolution{}, nil
	}
	locators, err := dependency.ParseAll(p.input.config, p.input.configDir, source.Stat)
	if err != nil {
		return nil, err
	}
	policy, err := p.policy(locators)
	if err != nil {
		return nil, err
	}
	resolver, err := p.resolver(p.module.word, p.flags.buildpackRegistry, policy)
	if err != nil {
		return nil, err
	}
	targets := make([]platform.Target, len(p.plan.Items))
	for i, item := range p.plan.Items {
		targets[i] = item.Target
	}
	found, err := resolver.Resolve(ctx, locators, targets)
	if err != nil {
		return nil, err
	}
	p.atEnd(func() { _ = found.Close() })
	for _, w := range found.Warnings {
		p.console.Warn("%s", w)
	}
	return found, nil
}

// policy is --pull-policy. What is published is made of what registries have, as
// in pack.
func (p *packaging) policy(locators []dependency.Locator) (dependency.Policy, error) {
	pull, err := dependency.ParsePull(p.flags.pullPolicy)
	if err != nil {
		return dependency.Policy{}, err
	}
	published := p.to.ref.Kind == reference.Registry
	if published && pull == dependency.PullNever {
		for _, l := range locators {
			if l.Kind == dependency.Registry || l.Kind == dependency.Package && l.Ref.Kind == reference.Registry {
				return dependency.Policy{}, fault.Hint(flagFault("'--pull-policy never' and '--publish' exclude each other: the dependency '%s' is in a registry", l),
					"write 'docker-daemon:…' for an image of the Docker engine")
			}
		}
	}
	return dependency.Policy{Pull: pull, Engine: !published}, nil
}

// resolver finds dependencies of a kind. index is the value of
// --buildpack-registry. Manifests and configs that were read before come from
// the cache: should the registry have lost what they name, copying it fails.
func (s *session) resolver(kind, index string, policy dependency.Policy) (*dependency.Resolver, error) {
	client, err := s.registry()
	if err != nil {
		return nil, err
	}
	scratch, err := s.scratch()
	if err != nil {
		return nil, err
	}
	var cache registry.Cache
	if dir := s.cacheDir(); dir != "" {
		cache = registry.NewFileCache(filepath.Join(dir, "manifests"), manifestBytes)
	}
	return &dependency.Resolver{
		Opener: s.openerWith(client.Cached(cache)),
		Load:   func(ctx context.Context, uri string) (*load.Loaded, error) { return s.openTree(ctx, uri, scratch) },
		Index: func(ctx context.Context) (*dependency.Index, error) {
			return dependency.OpenIndex(ctx, dependency.IndexOptions{Registry: index, PackHome: s.packHome(), CacheDir: s.cacheDir()})
		},
		Policy: policy, Kind: kind, Stat: source.Stat, Jobs: s.requests(),
	}, nil
}

// packHome is the folder of pack's own configuration: $PACK_HOME, else ~/.pack.
func (s *session) packHome() string {
	if dir := s.app.Getenv("PACK_HOME"); dir != "" {
		return dir
	}
	if home := s.app.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".pack")
	}
	return ""
}

// unpacker gives the content of packaged modules, for what needs it.
func (s *session) unpacker() (*dependency.Unpacker, error) {
	dir, err := s.scratch()
	if err != nil {
		return nil, err
	}
	u := &dependency.Unpacker{Dir: dir}
	s.atEnd(func() { _ = u.Close() })
	return u, nil
}
