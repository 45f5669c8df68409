package source

import (
	"context"
	"errors"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
)

// opens is how many children are opened at once; a registry client has a limit
// of its own below it.
const opens = 8

// attestationOf is the annotation with which BuildKit ties an attestation to
// the image that it describes.
const attestationOf = "vnd.docker.reference.digest"

// PlatformImage is one image of an artifact and what it runs on.
type PlatformImage struct {
	// Platform is what the index's entry says, else the image's config;
	// normalised, and zero where neither says anything.
	Platform platform.Platform
	// Descriptor is the index's entry; for a plain image media type, size and
	// digest only.
	Descriptor v1.Descriptor
	Image      v1.Image
}

// Images gives the images of o in the index's order, those of nested indexes
// in their place. Attestations, and artifacts that are no images, are left
// out. A plain image is the only one. A child that is not there is an error
// (fault.NotFound), except within what an engine saved: engines keep indexes
// of which they have some children only.
func Images(ctx context.Context, o Opened) ([]PlatformImage, error) {
	all, err := children(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("reading '%s': %w", o.Ref, err)
	}
	all, err = load(ctx, o, all, func(child) bool { return true })
	return images(all), err
}

// Listing is what Images gives, before it is opened.
type Listing struct {
	opened Opened
	all    []child
}

// List finds the images of o as Images does. It opens only those whose entries
// do not say a platform, and what an engine saved, which is at hand already.
func List(ctx context.Context, o Opened) (Listing, error) {
	all, err := children(ctx, o)
	if err != nil {
		return Listing{}, fmt.Errorf("reading '%s': %w", o.Ref, err)
	}
	all, err = load(ctx, o, all, func(c child) bool { return c.Platform.IsZero() || o.Ref.Kind == reference.Daemon })
	return Listing{opened: o, all: all}, err
}

// Platforms are those of the images, in the index's order.
func (l Listing) Platforms() []platform.Platform {
	out := make([]platform.Platform, len(l.all))
	for i, c := range l.all {
		out[i] = c.Platform
	}
	return out
}

// Open opens the images at the given positions of Platforms. One that is not
// there is a fault.NotFound.
func (l Listing) Open(ctx context.Context, at ...int) ([]PlatformImage, error) {
	chosen := make([]child, len(at))
	for i, n := range at {
		chosen[i] = l.all[n]
	}
	chosen, err := load(ctx, l.opened, chosen, func(child) bool { return true })
	return images(chosen), err
}

// child is an image that may not be opened yet.
type child struct {
	PlatformImage
	open func() (v1.Image, error)
}

func images(cs []child) []PlatformImage {
	var out []PlatformImage
	for _, c := range cs {
		out = append(out, c.PlatformImage)
	}
	return out
}

// load gives cs with the images opened that which asks for, a bounded number at
// once. Of those it leaves out what is no image, and what an engine did not save.
func load(ctx context.Context, o Opened, cs []child, which func(child) bool) ([]child, error) {
	errs := make([]error, len(cs))
	asked := make([]bool, len(cs))
	var group errgroup.Group
	group.SetLimit(opens)
	for i := range cs {
		if asked[i] = which(cs[i]); !asked[i] {
			continue
		}
		group.Go(func() error {
			if errs[i] = context.Cause(ctx); errs[i] == nil {
				errs[i] = cs[i].load()
			}
			return nil
		})
	}
	_ = group.Wait()
	var out []child
	for i, c := range cs {
		if o.Ref.Kind == reference.Daemon && fault.Is(errs[i], fault.NotFound) {
			errs[i] = nil
			continue
		}
		if c.Image != nil || !asked[i] {
			out = append(out, c)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("reading '%s': %w", o.Ref, err)
	}
	return out, nil
}

// load opens the image and, where the entry does not say, asks its config for
// the platform. What turns out to be no image stays without one.
func (c *child) load() error {
	if c.Image != nil {
		return nil
	}
	img, err := c.open()
	if err != nil {
		return err
	}
	if c.Platform.IsZero() {
		m, err := img.Manifest()
		if err != nil {
			return err
		}
		if !m.Config.MediaType.IsConfig() {
			return nil
		}
		if c.Platform, err = configPlatform(img); err != nil {
			return err
		}
	}
	c.Image = img
	return nil
}

func configPlatform(img v1.Image) (platform.Platform, error) {
	cf, err := img.ConfigFile()
	if err != nil {
		return platform.Platform{}, err
	}
	p := platform.FromConfig(cf)
	if p.Arch == "" {
		// Not normalised: an image that does not say is not to become one that does.
		return p, nil
	}
	return p.Normalize(), nil
}

func children(ctx context.Context, o Opened) ([]child, error) {
	switch a := o.Artifact.(type) {
	case v1.Image:
		p, err := configPlatform(a)
		if err != nil {
			return nil, err
		}
		d, err := describe(a)
		if err != nil {
			return nil, err
		}
		return []child{{PlatformImage: PlatformImage{Platform: p, Descriptor: d, Image: a}}}, nil
	case v1.ImageIndex:
		h, err := a.Digest()
		if err != nil {
			return nil, err
		}
		return flatten(ctx, a, platform.Platform{}, map[v1.Hash]bool{h: true})
	default:
		return nil, fmt.Errorf("%T is neither an image nor an index", o.Artifact)
	}
}

func describe(a manifest.Artifact) (v1.Descriptor, error) {
	mt, err1 := a.MediaType()
	size, err2 := a.Size()
	h, err3 := a.Digest()
	return v1.Descriptor{MediaType: mt, Size: size, Digest: h}, errors.Join(err1, err2, err3)
}

// flatten lists the images below idx; inherited is what the entry of idx says,
// and above are the indexes on the way to it, none of which can be below.
func flatten(ctx context.Context, idx v1.ImageIndex, inherited platform.Platform, above map[v1.Hash]bool) ([]child, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	m, err := idx.IndexManifest()
	if err != nil {
		return nil, err
	}
	var out []child
	for _, d := range m.Manifests {
		p := inherited
		if d.Platform != nil {
			p = platform.FromV1(d.Platform).Normalize()
		}
		switch {
		case p.OS == "unknown" || d.Annotations[attestationOf] != "":
		case d.MediaType.IsIndex() && !above[d.Digest]:
			nested, err := idx.ImageIndex(d.Digest)
			if err != nil {
				return nil, err
			}
			above[d.Digest] = true
			more, err := flatten(ctx, nested, p, above)
			if err != nil {
				return nil, err
			}
			delete(above, d.Digest)
			out = append(out, more...)
		case d.MediaType.IsImage():
			out = append(out, child{
				PlatformImage: PlatformImage{Platform: p, Descriptor: d},
				open:          func() (v1.Image, error) { return idx.Image(d.Digest) },
			})
		}
	}
	return out, nil
}

// OpenFor opens the image of ref for the platform p. In an index the entry for
// exactly p comes first, then one that says more than was asked for (any
// os.version where p names none), then one that says nothing of an os.version.
// A plain image must be for p; one without an architecture is taken for every
// platform, and the result's Platform says so. The result's Artifact is a
// v1.Image. No such image is a fault.NotFound that lists the platforms found.
func OpenFor(ctx context.Context, opener Opener, ref reference.Ref, p platform.Platform) (Opened, error) {
	var o Opened
	var err error
	if po, ok := opener.(platformOpener); ok {
		o, err = po.openPlatform(ctx, ref, p)
	} else {
		o, err = opener.Open(ctx, ref)
	}
	if err != nil {
		return Opened{}, err
	}
	img, err := pick(ctx, o, p)
	if err != nil {
		return Opened{}, errors.Join(err, o.Done())
	}
	o.Artifact, o.Platform = img.Image, img.Platform
	return o, nil
}

func pick(ctx context.Context, o Opened, want platform.Platform) (PlatformImage, error) {
	list, err := List(ctx, o)
	if err != nil {
		return PlatformImage{}, err
	}
	if len(list.all) == 1 && list.all[0].Image != nil && list.all[0].Platform.Arch == "" {
		return list.all[0].PlatformImage, nil
	}
	best := bestFor(list.all, want)
	if best < 0 {
		return PlatformImage{}, missing(o, list.all, want)
	}
	found, err := list.Open(ctx, best)
	if err != nil {
		return PlatformImage{}, err
	}
	return found[0], nil
}

// bestFor is the index of the image for want; -1 where there is none.
func bestFor(all []child, want platform.Platform) int {
	want = want.Normalize()
	fits := []func(platform.Platform) bool{
		func(p platform.Platform) bool { return p == want },
		func(p platform.Platform) bool { return p.Match(want) },
		func(p platform.Platform) bool {
			plain := want
			plain.OSVersion, plain.Features = "", ""
			return p.OSVersion == "" && p.Match(plain)
		},
	}
	for _, fit := range fits {
		for i, c := range all {
			if fit(c.Platform) {
				return i
			}
		}
	}
	return -1
}

func missing(o Opened, all []child, want platform.Platform) error {
	var found []string
	for _, c := range all {
		if !c.Platform.IsZero() {
			found = append(found, c.Platform.String())
		}
	}
	if len(found) == 0 {
		found = []string{"no platform"}
	}
	return fault.New(fault.NotFound, "looking up platform '%s' in '%s': it has %s", want, o.Ref, strings.Join(found, ", "))
}
