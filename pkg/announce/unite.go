package announce

import (
	"context"
	"slices"
)

// collect reads the announcements that count: those of the expected platforms,
// else all that the registry lists, and always this writer's own.
func (w *writer) collect(ctx context.Context, cur current) (claims []claim, listed bool, err error) {
	var tags []string
	listed = true
	if len(w.req.Expect) > 0 {
		tags, err = expected(w.req.Tag, w.req.Expect)
	} else {
		tags, listed, err = w.col.list(ctx, w.order)
	}
	if err != nil {
		return nil, false, err
	}
	for _, t := range w.order {
		if !slices.Contains(tags, t) {
			tags = append(tags, t)
		}
	}
	claims, err = w.col.read(ctx, tags, cur.doc)
	if err != nil {
		return nil, false, err
	}
	w.notes.read(w, claims)
	if w.req.NoAnnounce {
		claims = w.override(claims)
	}
	return claims, listed, nil
}

// override puts what this writer brings and removes in the place of what is
// announced: without an announcement of its own it would lose to an older one.
func (w *writer) override(claims []claim) []claim {
	var own []claim
	for _, b := range w.brings {
		own = append(own, ownClaim(b))
	}
	for _, p := range w.req.Remove {
		own = append(own, claim{platform: p.Normalize(), withdrawn: true})
	}
	out := slices.DeleteFunc(claims, func(c claim) bool {
		return slices.ContainsFunc(own, func(o claim) bool { return o.platform.Suffix() == c.platform.Suffix() })
	})
	return append(out, own...)
}

// unite is the union of the tag and the claims, with this writer's index-level
// annotations and dropped entries.
func (w *writer) unite(cur current, claims []claim) (document, []claim) {
	d, changed := union(w.annotate(cur.doc), claims, w.req.Annotations)
	return drop(d, w.req.Drop), changed
}

// annotate merges the request's index-level annotations, key by key. Once
// written, a key that has yet another value was set by somebody else later, and stays:
// the last one wins. One that is back at its value from before was lost to a writer
// that had read the tag earlier, and is set again.
func (w *writer) annotate(d document) document {
	if w.wrote == 0 {
		w.base = map[string]*string{}
	}
	for _, a := range sorted(w.req.Annotations) {
		var have *string
		if value, ok := d.annotation(a.Key); ok {
			have = &value
		}
		if w.wrote == 0 {
			w.base[a.Key] = have
		} else if !sameValue(have, w.base[a.Key]) {
			continue
		}
		d = d.withAnnotation(a.Key, a.Value)
	}
	return d
}

func sameValue(a, b *string) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
