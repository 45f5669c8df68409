package publish

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/ocilayout"
	"github.com/multipack/multipack/pkg/reference"
)

// Layout publishes to directories that are OCI image layouts, which are
// created where needed. The artifact becomes one entry of index.json for each
// name; what stood under such a name is replaced, other entries are kept. With
// no TAG the entry has no name and replaces the one without a name, so that a
// fresh directory is what `skopeo inspect oci:DIR` and a reference without TAG read.
type Layout struct {
	// Observe is told of the progress; nil for nobody.
	Observe Observer
}

// Publish implements Publisher; index.json is written last.
func (p *Layout) Publish(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	s, err := p.Stage(ctx, a, to)
	return commitStaged(ctx, s, err)
}

// Stage implements Stager: all blobs and manifests.
func (p *Layout) Stage(ctx context.Context, a manifest.Artifact, to Target) (Staged, error) {
	w, err := p.prepare(ctx, a, to)
	if err != nil {
		return nil, err
	}
	if w.dir, err = ocilayout.Create(to.Ref.Path); err != nil {
		return nil, err
	}
	if err := w.tree.send(ctx, w.tree.root, w); err != nil {
		return nil, fmt.Errorf("writing to '%s': %w", to.Ref.Display(), err)
	}
	return w, nil
}

// Plan implements Stager. Of blobs that the directory has only the size is compared.
func (p *Layout) Plan(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	w, err := p.prepare(ctx, a, to)
	if err != nil {
		return Report{}, err
	}
	if err := w.tree.send(ctx, w.tree.root, layoutPlanner{w}); err != nil {
		return Report{}, err
	}
	r := w.report()
	r.DryRun = true
	return r, nil
}

// layoutWrite is one artifact on its way into one directory.
type layoutWrite struct {
	*Layout
	tree    *tree
	to      Target
	dir     *ocilayout.Dir
	entries []v1.Descriptor
}

func (p *Layout) prepare(ctx context.Context, a manifest.Artifact, to Target) (*layoutWrite, error) {
	if to.Ref.Kind != reference.Layout || to.Ref.Path == "" {
		return nil, fault.New(fault.Usage, "publishing to '%s': it is no OCI layout", to.Ref)
	}
	if info, err := os.Stat(to.Ref.Path); err == nil && !info.IsDir() {
		err := fault.New(fault.Usage, "publishing to '%s': '%s' is a file; a layout is written into a directory", to.Ref, to.Ref.Path)
		return nil, fault.Hint(err, "use oci-archive:%s to replace the file", to.Ref.Path)
	}
	t, err := wholeTree(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("preparing '%s': %w", to.Ref, err)
	}
	if err := wantDigest(to.Ref, t.root.desc.Digest); err != nil {
		return nil, err
	}
	w := &layoutWrite{Layout: p, tree: t, to: to}
	w.entries, err = t.layoutEntries(to)
	return w, err
}

// layoutEntries are the entries that a target asks for: those of single
// children first.
func (t *tree) layoutEntries(to Target) ([]v1.Descriptor, error) {
	names, err := layoutNames(to)
	if err != nil {
		return nil, err
	}
	var out []v1.Descriptor
	for _, ct := range to.ChildTags {
		n, err := t.direct(ct)
		if err != nil {
			return nil, err
		}
		out = append(out, named(n.desc, ct.Tag))
	}
	for _, tag := range names {
		out = append(out, named(t.root.desc, tag))
	}
	return out, nil
}

// direct is the child of the root that ct names.
func (t *tree) direct(ct ChildTag) (*node, error) {
	for _, c := range t.root.children {
		if c.desc.Digest == ct.Digest {
			return c.node, nil
		}
	}
	return nil, fault.New(fault.NotFound, "tagging '%s': the index has no child '%s'", ct.Tag, ct.Digest)
}

// Commit implements Staged.
func (w *layoutWrite) Commit(ctx context.Context) (Report, error) {
	err := w.dir.SetEntries(ctx, func(index []v1.Descriptor) (_ []v1.Descriptor, err error) {
		for _, e := range w.entries {
			if index, err = place(index, e); err != nil {
				return nil, err
			}
		}
		return index, nil
	})
	if err != nil {
		return Report{}, err
	}
	for _, e := range w.entries {
		at := w.to.Ref.Display()
		if tag := nameOf(e); tag != "" {
			at = w.to.Ref.WithTag(tag).String()
		}
		w.Observe.tell(Event{Kind: "tag", Ref: at, Descriptor: e})
	}
	return w.report(), nil
}

// Abort implements Staged. Blobs that no entry leads to do no harm; another
// publisher may be about to refer to them.
func (w *layoutWrite) Abort() {}

func (w *layoutWrite) report() Report {
	r := w.tree.report(w.to.Ref.Display())
	for i, e := range w.entries {
		switch tag := nameOf(e); {
		case tag == "":
		case i < len(w.to.ChildTags):
			r.ChildTags = append(r.ChildTags, tag)
		default:
			r.Tags = append(r.Tags, tag)
		}
	}
	return r
}

func (w *layoutWrite) blob(ctx context.Context, b *blob) error {
	if b.foreign() {
		b.action = Skipped
		return nil
	}
	written, err := w.dir.WriteBlob(ctx, b.desc.Digest, b.desc.Size, b.open)
	b.action = wrote(written)
	if err == nil {
		w.tell(b.desc, written)
	}
	return err
}

func (w *layoutWrite) manifest(ctx context.Context, n *node) error {
	written, err := w.dir.WriteBlob(ctx, n.desc.Digest, int64(len(n.raw)), n.reader)
	n.action = wrote(written)
	if err == nil {
		w.tell(n.desc, written)
	}
	return err
}

func wrote(written bool) Action {
	if written {
		return Uploaded
	}
	return Exists
}

func (w *layoutWrite) tell(d v1.Descriptor, written bool) {
	kind := "exists"
	if written {
		kind = "write"
	}
	w.Observe.tell(Event{Kind: kind, Ref: w.to.Ref.Display(), Descriptor: d, Done: d.Size, Total: d.Size})
}

// layoutPlanner is the sink of a write that only looks.
type layoutPlanner struct{ *layoutWrite }

func (p layoutPlanner) blob(_ context.Context, b *blob) error {
	b.action = p.outlook(b.desc)
	if b.foreign() {
		b.action = Skipped
	}
	return nil
}

func (p layoutPlanner) manifest(_ context.Context, n *node) error {
	n.action = p.outlook(n.desc)
	return nil
}

func (p layoutPlanner) outlook(d v1.Descriptor) Action {
	info, err := os.Stat(filepath.Join(p.to.Ref.Path, filepath.FromSlash(blobPath(d.Digest))))
	if err == nil && info.Size() == d.Size {
		return Exists
	}
	return Planned
}
