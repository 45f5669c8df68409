package manifest

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// deepest bounds indexes within indexes; real ones have one or two levels.
const deepest = 16

// PickOptions say what Pick makes of what it found.
type PickOptions struct {
	// AsIndex keeps an index round a single image, and puts one round an artifact
	// that is an image.
	AsIndex bool
	// Origins let entries be chosen by the references they were added from.
	Origins Origins
}

// Pick is the part of an artifact that is wanted: the image (or nested index)
// itself where a single value names it, else an index of what was chosen, which
// keeps its bytes where that is all of it. Indexes within an index are looked
// through for platforms; images chosen there become entries of the result.
// Asking for nothing gives a itself. Errors: as Choose; an image that is not
// what is wanted is a fault.NotFound that names its platform.
func Pick(a Artifact, w Wanted, o PickOptions) (Artifact, error) {
	if img, ok := a.(v1.Image); ok {
		return pickImage(img, w, o)
	}
	idx, ok := a.(v1.ImageIndex)
	if !ok {
		return nil, fmt.Errorf("choosing platforms: %T is neither an image nor an index", a)
	}
	if w.IsZero() || w.IsAll() {
		return a, nil
	}
	top, children, err := levels(idx)
	if err != nil {
		return nil, err
	}
	chosen, one, err := top.Choose(w, o.Origins)
	if err != nil {
		return nil, err
	}
	if one != nil && !o.AsIndex {
		return children.Child(one.Descriptor.Digest)
	}
	return Bind(chosen, children)
}

// pickImage is an image that has to be all that is wanted.
func pickImage(img v1.Image, w Wanted, o PickOptions) (Artifact, error) {
	if w.IsZero() && !o.AsIndex {
		return img, nil
	}
	around, err := Around(img)
	if err != nil {
		return nil, err
	}
	chosen, _, err := around.Choose(w, o.Origins)
	if err != nil || !o.AsIndex {
		return img, err
	}
	return Bind(chosen, owners{around.entries[0].Descriptor.Digest: func() (Artifact, error) { return img, nil }})
}

// Around is an OCI index whose only entry is the image, with the platform that
// its config declares.
func Around(img v1.Image) (Index, error) {
	var d v1.Descriptor
	var err error
	if d.MediaType, err = img.MediaType(); err != nil {
		return Index{}, err
	}
	if d.Size, err = img.Size(); err != nil {
		return Index{}, err
	}
	if d.Digest, err = img.Digest(); err != nil {
		return Index{}, err
	}
	m, err := img.Manifest()
	if err != nil {
		return Index{}, err
	}
	if m.Config.MediaType.IsConfig() {
		config, err := img.ConfigFile()
		if err != nil {
			return Index{}, fmt.Errorf("reading the config of image '%s': %w", d.Digest, err)
		}
		if p := platform.FromConfig(config); p.OS != "" && p.Arch != "" {
			d.Platform = p.V1()
		}
	}
	return New(types.OCIImageIndex).Add(d)
}

// owners open entries, each from the index that holds it.
type owners map[v1.Hash]func() (Artifact, error)

// Child implements Children.
func (o owners) Child(h v1.Hash) (Artifact, error) {
	open, ok := o[h]
	if !ok {
		return nil, fault.New(fault.NotFound, "opening '%s': the index has no such entry", h)
	}
	return open()
}

// levels is idx with the entries of the indexes within it behind those indexes'
// own entries, and how to open them all.
func levels(idx v1.ImageIndex) (Index, owners, error) {
	raw, err := idx.RawManifest()
	if err != nil {
		return Index{}, nil, err
	}
	top, err := Parse(raw)
	if err != nil {
		return Index{}, nil, err
	}
	children := owners{}
	known := map[v1.Hash]bool{}
	for _, s := range top.entries {
		known[s.Descriptor.Digest] = true
	}
	slots, err := top.level(idx, children, known, 0)
	if err != nil || len(slots) == len(top.entries) {
		return top, children, err
	}
	return top.edited(slots), children, nil
}

// level is i's entries, each index among them followed by what is in it and not
// known yet.
func (i Index) level(idx v1.ImageIndex, children owners, known map[v1.Hash]bool, depth int) ([]slot, error) {
	if depth > deepest {
		return nil, fault.New(fault.Failed, "choosing platforms: the index lies too deep in other indexes")
	}
	var out []slot
	for _, s := range i.entries {
		h := s.Descriptor.Digest
		if depth > 0 && known[h] {
			continue
		}
		known[h] = true
		out = append(out, s)
		if !s.IsIndex {
			children[h] = func() (Artifact, error) { return idx.Image(h) }
			continue
		}
		children[h] = func() (Artifact, error) { return idx.ImageIndex(h) }
		if s.HasPlatform() {
			continue // it says itself what it is for
		}
		nested, err := idx.ImageIndex(h)
		if err != nil {
			return nil, err
		}
		raw, err := nested.RawManifest()
		if err != nil {
			return nil, err
		}
		inner, err := Parse(raw)
		if err != nil {
			return nil, err
		}
		more, err := inner.level(nested, children, known, depth+1)
		if err != nil {
			return nil, err
		}
		for _, m := range more {
			out = append(out, slot{lead: s.lead, trail: s.trail, Entry: m.Entry})
		}
	}
	return out, nil
}
