package publish

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/registry"
)

// has finds out whether the repository holds n. Where this run has seen it there
// already, or the index that the tag has now lists it, that costs no request.
func (p *push) has(ctx context.Context, n *node) (bool, error) {
	d := p.repo.Digest(n.desc.Digest.String())
	var err error
	if !p.listed[n.desc.Digest] && !p.Client.Knows(d) {
		_, err = p.Client.Head(ctx, d)
	}
	switch {
	case err == nil:
		n.there, n.action = !p.Mend, Exists
		p.Observe.tell(Event{Kind: "exists", Ref: p.name(), Descriptor: n.desc})
		return n.there, nil
	case p.unknowable(err):
		if n == p.tree.root && !p.Mend {
			p.listed = p.current(ctx, n)
		}
		return false, nil
	}
	return false, err
}

// fewChildren is how many children are rather asked for one by one.
const fewChildren = 3

// current are the entries of the index that the destination's tag has now: a
// large index that changes a little costs one request to read and not one for
// each of its children. Where it cannot be read nothing is known of them.
func (p *push) current(ctx context.Context, root *node) map[v1.Hash]bool {
	idx, ok := root.artifact.(v1.ImageIndex)
	if !ok || len(p.tags) == 0 {
		return nil
	}
	next, err := idx.IndexManifest()
	if err != nil {
		return nil // who goes through the children tells why
	}
	unknown := 0
	for _, d := range next.Manifests {
		if !p.Client.Knows(p.repo.Digest(d.Digest.String())) {
			unknown++
		}
	}
	if unknown <= fewChildren {
		return nil
	}
	tag := p.tags[len(p.tags)-1]
	m, err := p.Client.Manifest(ctx, tag)
	if err != nil || !m.MediaType.IsIndex() {
		return nil
	}
	have, err := v1.ParseIndexManifest(bytes.NewReader(m.Raw))
	if err != nil {
		return nil
	}
	listed := map[v1.Hash]bool{}
	for _, d := range have.Manifests {
		listed[d.Digest] = true
	}
	return listed
}

// manifest writes n by digest, the root only where Commit does not.
func (p *push) manifest(ctx context.Context, n *node) error {
	if p.hold && n == p.tree.root || n.action == Exists {
		return nil
	}
	ref := p.repo.Digest(n.desc.Digest.String())
	if err := p.Client.PutManifest(ctx, ref, n.raw, n.desc.MediaType); err != nil {
		return err
	}
	n.action = Uploaded
	p.Observe.tell(Event{Kind: "manifest", Ref: p.name(), Descriptor: n.desc})
	return nil
}

// blob writes b.
func (p *push) blob(ctx context.Context, b *blob) error {
	if b.foreign() {
		b.action = Skipped
		return nil
	}
	out, err := p.Client.PutBlob(ctx, p.repo, registry.Blob{
		Digest: b.desc.Digest, Size: b.desc.Size, MediaType: b.desc.MediaType, Open: b.open, From: p.mountable(b),
	}, func(done int64) {
		if done < b.desc.Size { // the last byte may still be refused
			p.tell("upload", b.desc, done)
		}
	})
	if err != nil {
		return err
	}
	b.action = Action(out)
	kinds := map[Action]string{Exists: "exists", Mounted: "mount", Uploaded: "upload"}
	p.tell(kinds[b.action], b.desc, b.desc.Size)
	return nil
}

func (p *push) tell(kind string, d v1.Descriptor, done int64) {
	p.Observe.tell(Event{Kind: kind, Ref: p.name(), Descriptor: d, Done: done, Total: d.Size})
}

// mountable are the other repositories of the destination's registry that are
// known to hold b.
func (p *push) mountable(b *blob) []name.Repository {
	var out []name.Repository
	for _, r := range slices.Concat(b.from, p.to.MountFrom) {
		same := func(o name.Repository) bool { return o.Name() == r.Name() }
		if r.RegistryStr() == p.repo.RegistryStr() && !same(p.repo) && !slices.ContainsFunc(out, same) {
			out = append(out, r)
		}
	}
	return out
}

// Plan implements Stager. It asks for manifests and blobs and writes nothing;
// where the registry refuses to answer that is the error, fault.Denied.
func (p *Registry) Plan(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	push, err := p.prepare(ctx, a, to, true)
	if err != nil {
		return Report{}, err
	}
	if err := push.tree.send(ctx, push.tree.root, planner{push}); err != nil {
		return Report{}, err
	}
	r := push.tree.report(push.name())
	r.DryRun = true
	for _, c := range push.child {
		r.ChildTags = append(r.ChildTags, reference.Canonical(c.tag))
	}
	for _, tag := range push.tags {
		r.Tags = append(r.Tags, reference.Canonical(tag))
	}
	return r, nil
}

// planner is the sink of a push that only looks.
type planner struct{ *push }

func (p planner) manifest(_ context.Context, n *node) error {
	if n.action == "" {
		n.action = Planned
	}
	return nil
}

func (p planner) blob(ctx context.Context, b *blob) (err error) {
	if b.foreign() {
		b.action = Skipped
		return nil
	}
	b.action, err = p.outlook(ctx, b)
	return err
}

// outlook is what would happen to b.
func (p *push) outlook(ctx context.Context, b *blob) (Action, error) {
	there, err := p.Client.HasBlob(ctx, p.repo, b.desc.Digest)
	if there {
		return Exists, nil
	}
	if err != nil && !p.unknowable(err) {
		return "", fmt.Errorf("looking for blob '%s' in '%s': %w", b.desc.Digest, p.name(), err)
	}
	for _, r := range p.mountable(b) {
		// MountFrom may be written by this very run: it is taken at its word.
		if slices.ContainsFunc(p.to.MountFrom, func(m name.Repository) bool { return m.Name() == r.Name() }) {
			return Mounted, nil
		}
		if there, err := p.Client.HasBlob(ctx, r, b.desc.Digest); err == nil && there {
			return Mounted, nil
		}
	}
	return Planned, nil
}
