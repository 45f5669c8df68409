package gather

import (
	"errors"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/local"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/source"
)

// deepest bounds indexes within indexes; real ones have one or two levels.
const deepest = 16

// candidate is an entry that may be added; it need not be open yet.
type candidate struct {
	Item
	open func() (manifest.Artifact, error)
	// absent is why the source does not hold it.
	absent error
}

// candidates are the entries of one source.
func (o Options) candidates(n int, src source.Opened) ([]*candidate, error) {
	l := lister{options: o, source: n, opened: src}
	l.list, _ = src.Artifact.(*local.Index)
	idx, ok := src.Artifact.(v1.ImageIndex)
	if ok && !o.Nested {
		err := l.flatten(idx, nil, nil, 0)
		return l.out, err
	}
	e, err := EntryOf(src.Artifact)
	if err != nil {
		return nil, err
	}
	l.add(e, nil, func() (manifest.Artifact, error) { return src.Artifact, nil })
	return l.out, nil
}

// lister lists the entries of one source.
type lister struct {
	options Options
	source  int
	opened  source.Opened
	list    *local.Index // of the local store, else nil
	out     []*candidate
}

// flatten lists the entries of idx; inherited is the platform that is said of
// idx itself, and top the entry of the source's index that it is below.
func (l *lister) flatten(idx v1.ImageIndex, inherited *v1.Platform, top *v1.Hash, depth int) error {
	if depth > deepest {
		return errors.New("the index lies too deep in other indexes")
	}
	raw, err := idx.RawManifest()
	if err != nil {
		return err
	}
	parsed, err := manifest.Parse(raw)
	if err != nil {
		return err
	}
	for _, e := range parsed.Entries() {
		h, above := e.Descriptor.Digest, top
		if above == nil {
			above = &h
		}
		switch {
		case e.IsAttestation && l.options.NoAttestations:
		case e.IsIndex:
			nested, err := idx.ImageIndex(h)
			if err != nil {
				return err
			}
			said := e.Descriptor.Platform
			if said == nil {
				said = inherited
			}
			if err := l.flatten(nested, said, above, depth+1); err != nil {
				return err
			}
		default:
			if e.Descriptor.Platform == nil && inherited != nil {
				if e, err = e.Edit(func(d v1.Descriptor) v1.Descriptor { d.Platform = inherited.DeepCopy(); return d }); err != nil {
					return err
				}
			}
			l.add(e, above, func() (manifest.Artifact, error) { return idx.Image(h) })
		}
	}
	return nil
}

// add is one more entry; above is the entry of the source's index that it is,
// or is below, nil for the source itself.
func (l *lister) add(e manifest.Entry, above *v1.Hash, open func() (manifest.Artifact, error)) {
	item := Item{Source: l.source, Entry: e, Deep: l.opened.Volatile}
	if l.opened.Ref.Kind != reference.Stdio {
		item.Origins = []string{local.Origin(l.opened.Ref)}
	}
	if l.list != nil {
		item.Deep, item.Origins = l.inherited(e, above, item.Origins)
	}
	l.out = append(l.out, &candidate{Item: item, open: open})
}

// inherited is what another list of the store knows about an entry: whether
// that list holds what no registry does, and where the entry came from.
func (l *lister) inherited(e manifest.Entry, above *v1.Hash, origins []string) (deep bool, all []string) {
	list := l.list.List
	tops := []v1.Hash{e.Descriptor.Digest}
	if above != nil {
		tops[0] = *above
		deep = list.IsComplete(e.Descriptor.Digest)
	} else { // the list itself, nested
		tops = tops[:0]
		for _, child := range list.Index.Entries() {
			tops = append(tops, child.Descriptor.Digest)
		}
	}
	for _, h := range tops {
		deep = deep || len(local.Repositories(list, h)) == 0
		origins = append(list.Origins(h), origins...)
	}
	for _, o := range origins {
		if !slices.Contains(all, o) {
			all = append(all, o)
		}
	}
	return deep, all
}

// EntryOf is the entry for an artifact as it is, without a platform.
func EntryOf(a manifest.Artifact) (manifest.Entry, error) {
	var d v1.Descriptor
	var err error
	if d.MediaType, err = a.MediaType(); err != nil {
		return manifest.Entry{}, err
	}
	if d.Size, err = a.Size(); err != nil {
		return manifest.Entry{}, err
	}
	if d.Digest, err = a.Digest(); err != nil {
		return manifest.Entry{}, err
	}
	if !d.MediaType.IsImage() && !d.MediaType.IsIndex() {
		return manifest.Entry{}, fault.New(fault.Usage, "its media type '%s' is that of neither an image nor an index", d.MediaType)
	}
	return manifest.NewEntry(d)
}
