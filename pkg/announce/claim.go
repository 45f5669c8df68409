package announce

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// claim is what an announcement tag says once it was understood: "this entry
// for this platform", or "not this platform".
type claim struct {
	tag      string
	digest   v1.Hash           // of what the tag holds
	platform platform.Platform // normalised; of a withdrawal, as the tag spells it
	// withdrawn marks "not this platform".
	withdrawn bool
	// image is set where the tag holds the image itself: then any entry of that digest fulfils the claim.
	image       bool
	entry       entry
	attached    []entry
	annotations object
	// held is set where the index had it already, so that the tag was not read.
	held bool
	// ignored says why the tag does not count as an announcement, "" where it does.
	ignored string
	// other is set where the tag plainly belongs to something else, so that
	// writing an announcement over it would destroy somebody's tag.
	other bool
}

// understand decides strictly whether m, found under the tag name, announces a
// platform for tag: only where the name, what m says and (for an image) its
// config agree. An error is one of the registry; what m holds never is one.
func understand(ctx context.Context, reg Registry, tag, name string, m Manifest) (claim, error) {
	p, ok := candidate(tag, name)
	c := claim{tag: name, digest: m.Digest, platform: p}
	if !ok {
		c.ignored, c.other = "its name ends in no platform", true
		return c, nil
	}
	switch {
	case m.MediaType.IsIndex():
		return understandIndex(c, tag, m), nil
	case m.MediaType.IsImage():
		return understandImage(ctx, reg, c, tag, m)
	}
	c.ignored, c.other = fmt.Sprintf("it holds '%s', neither image nor index", m.MediaType), true
	return c, nil
}

func understandImage(ctx context.Context, reg Registry, c claim, tag string, m Manifest) (claim, error) {
	switch kind := artifactType(m.Raw); kind {
	case WithdrawnType:
		c.withdrawn = true
		return c, nil
	case "":
	default:
		c.ignored, c.other = fmt.Sprintf("it holds an artifact of type '%s'", kind), true
		return c, nil
	}
	config, err := readConfig(ctx, reg, m)
	if fault.Is(err, fault.NotFound) {
		c.ignored = "its image lacks the config"
		return c, nil
	}
	if err != nil {
		return claim{}, err
	}
	e, ok, err := imageEntry(m, config)
	if err != nil {
		c.ignored = "its config cannot be read"
		return c, nil
	}
	if !ok {
		c.ignored = "its image's config names no platform"
		return c, nil
	}
	c.image, c.entry = true, e
	return c.agree(tag), nil
}

func understandIndex(c claim, tag string, m Manifest) claim {
	d, err := parseDocument(m.Raw)
	if err != nil {
		c.ignored = "its index cannot be read"
		return c
	}
	for _, e := range d.entries {
		if _, ok := e.platform(); !ok {
			c.attached = append(c.attached, e)
			continue
		}
		if c.entry.raw != nil {
			c.ignored, c.other = "it holds an index of several platforms", true
			return c
		}
		c.entry = e
	}
	if c.entry.raw == nil {
		c.ignored, c.other = "it holds an index without platforms", len(d.entries) > 0
		return c
	}
	for _, e := range c.attached {
		if !e.describes(c.entry.desc.Digest) {
			c.ignored, c.other = "it holds an index of more than one image", true
			return c
		}
	}
	c.annotations = d.annotations
	return c.agree(tag)
}

// agree ignores the claim unless its entry's platform makes exactly the tag's name.
func (c claim) agree(tag string) claim {
	p, _ := c.entry.platform()
	if name, err := Tag(tag, p); err != nil || name != c.tag {
		c.ignored, c.other = fmt.Sprintf("it holds %s", p), true
		return c
	}
	c.platform = p
	return c
}

// heldBy reports whether d has what the claim says, the index-level
// annotations apart.
func (c claim) heldBy(d document) bool {
	if c.withdrawn {
		for _, e := range d.entries {
			if c.withdraws(e) {
				return false
			}
		}
		return true
	}
	found := 0
	for _, e := range d.entries {
		if p, ok := e.platform(); !ok || p != c.platform {
			continue
		}
		found++
		if c.image && e.desc.Digest != c.entry.desc.Digest || !c.image && !e.says(c.entry.raw) {
			return false
		}
	}
	return found == 1 && len(missingEntries(d.entries, c.attached)) == 0
}

// withdraws compares by the tag's spelling, which is all that a marker has.
func (c claim) withdraws(e entry) bool {
	p, ok := e.platform()
	return ok && p.Suffix() == c.platform.Suffix()
}

// ownClaim is the claim that an addition makes where nothing is announced.
func ownClaim(b bring) claim {
	return claim{tag: b.tag, platform: b.platform, entry: b.entry, attached: b.attached, digest: b.body.Digest}
}

// announcedClaim is the claim that an addition's announcement makes; it is
// what understand would find under the tag.
func announcedClaim(b bring, set []annotation) claim {
	c := ownClaim(b)
	c.image = b.body.MediaType.IsImage()
	if !c.image {
		d := newDocument(types.OCIImageIndex)
		for _, a := range set {
			d = d.withAnnotation(a.Key, a.Value)
		}
		c.annotations = d.annotations
	}
	return c
}
