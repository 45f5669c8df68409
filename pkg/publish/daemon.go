package publish

import (
	"context"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
)

// Engine is a Docker engine; *daemon.Client is one.
type Engine interface {
	// Version is the platform that the engine runs, and whether its store keeps
	// whole indexes (containerd's image store).
	Version(ctx context.Context) (platform.Platform, bool, error)
	// Load takes a `docker save` stream to its end.
	Load(ctx context.Context, r io.Reader) error
	// Tag gives the image src, a name or an ID, the name dst.
	Tag(ctx context.Context, src, dst string) error
	// Inspect gives the ID of an image; fault.NotFound where there is none.
	Inspect(ctx context.Context, name string) (id string, p platform.Platform, err error)
}

// Daemon publishes to a Docker engine. Of an index the engine gets the platform
// that it runs, or all of it where its store keeps indexes; a resolve event and
// the report's Images say which. A single image is loaded as it is. The image's
// ID is the digest of its config.
type Daemon struct {
	// Engine connects; it is called once per artifact.
	Engine func(ctx context.Context) (Engine, error)
	// Observe is told of the progress; nil for nobody.
	Observe Observer
}

// Publish implements Publisher; the engine is told the names last.
func (p *Daemon) Publish(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	s, err := p.Stage(ctx, a, to)
	return commitStaged(ctx, s, err)
}

// Stage implements Stager: the image is loaded without a name. The containerd
// store keeps nothing without one, so there all happens in Commit.
func (p *Daemon) Stage(ctx context.Context, a manifest.Artifact, to Target) (Staged, error) {
	w, err := p.prepare(ctx, a, to)
	if err != nil {
		return nil, err
	}
	if w.whole {
		return w, nil
	}
	if w.action, err = w.loadOne(ctx); err != nil {
		return nil, fmt.Errorf("publishing to '%s': %w", to.Ref, err)
	}
	return w, nil
}

// Plan implements Stager.
func (p *Daemon) Plan(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	w, err := p.prepare(ctx, a, to)
	if err != nil {
		return Report{}, err
	}
	w.action = Planned
	if !w.whole && w.loaded(ctx) {
		w.action = Exists
	}
	r := w.report()
	r.DryRun = true
	return r, nil
}

// daemonWrite is one artifact on its way into one engine.
type daemonWrite struct {
	engine Engine
	tree   *tree
	to     Target
	names  []name.Reference
	// image is what the engine gets; whole says that it gets the whole tree.
	image   part
	whole   bool
	action  Action
	observe Observer
}

func (p *Daemon) prepare(ctx context.Context, a manifest.Artifact, to Target) (*daemonWrite, error) {
	if to.Ref.Kind != reference.Daemon || to.Ref.Name == nil {
		return nil, fault.New(fault.Usage, "publishing to '%s': it is no image of a Docker engine", to.Ref)
	}
	names, err := dockerNames(to)
	if err != nil {
		return nil, err
	}
	engine, err := p.Engine(ctx)
	if err != nil {
		return nil, fmt.Errorf("publishing to '%s': %w", to.Ref, err)
	}
	runs, whole, err := engine.Version(ctx)
	if err != nil {
		return nil, fmt.Errorf("publishing to '%s': %w", to.Ref, err)
	}
	t, err := wholeTree(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("preparing '%s': %w", to.Ref, err)
	}
	w := &daemonWrite{engine: engine, tree: t, to: to, names: names, observe: p.Observe}
	w.whole = whole && t.root.desc.MediaType.IsIndex()
	if w.whole {
		w.image = part{desc: t.root.desc, node: t.root}
		return w, nil
	}
	w.image, err = w.pick(runs)
	return w, err
}

// pick is the image that the engine gets.
func (w *daemonWrite) pick(runs platform.Platform) (part, error) {
	images := w.tree.images()
	all, names := platforms(images)
	i := choose(all, runs)
	if !w.tree.root.desc.MediaType.IsIndex() && len(images) == 1 {
		i = 0 // the user's own choice
	}
	if i < 0 {
		err := fault.New(fault.NotFound, "publishing to '%s': the Docker engine runs %s, there is %s", w.to.Ref, runs, names)
		return part{}, fault.Hint(err, "choose one of them with --platform")
	}
	w.observe.tell(Event{Kind: "resolve", Ref: w.to.Ref.Display(), Descriptor: images[i].node.desc, Platform: all[i]})
	return images[i], nil
}

// id is the image's ID in the engine's classic store.
func (w *daemonWrite) id() string { return w.image.node.config.desc.Digest.String() }

// loaded reports whether the engine has the image.
func (w *daemonWrite) loaded(ctx context.Context) bool {
	id, _, err := w.engine.Inspect(ctx, w.id())
	return err == nil && id == w.id()
}

func (w *daemonWrite) loadOne(ctx context.Context) (Action, error) {
	if w.loaded(ctx) {
		w.observe.tell(Event{Kind: "exists", Ref: w.to.Ref.Display(), Descriptor: w.image.node.desc})
		return Exists, nil
	}
	entries, err := dockerSave(ctx, w.image, nil)
	if err != nil {
		return "", err
	}
	if err := w.load(ctx, entries); err != nil {
		return "", err
	}
	if !w.loaded(ctx) {
		return "", fault.New(fault.Failed, "loading into the Docker engine: it has no image '%s' afterwards", w.id())
	}
	return Uploaded, nil
}

// load streams entries into the engine.
func (w *daemonWrite) load(ctx context.Context, entries []tarEntry) error {
	var total int64
	for _, e := range entries {
		total += e.size
	}
	r, pipe := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := writeTar(ctx, &meter{w: pipe, told: func(n int64) {
			w.observe.tell(Event{Kind: "load", Ref: w.to.Ref.Display(), Descriptor: w.image.node.desc, Done: min(n, total), Total: total})
		}}, entries)
		pipe.CloseWithError(err)
		written <- err
	}()
	err := w.engine.Load(ctx, r)
	r.Close() // ends the writer where the engine stopped reading
	if wrote := <-written; wrote != nil && !isClosedPipe(wrote) {
		return wrote // the cause of what the engine says about a broken stream
	}
	return err
}

// Commit implements Staged.
func (w *daemonWrite) Commit(ctx context.Context) (Report, error) {
	if w.whole {
		return w.commitWhole(ctx)
	}
	if err := w.tag(ctx, w.id(), w.names); err != nil {
		return Report{}, err
	}
	return w.report(), nil
}

func (w *daemonWrite) tag(ctx context.Context, src string, names []name.Reference) error {
	for _, n := range names {
		if err := w.engine.Tag(ctx, src, reference.Canonical(n)); err != nil {
			return err
		}
		w.observe.tell(Event{Kind: "tag", Ref: reference.Canonical(n), Descriptor: w.image.node.desc})
	}
	return nil
}

// commitWhole loads a layout whose index.json names the index.
func (w *daemonWrite) commitWhole(ctx context.Context) (Report, error) {
	first := reference.Canonical(w.names[0])
	raw, err := layoutIndex([]v1.Descriptor{named(w.tree.root.desc, first)})
	if err != nil {
		return Report{}, err
	}
	entries := []tarEntry{dataEntry("oci-layout", []byte(layoutVersion)), dataEntry("index.json", raw)}
	if err := w.load(ctx, append(entries, blobEntries(contents(w.tree.root))...)); err != nil {
		return Report{}, fmt.Errorf("publishing to '%s': %w", w.to.Ref, err)
	}
	w.action = Uploaded
	if err := w.tag(ctx, first, w.names[1:]); err != nil {
		return Report{}, err
	}
	return w.report(), nil
}

// Abort implements Staged. An image without a name is the engine's to prune.
func (w *daemonWrite) Abort() {}

func (w *daemonWrite) report() Report {
	w.image.node.mark(w.action)
	r := describe(w.to.Ref.Display(), w.image)
	for _, n := range w.names {
		r.Tags = append(r.Tags, reference.Canonical(n))
	}
	return r
}
