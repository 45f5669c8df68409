package source

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/ocilayout"
	"github.com/multipack/multipack/pkg/ocilayout/tarfile"
	"github.com/multipack/multipack/pkg/reference"
)

// Named is one artifact of a file or directory, and what it is called there.
type Named struct {
	// Names are image names with a tag; plain tags are none.
	Names []name.Tag
	// Label is a plain tag that it has instead, "" for none.
	Label    string
	Artifact manifest.Artifact
}

// Contents is what a file or directory holds.
type Contents struct {
	// Items are in the order of the file's own table.
	Items []Named
	// Close releases files; it is never nil. No artifact may be used after.
	Close func() error
}

// contentsOpener is an Opener that can tell all that there is.
type contentsOpener interface {
	openContents(ctx context.Context, r reference.Ref) (Contents, error)
}

// OpenAll opens everything that a layout or archive holds, as `docker load`
// reads it: r's tag, name or digest, where it has one, chooses one of them. Any
// other reference is the one artifact that Open opens, under its own name.
// Errors: as Open.
func OpenAll(ctx context.Context, opener Opener, r reference.Ref) (Contents, error) {
	if all, ok := opener.(contentsOpener); ok && r.Tag == "" && r.Digest == "" {
		switch r.Kind {
		case reference.Layout, reference.Archive, reference.File, reference.Stdio:
			return all.openContents(ctx, r)
		case reference.DockerArchive:
			if r.Name == nil {
				return all.openContents(ctx, r)
			}
		}
	}
	opened, err := opener.Open(ctx, r)
	if err != nil {
		return Contents{}, err
	}
	item := Named{Artifact: opened.Artifact}
	item.call(r.Tag)
	if tag, ok := r.Name.(name.Tag); ok {
		item.Names, item.Label = []name.Tag{tag}, ""
	}
	return Contents{Items: []Named{item}, Close: opened.Done}, nil
}

// call adds a name, or remembers a plain tag.
func (n *Named) call(s string) {
	if s == "" {
		return
	}
	ref, err := reference.ParseName(s)
	tag, ok := ref.(name.Tag)
	if err != nil || !ok || !strings.ContainsAny(s, ":/") {
		n.Label = s
		return
	}
	for _, have := range n.Names {
		if have.Name() == tag.Name() {
			return
		}
	}
	n.Names = append(n.Names, tag)
}

func (d *dispatcher) openContents(ctx context.Context, r reference.Ref) (Contents, error) {
	if exists, isDir := Stat(r.Path); isDir || !exists && r.Kind == reference.Layout {
		l, err := ocilayout.OpenContext(ctx, r.Path)
		if err != nil {
			return Contents{}, err
		}
		return layoutContents(l)
	}
	t, err := d.tar(ctx, r)
	if err != nil {
		return Contents{}, err
	}
	switch layout, archive := t.Has("index.json"), t.Has("manifest.json"); {
	case layout && (t.Has("oci-layout") || !archive):
		l, err := ocilayout.FromTar(r.Given, t)
		if err != nil {
			return Contents{}, err
		}
		return layoutContents(l)
	case archive:
		return d.archiveContents(ctx, r, t)
	}
	return Contents{}, errors.Join(neither(r), t.Close())
}

// layoutContents are the entries of an index.json that have a name or that no
// other leads to, or index.json itself where it is an index.
func layoutContents(l *ocilayout.Layout) (Contents, error) {
	out := Contents{Close: l.Close}
	if self, ok := l.Self(); ok {
		out.Items = []Named{{Artifact: self}}
		return out, nil
	}
	roots := map[v1.Hash]bool{}
	for _, d := range l.Roots() {
		roots[d.Digest] = true
	}
	at := map[v1.Hash]int{}
	for _, d := range l.Descriptors() {
		called := d.Annotations[ocilayout.ImageNameAnnotation]
		if called == "" {
			called = d.Annotations[ocilayout.RefNameAnnotation]
		}
		if called == "" && !roots[d.Digest] {
			continue
		}
		n, ok := at[d.Digest]
		if !ok {
			a, err := l.Artifact(d)
			if err != nil {
				return Contents{}, errors.Join(err, l.Close())
			}
			n = len(out.Items)
			at[d.Digest] = n
			out.Items = append(out.Items, Named{Artifact: a})
		}
		out.Items[n].call(called)
	}
	return out, nil
}

// archiveContents are the images of a docker archive.
func (d *dispatcher) archiveContents(ctx context.Context, r reference.Ref, t *tarfile.File) (Contents, error) {
	sp := &spool{}
	out := Contents{Close: func() error {
		sp.remove()
		return t.Close()
	}}
	images, err := savedImages(r, t)
	if err != nil {
		return Contents{}, errors.Join(err, out.Close())
	}
	for _, saved := range images {
		img, err := d.savedImage(ctx, r, t, saved, sp)
		if err != nil {
			return Contents{}, errors.Join(err, out.Close())
		}
		item := Named{Artifact: img}
		for _, tag := range saved.RepoTags {
			item.call(tag)
		}
		out.Items = append(out.Items, item)
	}
	return out, nil
}

// Find opens the manifest with the digest h out of what r names: of the same
// repository or layout, whatever r's tag points at, or of the artifact itself
// where the medium has no digests. fault.NotFound where there is none.
func Find(ctx context.Context, opener Opener, r reference.Ref, h v1.Hash) (Opened, error) {
	switch r.Kind {
	case reference.Registry, reference.Layout, reference.Archive:
		return opener.Open(ctx, r.WithDigest(h.String()))
	}
	opened, err := opener.Open(ctx, r)
	if err != nil {
		return Opened{}, err
	}
	a, err := within(ctx, opened.Artifact, h, 0)
	if err == nil && a == nil {
		err = fault.New(fault.NotFound, "looking for '%s' in '%s': it is not there", h, r)
	}
	if err != nil {
		return Opened{}, errors.Join(err, opened.Done())
	}
	opened.Artifact = a
	return opened, nil
}

// deepest bounds indexes within indexes; real ones have one or two levels.
const deepest = 16

// within looks for h at and below a; nil where it is not there.
func within(ctx context.Context, a manifest.Artifact, h v1.Hash, depth int) (manifest.Artifact, error) {
	have, err := a.Digest()
	idx, ok := a.(v1.ImageIndex)
	switch {
	case err != nil:
		return nil, err
	case have == h:
		return a, nil
	case !ok:
		return nil, context.Cause(ctx)
	case depth > deepest:
		return nil, fmt.Errorf("looking for '%s': the index lies too deep in other indexes", h)
	}
	m, err := idx.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, d := range m.Manifests {
		if d.Digest == h && !d.MediaType.IsIndex() {
			return idx.Image(h)
		}
		if !d.MediaType.IsIndex() {
			continue
		}
		nested, err := idx.ImageIndex(d.Digest)
		if err != nil {
			return nil, err
		}
		if a, err := within(ctx, nested, h, depth+1); a != nil || err != nil {
			return a, err
		}
	}
	return nil, nil
}
