package commands

import (
	"context"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/announce"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
)

// afresh is a package that is published without regard to what its tags held
// before.
type afresh struct {
	*packaging
	target publish.Target
	images []buildpack.PlatformImage
}

// start brings the announcements of earlier appends in line with what the tags
// are about to hold; in a dry run it only says what it would do.
func (a afresh) start(ctx context.Context) error {
	if a.target.Ref.Kind != reference.Registry {
		return nil
	}
	add, err := a.announceable()
	if err != nil {
		return err
	}
	for _, ref := range append([]reference.Ref{a.target.Ref}, a.target.Tags...) {
		tag, ok := ref.Name.(name.Tag)
		if !ok {
			continue
		}
		if err := a.withdraw(ctx, ref, tag, add); err != nil {
			return err
		}
	}
	return nil
}

// withdraw withdraws what the package does not contain. That it cannot is no
// reason not to publish: who never appends needs none of it.
func (a afresh) withdraw(ctx context.Context, ref reference.Ref, tag name.Tag, add []announce.Addition) error {
	client, err := a.registry()
	if err != nil {
		return err
	}
	withdrawn, err := announce.StartAfresh(ctx, a.tagsOf(client, ref, a.flags.dryRun), a.requestFor(ref, announce.Request{Add: add}))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case fault.Is(err, fault.Denied):
		a.console.Note("Announcements of earlier appends were left as they are: %s", err)
	case err != nil:
		a.console.Warn("announcements of earlier appends were left as they are, and the next append may bring their platforms back: %s", err)
	}
	if err != nil {
		return nil
	}
	words := "%s, which this package does not contain, was withdrawn: '%s' announces it no more"
	if a.flags.dryRun {
		words = "Would withdraw %s, which this package does not contain: '%s' announces it"
	}
	for _, w := range withdrawn {
		a.console.Note(words, w.Platform, reference.Canonical(tag.Context().Tag(w.Tag)))
	}
	return nil
}

// announceable are the additions that name their platform. Where the suffix
// flag gives each platform a tag, that tag is the announcement, and holds just the image.
func (a afresh) announceable() ([]announce.Addition, error) {
	images := slices.DeleteFunc(slices.Clone(a.images), func(i buildpack.PlatformImage) bool { return i.Target.Platform.Arch == "" })
	if a.flags.suffix {
		for i := range images {
			images[i].Descriptor.Annotations = nil
		}
	}
	return additions(images)
}
