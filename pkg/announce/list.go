package announce

import (
	"context"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
)

// Announcements lists what is announced for the tag, in the order of the
// announcement tags, those included that look like one but do not count. A tag
// without any gives an empty list.
func Announcements(ctx context.Context, reg Registry, req Request) ([]Announcement, error) {
	req = req.withDefaults()
	w, err := newWriter(reg, req, nil)
	if err != nil {
		return nil, err
	}
	cur, err := readCurrent(ctx, reg, req)
	if err != nil && !fault.Is(err, fault.Usage) && !fault.Is(err, fault.Conflict) {
		return nil, err // whatever the tag holds, the announcements can be shown
	}
	w.col.all = true
	tags, _, err := w.col.list(ctx, nil)
	if err != nil {
		return nil, err
	}
	claims, err := w.col.read(ctx, tags, manifest.Index{})
	if err != nil {
		return nil, err
	}
	out := make([]Announcement, len(claims))
	for i, c := range claims {
		out[i] = c.announcement(cur.doc)
	}
	return out, nil
}

// Look is the index that the tag has with all that is announced for it: what it
// holds, or is about to hold where jobs are under way. found is false where there is
// neither a tag nor an announcement. Only Tag, Expect, ExistingPlatform, MediaType
// and Jobs of the request count.
func Look(ctx context.Context, reg Registry, req Request) (i manifest.Index, found bool, err error) {
	req = req.withoutWork().withDefaults()
	w, err := newWriter(reg, req, nil)
	if err != nil {
		return manifest.Index{}, false, err
	}
	v, err := w.look(ctx)
	return v.next, v.cur.found || len(v.claims) > 0, err
}

// StartAfresh makes the announcements fit a tag that is about to be written
// without regard to what it held (a plain publish): where the tag has announcements
// at all, the additions are announced, and every platform that is not among them
// is withdrawn. Without it the next append would bring older platforms back. It is
// called right before the tag is written, and writes nothing where nothing was ever announced.
// It returns the announcements that it withdrew.
func StartAfresh(ctx context.Context, reg Registry, req Request) ([]Announcement, error) {
	req = req.withDefaults()
	w, err := newWriter(reg, req, nil)
	if err != nil {
		return nil, err
	}
	tags, _, err := w.col.list(ctx, nil)
	if err != nil || len(tags) == 0 {
		return nil, err
	}
	claims, err := w.col.read(ctx, tags, manifest.Index{})
	if err != nil {
		return nil, err
	}
	return w.startAfresh(ctx, claims)
}

func (w *writer) startAfresh(ctx context.Context, claims []claim) ([]Announcement, error) {
	brings, err := prepare(ctx, w.reg, w.req)
	if err != nil {
		return nil, err
	}
	var puts []announcement
	held := map[string]claim{}
	foreign := map[string]bool{}
	for _, c := range claims {
		if c.ignored == "" {
			held[c.tag] = c
		}
		foreign[c.tag] = c.other
	}
	if len(held) == 0 {
		return nil, nil
	}
	for _, b := range brings {
		if foreign[b.tag] {
			continue // it is no announcement, and never counts as one
		}
		have, ok := held[b.tag]
		delete(held, b.tag)
		puts = append(puts, announcement{tag: b.tag, body: b.body, platform: b.platform, done: ok && have.digest == b.body.Digest})
	}
	var withdrawn []Announcement
	for _, c := range claims {
		if _, ok := held[c.tag]; ok && !c.withdrawn {
			puts = append(puts, announcement{tag: c.tag, body: w.marker, platform: c.platform, withdraws: true})
			withdrawn = append(withdrawn, c.announcement(manifest.Index{}))
		}
	}
	return withdrawn, w.put(ctx, puts)
}
