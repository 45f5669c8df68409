package commands

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/tree/load"
)

// input is what is to be packaged.
type input struct {
	// name is what messages call it: the folder or archive as given.
	name       string
	config     buildpack.PackageConfig
	hasConfig  bool
	configDir  string
	descriptor buildpack.Descriptor
	targets    []platform.Target
	alike      []platform.Target // of the file, the same as an earlier one
}

// load reads the configuration, the tree and its descriptor, and plans what
// each platform gets. Relative paths start at the folder of the file that names them.
func (p *packaging) load(ctx context.Context) error {
	uri, err := p.locate()
	if err != nil {
		return err
	}
	dir, err := p.scratch()
	if err != nil {
		return err
	}
	loaded, err := p.openTree(ctx, uri, dir)
	if err != nil {
		return err
	}
	p.atEnd(func() { _ = loaded.Close() })
	p.input.name = "'" + loaded.Tree.Name + "'"
	if p.input.descriptor, err = buildpack.Load(loaded.Tree); err != nil {
		return err
	}
	if kind := p.input.descriptor.Kind; kind != p.module.word {
		return fault.Hint(fault.New(fault.Usage, "reading %s: it is %s, not %s", p.input.name, module{word: kind}.article(), p.module.article()),
			"run 'multipack %s package'", kind)
	}
	if err := p.adopt(loaded, uri); err != nil {
		return err
	}
	if p.input.targets, err = p.targets(); err != nil {
		return err
	}
	root := loaded.Tree
	if loaded.Folder {
		if root, err = p.withoutOutputs(root, uri); err != nil {
			return err
		}
	}
	p.plan, err = buildpack.NewPlan(p.input.descriptor, root, p.input.targets, p.flags.shared)
	return err
}

// openTree reads a folder or an archive, which may have to be downloaded into
// dir. The progress shows no more of a URL than its last part: the rest may hold
// secrets.
func (s *session) openTree(ctx context.Context, uri, dir string) (*load.Loaded, error) {
	client, err := s.registry()
	if err != nil {
		return nil, err
	}
	progress := s.console.Progress()
	defer progress.Close()
	address, _, _ := strings.Cut(uri, "?")
	return load.Open(ctx, uri, load.Options{
		Dir: dir, HTTP: client.Downloads(), Retries: s.globals.retries,
		Observe: func(done, total int64) { progress.Update("downloading", path.Base(address), done, total) },
	})
}

// locate reads package.toml where there is one and answers where the module is.
func (p *packaging) locate() (string, error) {
	if p.flags.config == "" {
		return orDefault(p.flags.path, "."), nil
	}
	raw, err := os.ReadFile(p.flags.config)
	if err != nil {
		return "", fileFault("reading", p.flags.config, err)
	}
	if p.input.config, err = buildpack.ParsePackage(p.flags.config, raw); err != nil {
		return "", err
	}
	if p.input.config.Kind != p.module.word {
		return "", fault.Hint(fault.New(fault.Usage, "reading '%s': it names %s, not %s", p.flags.config, module{word: p.input.config.Kind}.article(), p.module.article()),
			"run 'multipack %s package'", p.input.config.Kind)
	}
	p.input.hasConfig = true
	p.input.configDir = filepath.Dir(p.flags.config)
	return relativeTo(p.input.configDir, p.input.config.URI), nil
}

// relativeTo is uri as seen from the working directory, where dir is the folder
// of the file that says it.
func relativeTo(dir, uri string) string {
	if uri == "" || filepath.IsAbs(uri) || strings.Contains(uri, "://") {
		return uri
	}
	return filepath.Join(dir, uri)
}

// targets are what to build for: the flags' platforms, else the file's targets.
func (p *packaging) targets() ([]platform.Target, error) {
	declared, file := p.input.descriptor.Targets, p.input.descriptor.FileName()
	if p.input.descriptor.IsComposite() {
		declared, file = p.input.config.Targets, "package.toml"
	}
	expanded := buildpack.Expand(declared)
	fromFile := buildpack.Dedupe(expanded)
	p.input.alike = buildpack.Alike(expanded)
	asked, err := p.flags.wanted(fromFile)
	if err != nil {
		return nil, err
	}
	switch {
	case len(asked) > 0:
		p.input.alike = nil
		return asked, nil
	case len(fromFile) > 0:
		return fromFile, nil
	}
	target := buildpack.DefaultTarget(p.input.config.OS)
	p.console.Warn("no platform is named: the image will say os '%s' and no architecture", target.Platform.OS)
	if !p.globals.quiet {
		p.console.Tip("use --platform, or [[targets]] in %s, to name the platforms (os/arch/variant)", file)
	}
	return []platform.Target{target}, nil
}

// wanted are the targets of --platform and --target, in an order that is not
// that of the flags, each once. A platform takes the path that the file's target
// of the same platform names.
func (f *packageFlags) wanted(declared []platform.Target) ([]platform.Target, error) {
	named, all, err := f.named()
	if err != nil {
		return nil, err
	}
	if all && len(declared) == 0 {
		return nil, flagFault("'--platform all' means the [[targets]], and there are none")
	}
	var out []platform.Target
	if all {
		out = append(out, declared...)
	}
	out = buildpack.InOrder(buildpack.Dedupe(append(out, named...)), declared)
	for i := range out {
		for _, d := range declared {
			if out[i].Path == "" && d.Path != "" && d.Platform == out[i].Platform {
				out[i].Path = d.Path
			}
		}
	}
	return out, nil
}

// named are the targets that --platform and --target spell out; all is set where
// those of the file are meant too.
func (f *packageFlags) named() (out []platform.Target, all bool, err error) {
	list, err := platform.ParseList(f.platforms, platform.Local())
	if err != nil {
		return nil, false, err
	}
	platforms, err := list.Platforms()
	if err != nil {
		return nil, false, err
	}
	for _, p := range platforms {
		out = append(out, platform.Target{Platform: p})
	}
	for _, t := range f.targets {
		more, err := platform.ParseTarget(t)
		if err != nil {
			return nil, false, err
		}
		out = append(out, more...)
	}
	return out, list.All, nil
}

// sourceDate is the time of SOURCE_DATE_EPOCH (reproducible-builds.org), zero
// where it is not set.
func sourceDate(value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds < 0 || seconds > 253402300799 {
		return time.Time{}, fault.New(fault.Usage, "reading SOURCE_DATE_EPOCH: '%s' is no number of seconds since 1970", value)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// fileFault says what failed with which file, once.
func fileFault(doing, path string, err error) error {
	kind := fault.Failed
	if os.IsNotExist(err) {
		kind = fault.NotFound
	}
	return fault.New(kind, "%s '%s': %w", doing, path, bare(err))
}

// bare takes the path off an error of the os package: the message names it already.
func bare(err error) error {
	if e, ok := err.(*os.PathError); ok {
		return e.Err
	}
	return err
}
