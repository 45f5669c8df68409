package announce

import (
	"context"
	"reflect"
	"slices"

	"github.com/multipack/multipack/pkg/manifest"
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

// unite is the union of the tag and the claims, with what this writer changes
// besides.
func (w *writer) unite(cur current, claims []claim) (manifest.Index, []claim, error) {
	if w.wrote == 0 {
		w.base = cur.doc
	}
	i, err := drop(cur.doc, w.req.Drop)
	if err != nil {
		return i, nil, err
	}
	if i, err = w.fields(w.annotate(i)); err != nil {
		return i, nil, err
	}
	i, changed, err := union(i, claims, w.req.Annotations)
	if err != nil {
		return i, nil, err
	}
	i, err = extra(i, w.req.Extra)
	return i, changed, err
}

// annotate merges the request's index-level annotations, key by key. Once
// written, a key that has yet another value was set by somebody else later, and stays:
// the last one wins. One that is back at its value from before was lost to a writer
// that had read the tag earlier, and is set again.
func (w *writer) annotate(i manifest.Index) manifest.Index {
	have, base := i.Annotations(), w.base.Annotations()
	for _, a := range w.req.Annotations {
		now, is := have[a.Key]
		before, was := base[a.Key]
		if w.wrote == 0 || is == was && now == before {
			i = i.Annotate(a)
		}
	}
	return i
}

// fields sets artifactType and subject by the same rule.
func (w *writer) fields(i manifest.Index) (manifest.Index, error) {
	if w.req.Fields == nil {
		return i, nil
	}
	same := i.ArtifactType() == w.base.ArtifactType() && reflect.DeepEqual(i.Subject(), w.base.Subject())
	if w.wrote > 0 && !same {
		return i, nil
	}
	return w.req.Fields(i)
}
