package announce

import (
	"context"
	"slices"

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
	cur, err := w.read(ctx)
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

// View is a tag together with what is announced for it.
type View struct {
	// Index is what the tag holds, or is about to hold where jobs are under way.
	Index manifest.Index
	// Found is false where there is neither a tag nor an announcement.
	Found bool

	current current
	claims  []claim
	// tags are the announcement tags that were asked for by name; nil where they were
	// listed.
	tags []string
}

// Look looks at a tag. Only Tag, Expect, ExistingPlatform, MediaType and Jobs of
// the request count.
func Look(ctx context.Context, reg Registry, req Request) (*View, error) {
	req = req.withoutWork().withDefaults()
	w, err := newWriter(reg, req, nil)
	if err != nil {
		return nil, err
	}
	v, err := w.look(ctx)
	if err != nil {
		return nil, err
	}
	out := &View{Index: v.next, Found: v.cur.found || len(v.claims) > 0, current: v.cur, claims: v.claims}
	if len(req.Expect) > 0 {
		out.tags, err = expected(req.Tag, req.Expect)
	}
	return out, err
}

// announcement is what the view knows of an announcement tag. A tag that was asked
// for and is not there has an empty claim; that a listing lacks it says nothing
// (some registries list too little), and somebody else's tag may be there.
func (v *View) announcement(tag string) (c claim, known bool) {
	if v == nil {
		return claim{}, false
	}
	for _, c := range v.claims {
		if c.tag == tag {
			return c, true
		}
	}
	return claim{}, slices.Contains(v.tags, tag)
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
