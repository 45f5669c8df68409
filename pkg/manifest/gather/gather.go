// Package gather turns sources of every kind into the entries that a manifest
// list gets from them, and copies into the store what has to be kept of them.
package gather

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/source"
)

// opens is how many manifests are opened at once; a registry client has a
// limit of its own below it.
const opens = 8

// Options say which entries sources become.
type Options struct {
	// Nested keeps an index as one entry that points at it; otherwise all its
	// entries, and those of indexes within it, stand in its place.
	Nested bool
	// NoAttestations leaves BuildKit's attestations out.
	NoAttestations bool
	// Platforms are required. Each has to be in one source at least, and each
	// source has to have one of them. Attestations go with their images.
	Platforms platform.List
}

// Item is one entry to add and what is behind it.
type Item struct {
	// Source is the position of the source that it comes from.
	Source int
	// Entry is as it shall stand: with the bytes that it has in the source's
	// index; where nothing says a platform, with that of the image's config.
	Entry manifest.Entry
	// Artifact is a v1.Image or a v1.ImageIndex.
	Artifact manifest.Artifact
	// Declared is the platform of the image's own config, not normalised; zero
	// for indexes, attestations and what is no image.
	Declared platform.Platform
	// Deep is set where the source can vanish, so that the layers are needed too.
	Deep bool
	// Origins are the references by which a list remembers where the entry came
	// from.
	Origins []string
}

// Contradicts reports whether the entry says another platform than the image's
// own config.
func (i Item) Contradicts() bool { return i.Entry.Platform.Contradicts(i.Declared) }

// LacksPlatform reports whether the item is an image of which nobody says what
// it runs on.
func (i Item) LacksPlatform() bool {
	img, ok := i.Artifact.(v1.Image)
	if !ok || i.Entry.IsAttestation || !i.Entry.Platform.IsZero() {
		return false
	}
	m, err := img.Manifest()
	return err == nil && m.Config.MediaType.IsConfig()
}

// Items gives the entries of all sources, in the order of the sources and of
// their indexes. Errors: fault.NotFound for a platform that is required and not
// there, and for a child that a source does not hold; of what an engine saved
// such children are left out, as engines keep indexes without some of them.
func Items(ctx context.Context, sources []source.Opened, o Options) ([]Item, error) {
	var all []*candidate
	for n, src := range sources {
		found, err := o.candidates(n, src)
		if err != nil {
			return nil, fmt.Errorf("reading '%s': %w", src.Ref, err)
		}
		all = append(all, found...)
	}
	if !o.Platforms.All && !o.Platforms.IsZero() {
		var silent []*candidate
		for _, c := range all {
			if c.Entry.Platform.IsZero() && !c.Entry.IsIndex {
				silent = append(silent, c)
			}
		}
		if err := resolve(ctx, sources, silent); err != nil {
			return nil, err
		}
		var err error
		if all, err = o.choose(sources, all); err != nil {
			return nil, err
		}
	}
	if err := resolve(ctx, sources, all); err != nil {
		return nil, err
	}
	return o.items(sources, all)
}

// items are the candidates that are there.
func (o Options) items(sources []source.Opened, all []*candidate) ([]Item, error) {
	absent := map[v1.Hash]bool{}
	there, gone := make([]bool, len(sources)), make([]bool, len(sources))
	for _, c := range all {
		src := sources[c.Source]
		switch {
		case c.absent == nil:
			there[c.Source] = true
		case src.Ref.Kind != reference.Daemon || !o.Platforms.IsZero():
			return nil, fault.Hint(fmt.Errorf("reading '%s': %w", src.Ref, c.absent), "choose what is there with --platform")
		default:
			gone[c.Source] = true
			absent[c.Entry.Descriptor.Digest] = true
		}
	}
	var out []Item
	for _, c := range all {
		if c.absent == nil && !(c.Entry.IsAttestation && absent[c.Entry.AttestationOf]) {
			out = append(out, c.Item)
		}
	}
	for n, src := range sources {
		if gone[n] && !there[n] {
			return nil, fault.New(fault.NotFound, "reading '%s': the engine holds none of its images", src.Ref)
		}
	}
	return out, nil
}

// resolve opens candidates that are not open yet, a bounded number at once.
func resolve(ctx context.Context, sources []source.Opened, cs []*candidate) error {
	errs := make([]error, len(cs))
	var group errgroup.Group
	group.SetLimit(opens)
	for i, c := range cs {
		if c.Artifact != nil || c.absent != nil {
			continue
		}
		group.Go(func() error {
			if errs[i] = context.Cause(ctx); errs[i] != nil {
				return nil
			}
			if err := c.resolve(); err != nil {
				errs[i] = fmt.Errorf("reading '%s': %w", sources[c.Source].Ref, err)
			}
			return nil
		})
	}
	_ = group.Wait()
	return errors.Join(errs...)
}

// resolve opens the manifest, and reads the config of an image.
func (c *candidate) resolve() error {
	a, err := c.open()
	if fault.Is(err, fault.NotFound) {
		c.absent = err
		return nil
	}
	if err != nil {
		return err
	}
	c.Artifact = a
	if c.Entry.IsAttestation {
		return nil
	}
	if c.Declared, err = Declared(a); err != nil {
		return err
	}
	if !c.Entry.Platform.IsZero() {
		return nil
	}
	if p := c.Declared; p.OS != "" && p.Arch != "" {
		c.Entry, err = c.Entry.Edit(func(d v1.Descriptor) v1.Descriptor {
			d.Platform = p.V1()
			return d
		})
	}
	return err
}

// Declared is the platform of an image's config, as it is spelled there; zero
// for an index and for what is no image.
func Declared(a manifest.Artifact) (platform.Platform, error) {
	img, ok := a.(v1.Image)
	if !ok {
		return platform.Platform{}, nil
	}
	m, err := img.Manifest()
	if err != nil {
		return platform.Platform{}, err
	}
	if !m.Config.MediaType.IsConfig() {
		return platform.Platform{}, nil
	}
	config, err := img.ConfigFile()
	if err != nil {
		return platform.Platform{}, fmt.Errorf("reading the config of '%s': %w", m.Config.Digest, err)
	}
	return platform.FromConfig(config), nil
}
