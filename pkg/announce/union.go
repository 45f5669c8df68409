package announce

import (
	"encoding/json"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// union puts the claims into the index: announced platforms replace (in
// place), new ones follow at the end in the order of the claims, withdrawn
// ones go, everything else stays byte for byte. Attestations go with the image that
// they describe. changed are the claims that were not held before. It is
// idempotent: a union that holds every claim is returned as it was.
func union(d document, claims []claim, keep map[string]*string) (out document, changed []claim) {
	for _, c := range claims {
		if c.ignored != "" {
			continue
		}
		if !c.heldBy(d) {
			d = c.applyTo(d)
			changed = append(changed, c)
		}
		d = c.annotate(d, keep)
	}
	return d, changed
}

func (c claim) applyTo(d document) document {
	goes := func(e entry) bool {
		p, ok := e.platform()
		return ok && p == c.platform
	}
	if c.withdrawn {
		goes = c.withdraws
	}
	entries, at := take(d.entries, goes, c.entry.desc.Digest)
	if !c.withdrawn {
		entries = slices.Insert(entries, at, c.entry)
		entries = append(entries, missingEntries(entries, c.attached)...)
	}
	return d.withEntries(entries)
}

// take removes the entries that go, and the attestations of images that are
// then gone; those of the image stays remain, since only its entry changes. at is
// where the first of the removed entries was.
func take(entries []entry, goes func(entry) bool, stays v1.Hash) (kept []entry, at int) {
	var rest []entry
	var gone []v1.Hash
	at = -1
	for _, e := range entries {
		if goes(e) {
			gone = append(gone, e.desc.Digest)
			if at < 0 {
				at = len(rest)
			}
			continue
		}
		rest = append(rest, e)
	}
	if at < 0 {
		at = len(rest)
	}
	gone = slices.DeleteFunc(gone, func(h v1.Hash) bool {
		return h == stays || slices.ContainsFunc(rest, func(e entry) bool { return e.desc.Digest == h })
	})
	first := at
	for i, e := range rest {
		if slices.ContainsFunc(gone, e.describes) {
			if i < first {
				at--
			}
			continue
		}
		kept = append(kept, e)
	}
	return kept, at
}

// missingEntries are those of want whose digest no entry has.
func missingEntries(entries, want []entry) []entry {
	var out []entry
	for _, w := range want {
		if !slices.ContainsFunc(entries, func(e entry) bool { return e.desc.Digest == w.desc.Digest }) {
			out = append(out, w)
		}
	}
	return out
}

// annotate sets the announced index-level annotations that the index lacks. A
// key that is there keeps its value: it is either the announced one or a later
// one. The keys of keep are this writer's own business.
func (c claim) annotate(d document, keep map[string]*string) document {
	for _, m := range c.annotations {
		if _, own := keep[m.Key]; own {
			continue
		}
		if _, ok := d.annotation(m.Key); ok {
			continue
		}
		var value string
		if json.Unmarshal(m.Value, &value) == nil {
			d = d.withAnnotation(m.Key, &value)
		}
	}
	return d
}

// drop takes out the entries of the digests, and their attestations.
func drop(d document, digests []v1.Hash) document {
	goes := func(e entry) bool { return slices.Contains(digests, e.desc.Digest) }
	if !slices.ContainsFunc(d.entries, goes) {
		return d
	}
	entries, _ := take(d.entries, goes, v1.Hash{})
	return d.withEntries(entries)
}
