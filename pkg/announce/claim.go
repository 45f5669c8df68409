package announce

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
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
	entry       manifest.Entry
	attached    []manifest.Entry
	annotations []manifest.Annotation
	// held is set where the index had it already, so that the tag was not read.
	held bool
	// ignored says why the tag does not count as an announcement, "" where it does.
	ignored string
	// other is set where the tag plainly belongs to something else, so that
	// writing an announcement over it would destroy somebody's tag.
	other bool
	// distro is set where the tag is just another name of its image, with the
	// distribution in it: what --append-image-name-suffix makes.
	distro bool
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
	i, err := manifest.Parse(m.Raw)
	if err != nil {
		c.ignored = "its index cannot be read"
		return c
	}
	for _, e := range i.Entries() {
		switch {
		case !e.HasPlatform():
			c.attached = append(c.attached, e)
		case c.entry.Raw != nil:
			c.ignored, c.other = "it holds an index of several platforms", true
			return c
		default:
			c.entry = e
		}
	}
	if c.entry.Raw == nil {
		c.ignored, c.other = "it holds an index without platforms", true
		return c
	}
	for _, e := range c.attached {
		if !e.IsAttestation || e.AttestationOf != c.entry.Descriptor.Digest {
			c.ignored, c.other = "it holds an index of more than one image", true
			return c
		}
	}
	for key, value := range i.Annotations() {
		c.annotations = append(c.annotations, manifest.Annotation{Key: key, Value: value})
	}
	c.annotations = setAnnotations(c.annotations)
	return c.agree(tag)
}

// agree ignores the claim unless its entry's platform makes exactly the tag's name.
func (c claim) agree(tag string) claim {
	p := c.entry.Platform
	if name, err := Tag(tag, p); err != nil || name != c.tag {
		c.ignored, c.other, c.distro = fmt.Sprintf("it holds %s", p), true, namesDistro(c.platform, p)
		return c
	}
	c.platform = p
	return c
}

// namesDistro reports whether a tag that spells a platform as named was made for p
// with the name of the distribution before its version (linux-amd64-ubuntu-24.04).
func namesDistro(named, p platform.Platform) bool {
	version := named.OSVersion
	named.OSVersion = p.OSVersion
	return p.OSVersion != "" && strings.HasSuffix(version, "-"+p.OSVersion) && named.Suffix() == p.Suffix()
}

// heldBy reports whether i has what the claim says, the index-level
// annotations apart.
func (c claim) heldBy(i manifest.Index) bool {
	entries := i.Entries()
	if c.withdrawn {
		return !slices.ContainsFunc(entries, c.withdraws)
	}
	found := false
	for _, e := range entries {
		if !e.HasPlatform() || e.Platform != c.platform {
			continue
		}
		found = true
		if c.image && e.Descriptor.Digest != c.entry.Descriptor.Digest || !c.image && !sameJSON(e.Raw, c.entry.Raw) {
			return false
		}
	}
	for _, a := range c.attached {
		found = found && slices.ContainsFunc(entries, func(e manifest.Entry) bool { return e.Descriptor.Digest == a.Descriptor.Digest })
	}
	return found
}

// withdraws compares by the tag's spelling, which is all that a marker has.
func (c claim) withdraws(e manifest.Entry) bool {
	return e.HasPlatform() && e.Platform.Suffix() == c.platform.Suffix()
}

// ownClaim is the claim that an addition makes where nothing is announced.
func ownClaim(b bring) claim {
	return claim{tag: b.tag, platform: b.platform, entry: b.entry, attached: b.attached, digest: b.body.Digest}
}

// announcedClaim is the claim that an addition's announcement makes: what
// understand would find under the tag.
func announcedClaim(b bring, set []manifest.Annotation) claim {
	c := ownClaim(b)
	c.image = b.body.MediaType.IsImage()
	if !c.image {
		c.annotations = set
	}
	return c
}
