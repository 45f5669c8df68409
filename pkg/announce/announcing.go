package announce

import (
	"context"
	"fmt"
	"slices"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// plan gives the announcements to make: first those of the additions, then the
// withdrawals, so that a platform that moves is never without both. It
// makes sure that no tag of somebody else is in the way.
func (w *writer) plan(ctx context.Context, before current) ([]announcement, error) {
	if w.req.NoAnnounce {
		return nil, w.absent(before, nil)
	}
	var puts []announcement
	for _, b := range w.brings {
		puts = append(puts, announcement{tag: b.tag, body: b.body, platform: b.platform})
	}
	for _, p := range w.req.Remove {
		tag, err := Tag(w.req.Tag, p)
		if err != nil {
			return nil, err
		}
		puts = append(puts, announcement{tag: tag, body: w.marker, platform: p.Normalize(), withdraws: true})
	}
	if err := parallel(w.req.Jobs, len(puts), func(i int) error { return w.inspectTag(ctx, &puts[i]) }); err != nil {
		return nil, err
	}
	return puts, w.absent(before, puts)
}

// announcement is one to make.
type announcement struct {
	tag       string
	body      Manifest
	platform  platform.Platform
	withdraws bool
	// announced and done: the tag announces the platform already; it held just this body
	// when it was looked at, which may be long ago.
	announced, done bool
}

// inspectTag looks at what the announcement tag holds so far.
func (w *writer) inspectTag(ctx context.Context, a *announcement) error {
	c, known := w.req.Seen.announcement(a.tag)
	if !known {
		m, err := w.reg.Get(ctx, a.tag)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err == nil && m.Digest != a.body.Digest {
			c, err = understand(ctx, w.reg, w.req.Tag, a.tag, m)
		}
		if err != nil {
			return fmt.Errorf("reading announcement '%s': %w", a.tag, err)
		}
		c.tag, c.digest = a.tag, m.Digest
	}
	switch {
	case c.tag == "": // there is none
		return nil
	case c.digest == a.body.Digest:
		a.done, a.announced = true, !a.withdraws
		return nil
	case c.other:
		return fault.Hint(fault.New(fault.Conflict, "announcing %s: '%s' is used for something else, %s", a.platform, w.req.show(a.tag), c.ignored),
			"move or delete that tag, or pass --no-announce")
	}
	a.announced = c.ignored == "" && !c.withdrawn
	return nil
}

// absent refuses to remove what is neither under the tag nor announced.
func (w *writer) absent(before current, puts []announcement) error {
	have := before.doc.Platforms()
	for _, p := range w.req.Remove {
		suffix := p.Normalize().Suffix()
		held := slices.ContainsFunc(have, func(h platform.Platform) bool { return h.Suffix() == suffix })
		announced := slices.ContainsFunc(puts, func(a announcement) bool {
			return a.platform.Suffix() == suffix && a.announced
		})
		if !held && !announced {
			found := names(have)
			if found == "" {
				found = "none"
			}
			return fault.New(fault.NotFound, "removing %s from '%s': it is not there, platforms found: %s", p, w.req.show(w.req.Tag), found)
		}
	}
	return nil
}

// put writes the announcements that are not there yet: first what is added, then
// what is withdrawn.
func (w *writer) put(ctx context.Context, puts []announcement) error {
	set := setAnnotations(w.req.Annotations)
	from := slices.IndexFunc(puts, func(a announcement) bool { return a.withdraws })
	if from < 0 {
		from = len(puts)
	}
	for _, part := range [][]announcement{puts[:from], puts[from:]} {
		err := parallel(w.req.Jobs, len(part), func(i int) error {
			if a := part[i]; !a.done || !w.stands(ctx, a) {
				if err := w.putOne(ctx, a); err != nil {
					return announceError(w.req.Tag, a, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, a := range puts {
		w.own[a.tag] = a.body.Digest
		w.order = append(w.order, a.tag)
		if a.withdraws {
			p, _ := candidate(w.req.Tag, a.tag)
			w.col.fresh[a.tag] = claim{tag: a.tag, digest: a.body.Digest, platform: p, withdrawn: true}
		}
	}
	for _, b := range w.brings {
		w.col.known[b.tag] = announcedClaim(b, set)
		if _, ok := w.own[b.tag]; ok {
			w.col.fresh[b.tag] = w.col.known[b.tag]
		}
	}
	return nil
}

// stands reports whether the tag still holds the announcement. Where that cannot be
// known it is made again.
func (w *writer) stands(ctx context.Context, a announcement) bool {
	h, err := w.reg.Head(ctx, a.tag)
	return err == nil && h == a.body.Digest
}

func (w *writer) putOne(ctx context.Context, a announcement) error {
	if a.withdraws {
		if err := w.reg.PutBlob(ctx, emptyBlob, emptyType); err != nil {
			return err
		}
	}
	return w.reg.Put(ctx, a.tag, a.body.Raw, a.body.MediaType)
}
