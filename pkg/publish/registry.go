package publish

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/registry"
)

// Registry publishes to registries: blobs and child manifests by digest, in
// parallel, then the index, then tags. What the registry has is not sent again:
// a manifest that is there by digest is complete (a registry refuses manifests
// whose parts it lacks), so nothing below it is asked for. Layers that are
// *remote.MountableLayer from another repository of the same registry are
// mounted; those of other registries are streamed through.
type Registry struct {
	// Client sends the requests; its limits hold for everything that shares it.
	Client *registry.Client
	// Observe is told of the progress; nil for nobody.
	Observe Observer
	// Detail makes reports name config and layers of manifests too that the
	// registry had. It may cost requests to the source, none to the destination.
	Detail bool
	// Mend takes nothing for granted: what is below manifests that are there is
	// looked at too, and sent where it is missing. Registries lose blobs when
	// their storage is damaged or cleaned up by hand.
	Mend bool
}

// Publish implements Publisher. A single tag is the very last request: the
// artifact's own manifest goes up directly under it.
func (p *Registry) Publish(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	s, err := p.Stage(ctx, a, to)
	return commitStaged(ctx, s, err)
}

// Stage implements Stager: everything by digest, except the artifact's own
// manifest where Commit will write exactly one tag.
func (p *Registry) Stage(ctx context.Context, a manifest.Artifact, to Target) (Staged, error) {
	push, err := p.prepare(ctx, a, to, false)
	if err != nil {
		return nil, err
	}
	if err := push.tree.send(ctx, push.tree.root, push); err != nil {
		return nil, err
	}
	return push, nil
}

// PushContent writes a and everything below it by digest and no tag. The
// report's Name is REPO@DIGEST.
func (p *Registry) PushContent(ctx context.Context, a manifest.Artifact, repo name.Repository) (Report, error) {
	d, err := a.Digest()
	if err != nil {
		return Report{}, fmt.Errorf("reading the artifact's digest: %w", err)
	}
	ref := repo.Digest(d.String())
	return p.Publish(ctx, a, Target{
		Ref:   reference.Ref{Kind: reference.Registry, Name: ref, Digest: d.String(), Given: ref.Name()},
		NoTag: true,
	})
}

// Tag writes a's manifest, and nothing else, under ref. What it points to has
// to be in the repository (PushContent).
func (p *Registry) Tag(ctx context.Context, ref name.Tag, a manifest.Artifact) error {
	t, err := newTree(a)
	if err != nil {
		return err
	}
	if err := p.Client.PutManifest(ctx, ref, t.root.raw, t.root.desc.MediaType); err != nil {
		return err
	}
	p.Observe.tell(Event{Kind: "tag", Ref: reference.Canonical(ref), Descriptor: t.root.desc})
	return nil
}

// push is one artifact on its way to one repository.
type push struct {
	*Registry
	tree  *tree
	to    Target
	repo  name.Repository
	tags  []name.Tag
	child []childTag
	// listed are the entries of the index that the destination has now.
	listed map[v1.Hash]bool
	// hold is set where the root goes up under its only tag, in Commit.
	hold bool
	// dry is set where nothing will be written that could tell more than a
	// refused question did.
	dry bool
}

type childTag struct {
	tag  name.Tag
	node *node
}

// prepare does all that can be known before the first write: the names, what
// the destination has, and that every manifest to send is to be had.
func (p *Registry) prepare(ctx context.Context, a manifest.Artifact, to Target, dry bool) (*push, error) {
	push := &push{Registry: p, to: to, dry: dry}
	if err := push.names(); err != nil {
		return nil, err
	}
	t, err := newTree(a)
	if err != nil {
		return nil, err
	}
	t.detail = p.Detail
	push.tree = t
	if err := wantDigest(to.Ref, t.root.desc.Digest); err != nil {
		return nil, err
	}
	if err := t.grow(ctx, t.root, push.has); err != nil {
		return nil, fmt.Errorf("preparing the push to '%s': %w", push.name(), err)
	}
	if err := push.findChildren(ctx); err != nil {
		return nil, err
	}
	push.hold = len(push.tags) == 1 && len(push.child) == 0 && !t.root.there
	return push, nil
}

func (p *push) name() string {
	return reference.Ref{Kind: reference.Registry, Name: p.to.Ref.Name}.Display()
}

// names checks the destination and collects its tags, each once, in the order
// in which they are written.
func (p *push) names() error {
	if p.to.Ref.Kind != reference.Registry || p.to.Ref.Name == nil {
		return fault.New(fault.Usage, "publishing to '%s': it is no reference into a registry", p.to.Ref)
	}
	p.repo = p.to.Ref.Name.Context()
	if p.to.NoTag {
		return nil
	}
	add := func(ref reference.Ref) error {
		if ref.Kind != reference.Registry || ref.Name == nil || ref.Name.Context().Name() != p.repo.Name() {
			return fault.New(fault.Usage, "publishing to '%s': tag '%s' is not in repository '%s'", p.to.Ref, ref, p.name())
		}
		tag, ok := ref.Name.(name.Tag)
		if !ok && ref.Tag != "" { // repo:tag@digest
			tag, ok = p.repo.Tag(ref.Tag), true
		}
		if ok && !slices.ContainsFunc(p.tags, func(t name.Tag) bool { return t.TagStr() == tag.TagStr() }) {
			p.tags = append(p.tags, tag)
		}
		return nil
	}
	for _, ref := range append([]reference.Ref{p.to.Ref}, p.to.Tags...) {
		if err := add(ref); err != nil {
			return err
		}
	}
	return nil
}

// wantDigest checks that an artifact is the one that a reference names.
func wantDigest(ref reference.Ref, have v1.Hash) error {
	if ref.Digest != "" && ref.Digest != have.String() {
		return fault.New(fault.Usage, "publishing to '%s': what is to be written has the digest '%s'", ref, have)
	}
	return nil
}

// findChildren finds the manifests that ChildTags name.
func (p *push) findChildren(ctx context.Context) error {
	if p.to.NoTag || len(p.to.ChildTags) == 0 {
		return nil
	}
	if err := p.tree.resolve(ctx, p.tree.root); err != nil {
		return err
	}
	for _, ct := range p.to.ChildTags {
		i := slices.IndexFunc(p.tree.root.children, func(c child) bool { return c.desc.Digest == ct.Digest })
		if i < 0 {
			return fault.New(fault.NotFound, "tagging '%s:%s': the index has no child '%s'", p.name(), ct.Tag, ct.Digest)
		}
		n := p.tree.root.children[i].node
		if err := n.load(); err != nil {
			return err
		}
		if p.tree.root.there {
			n.there, n.action = true, Exists
		}
		p.child = append(p.child, childTag{tag: p.repo.Tag(ct.Tag), node: n})
	}
	return nil
}

// Commit implements Staged: the children's tags, then the artifact's own.
func (p *push) Commit(ctx context.Context) (Report, error) {
	var written []string
	write := func(tag name.Tag, n *node) error {
		if err := p.tag(ctx, tag, n); err != nil {
			if len(written) > 0 {
				return fmt.Errorf("tagging '%s' (written already: '%s'): %w", reference.Canonical(tag), strings.Join(written, "', '"), err)
			}
			return err
		}
		written = append(written, reference.Canonical(tag))
		return nil
	}
	for _, c := range p.child {
		if err := write(c.tag, c.node); err != nil {
			return Report{}, err
		}
	}
	for _, tag := range p.tags {
		if err := write(tag, p.tree.root); err != nil {
			return Report{}, err
		}
	}
	r := p.tree.report(p.name())
	r.ChildTags, r.Tags = written[:len(p.child):len(p.child)], written[len(p.child):]
	return r, nil
}

// Abort implements Staged. Content by digest that no tag leads to is the
// registry's to collect.
func (p *push) Abort() {}

// tag makes one tag point at n. Only where n was there before can the tag point
// at it already, so only then is it looked at: a tag that is right is not
// written again, which registries with immutable tags would refuse.
func (p *push) tag(ctx context.Context, tag name.Tag, n *node) error {
	if n.there {
		d, err := p.Client.Head(ctx, tag)
		if err == nil && d.Digest == n.desc.Digest {
			p.Observe.tell(Event{Kind: "exists", Ref: reference.Canonical(tag), Descriptor: n.desc})
			return nil
		}
		if err != nil && !p.unknowable(err) {
			return err
		}
	}
	if err := p.Client.PutManifest(ctx, tag, n.raw, n.desc.MediaType); err != nil {
		return err
	}
	if n.action == "" {
		n.action = Uploaded
	}
	p.Observe.tell(Event{Kind: "tag", Ref: reference.Canonical(tag), Descriptor: n.desc})
	return nil
}

// unknowable reports whether a question to the destination was answered with
// "not there", or with a refusal: registries answer 401 and 403 for what does
// not exist yet, and some credentials may only push. Writing will tell.
func (p *push) unknowable(err error) bool {
	return fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) && !p.dry
}
