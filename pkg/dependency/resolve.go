package dependency

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/source"
	"github.com/multipack/multipack/pkg/tree/load"
)

// Resolver finds dependencies. Its functions may be called several times at
// once; those that are nil make what needs them a fault.Usage.
type Resolver struct {
	// Opener opens references of every medium.
	Opener source.Opener
	// Load opens folders, archives and URLs; what it gives is closed with the
	// Resolution.
	Load func(ctx context.Context, uri string) (*load.Loaded, error)
	// Index opens the CNB registry's index. It is called once, and only where an
	// id is to be located.
	Index func(ctx context.Context) (*Index, error)
	// Policy says where images are taken from that the engine may have.
	Policy Policy
	// Kind is the kind of modules that are wanted.
	Kind string
	// Stat is asked which paths there are.
	Stat reference.Stat
	// Jobs bounds what is opened at once; 0 is 8.
	Jobs int
}

const defaultJobs = 8

// Resolution is what dependencies turned out to be, for each target.
type Resolution struct {
	// Warnings are what the user should know, in the order of the dependencies.
	Warnings []string
	// Silent are dependencies whose image does not say an architecture: it was taken
	// for every platform.
	Silent []string
	// Plans are those of folders and archives, for whoever looks at their content.
	Plans []buildpack.Plan

	top     []*node
	closers []func() error
}

// Modules are the modules for the target at index i, in packaging order: each
// dependency's main module, then its own dependencies. From names the dependency
// that they come from.
func (r *Resolution) Modules(i int) []buildpack.Module {
	var out []buildpack.Module
	seen := map[*node]bool{}
	var visit func(nodes []*node)
	visit = func(nodes []*node) {
		for _, n := range nodes {
			if !seen[n] {
				seen[n] = true
				out = append(out, n.modules[i]...)
				visit(n.children)
			}
		}
	}
	visit(r.top)
	return out
}

// Close gives back files. Modules must not be used after.
func (r *Resolution) Close() error {
	var errs []error
	for _, c := range slices.Backward(r.closers) {
		errs = append(errs, c())
	}
	r.closers = nil
	return errors.Join(errs...)
}

// Resolve finds every dependency for every target. ctx has to live as long as
// the modules are used: what they hold is read when it is asked for.
//
// A composite buildpack's folder with a package.toml brings the dependencies
// named there where modules of its order would be missing otherwise.
//
// All failures come in one error, in the order of the dependencies; those that
// lack a platform in one report at its end (buildpack.CheckMissing).
func (r *Resolver) Resolve(ctx context.Context, locators []Locator, targets []platform.Target) (*Resolution, error) {
	s := &search{Resolver: r, targets: targets, known: map[string]*node{}, index: once(r.Index)}
	res := &Resolution{top: s.nodes(locators, nil)}
	for level := s.fresh; len(level) > 0; level = s.fresh {
		s.fresh = nil
		s.resolve(ctx, level)
		if err := s.failures(); err != nil {
			res.closers = s.closers
			return nil, errors.Join(err, res.Close())
		}
		if err := s.expand(); err != nil {
			res.closers = s.closers
			return nil, errors.Join(err, res.Close())
		}
	}
	for _, n := range s.all {
		res.Warnings = append(res.Warnings, n.warnings...)
		if n.silent {
			res.Silent = append(res.Silent, n.name())
		}
		if n.plan != nil {
			res.Plans = append(res.Plans, *n.plan)
		}
	}
	res.closers = s.closers
	return res, nil
}

// node is one dependency. Dependencies that several name are one node.
type node struct {
	loc    Locator
	parent *node
	// modules are those for each target.
	modules  [][]buildpack.Module
	missing  buildpack.MissingPlatform
	plan     *buildpack.Plan
	folder   string // of a composite's folder: where its package.toml is
	config   *buildpack.PackageConfig
	children []*node
	warnings []string
	silent   bool
	err      error
	closers  []func() error
}

// name is the dependency for messages: as the user wrote it, and where, if that
// was not in the file that is being packaged.
func (n *node) name() string {
	if n.parent == nil {
		return n.loc.Given
	}
	return n.loc.Given + " of " + n.parent.name()
}

func (n *node) warn(format string, args ...any) {
	n.warnings = append(n.warnings, fmt.Sprintf("dependency '%s': ", n.name())+fmt.Sprintf(format, args...))
}

// search is one run of Resolve.
type search struct {
	*Resolver
	targets []platform.Target
	known   map[string]*node
	all     []*node // in the order of their mention
	fresh   []*node // not resolved yet
	index   func(ctx context.Context) (*Index, error)
	closers []func() error
}

// nodes are those of the locators; parent is the composite that names them.
func (s *search) nodes(locators []Locator, parent *node) []*node {
	var out []*node
	for _, l := range locators {
		n, ok := s.known[l.key()]
		if !ok {
			n = &node{loc: l, parent: parent}
			s.known[l.key()] = n
			s.all, s.fresh = append(s.all, n), append(s.fresh, n)
		}
		out = append(out, n)
	}
	return out
}

// resolve opens nodes, a bounded number at once.
func (s *search) resolve(ctx context.Context, nodes []*node) {
	jobs := s.Jobs
	if jobs <= 0 {
		jobs = defaultJobs
	}
	var group errgroup.Group
	group.SetLimit(jobs)
	for _, n := range nodes {
		group.Go(func() error {
			if n.err = context.Cause(ctx); n.err == nil {
				n.err = s.open(ctx, n)
			}
			return nil
		})
	}
	_ = group.Wait()
	for _, n := range nodes {
		s.closers = append(s.closers, n.closers...)
	}
}

// open finds out what a dependency is, and its modules.
func (s *search) open(ctx context.Context, n *node) error {
	n.modules = make([][]buildpack.Module, len(s.targets))
	n.missing.Dependency = n.name()
	if n.loc.Deprecated {
		n.warn("the 'image' key is deprecated, write uri = 'docker://%s'", strings.TrimPrefix(n.loc.Given, "docker://"))
	}
	switch n.loc.Kind {
	case Registry:
		index, err := s.index(ctx)
		if err != nil {
			return err
		}
		at, err := index.Locate(ctx, n.loc.ID)
		if err != nil {
			return err
		}
		for _, w := range at.Warnings {
			n.warn("%s", w)
		}
		return s.openPackage(ctx, n, at.Ref)
	case Blob:
		return s.openBlob(ctx, n)
	}
	return s.openPackage(ctx, n, n.loc.Ref)
}

// failures are all that went wrong with the nodes so far. What is wrong with
// something that several share (the CNB registry, say) is told once.
func (s *search) failures() error {
	var errs []error
	var missing []buildpack.MissingPlatform
	told := map[error]bool{}
	for _, n := range s.all {
		missing = append(missing, n.missing)
		if n.err != nil && !told[n.err] {
			told[n.err] = true
			err := fmt.Errorf("resolving the dependency '%s': %w", n.name(), n.err)
			if n.loc.Kind == Registry && fault.HintOf(err) == "" && !strings.HasPrefix(n.loc.Given, fromRegistry) {
				err = fault.Hint(err, "for the image of that name write 'docker://%s'", n.loc.Given)
			}
			errs = append(errs, err)
		}
	}
	if err := buildpack.CheckMissing(missing); err != nil {
		errs = append(errs, hinted(err, missing))
	}
	return errors.Join(errs...)
}

// hinted adds the platforms that all dependencies have. One that has none of its
// own is for every platform.
func hinted(err error, all []buildpack.MissingPlatform) error {
	var common []string
	first := true
	for _, m := range all {
		if len(m.Wanted) == 0 && len(m.Found) == 0 {
			continue
		}
		var have []string
		for _, p := range m.Found {
			if p.Arch != "" && (first || slices.Contains(common, p.String())) && !slices.Contains(have, p.String()) {
				have = append(have, p.String())
			}
		}
		common, first = have, false
	}
	if len(common) == 0 {
		return fault.Hint(err, "package the dependency for that platform too")
	}
	return fault.Hint(err, "package the dependency for that platform too, or use '--platform %s'", strings.Join(common, ","))
}

// once makes a function that opens the index the first time it is called.
func once(open func(context.Context) (*Index, error)) func(context.Context) (*Index, error) {
	type result struct {
		index *Index
		err   error
	}
	lock := make(chan *result, 1)
	lock <- nil
	return func(ctx context.Context) (*Index, error) {
		if open == nil {
			return nil, fault.New(fault.Usage, "ids of a CNB registry cannot be located here")
		}
		done := <-lock
		defer func() { lock <- done }()
		if done == nil {
			index, err := open(ctx)
			done = &result{index, err}
		}
		return done.index, done.err
	}
}
