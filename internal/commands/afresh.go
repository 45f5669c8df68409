package commands

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/announce"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
)

// afresh is something that is published without regard to what its tags held
// before.
type afresh struct {
	*session
	target publish.Target
	// add is what the tags will hold.
	add    []announce.Addition
	dryRun bool
}

// start brings the announcements of earlier appends in line with what the tags
// are about to hold; in a dry run it only says what it would do.
func (a afresh) start(ctx context.Context) error {
	if a.target.Ref.Kind != reference.Registry {
		return nil
	}
	for _, ref := range append([]reference.Ref{a.target.Ref}, a.target.Tags...) {
		tag, ok := ref.Name.(name.Tag)
		if !ok {
			continue
		}
		if err := a.withdraw(ctx, ref, tag); err != nil {
			return err
		}
	}
	return nil
}

// withdraw withdraws what is not in it. That it cannot is no reason not to
// publish: who never appends needs none of it.
func (a afresh) withdraw(ctx context.Context, ref reference.Ref, tag name.Tag) error {
	client, err := a.registry()
	if err != nil {
		return err
	}
	withdrawn, err := announce.StartAfresh(ctx, a.tagsOf(client, ref, a.dryRun), a.requestFor(ref, announce.Request{Add: a.add}))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case fault.Is(err, fault.Denied):
		a.console.Note("Announcements of earlier appends were left as they are: %s", err)
		return nil
	case err != nil:
		a.console.Warn("announcements of earlier appends were left as they are, and the next append may bring their platforms back: %s", err)
		return nil
	}
	words := "%s, which is not in what is published, was withdrawn: '%s' announces it no more"
	if a.dryRun {
		words = "Would withdraw %s, which is not in what is published: '%s' announces it"
	}
	for _, w := range withdrawn {
		a.console.Note(words, w.Platform, reference.Canonical(tag.Context().Tag(w.Tag)))
	}
	return nil
}
