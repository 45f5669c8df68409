package announce

import (
	"errors"
	"fmt"

	"github.com/multipack/multipack/internal/fault"
)

// ErrExists says that a tag which was to be made is there.
var ErrExists = errors.New("the tag exists already")

// listingError explains why announcements could not be listed.
func listingError(tag string, err error) error {
	err = fmt.Errorf("listing the announcements of tag '%s': %w", tag, err)
	if fault.Is(err, fault.Denied) {
		return fault.Hint(err, "name the platforms of the release in --expect: then no tags are listed")
	}
	return err
}

// announceError explains why an announcement could not be made.
func announceError(tag string, a announcement, err error) error {
	err = fmt.Errorf("announcing %s as tag '%s': %w", a.platform, a.tag, err)
	switch {
	case fault.Is(err, fault.Denied):
		return fault.Hint(err, "the credentials must be allowed to write '%s-*' too; --no-announce does without, where no other job writes '%s' at the same time", tag, tag)
	case fault.Is(err, fault.Conflict):
		return fault.Hint(err, "the registry keeps tags immutable: exempt '%s-*', or pass --no-announce where no other job writes '%s' at the same time", tag, tag)
	}
	return err
}

// writeError explains why the tag itself could not be written.
func writeError(tag string, err error) error {
	err = fmt.Errorf("writing tag '%s': %w", tag, err)
	if fault.Is(err, fault.Conflict) {
		return fault.Hint(err, "the registry keeps tags immutable: an immutable tag can be written once, by one job that has all platforms")
	}
	return err
}

// limitError says why the writer gave up.
func (w *writer) limitError() error {
	const kind = fault.Conflict
	tag, limit := w.req.show(w.req.Tag), w.req.Limit
	switch {
	case w.last.stale:
		return fault.Hint(fault.New(kind, "appending to '%s': after %d rounds the registry still shows the tag as it was before the last write", tag, limit),
			"write to the registry itself, not through a caching proxy, then run 'multipack manifest settle %s'", tag)
	case w.last.unlisted:
		return fault.Hint(fault.New(kind, "appending to '%s': after %d rounds the registry's tag listing still lacks an announcement that was made", tag, limit),
			"name the platforms of the release in --expect: then no tags are listed")
	}
	return fault.Hint(fault.New(kind, "appending to '%s': it kept moving for %d rounds", tag, limit),
		"what was to be appended is announced: run 'multipack manifest settle %s' once the other jobs are done", tag)
}
