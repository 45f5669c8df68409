package manifest

import (
	"bytes"
	"encoding/json"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/platform"
)

// Difference is what turns one index into another. Orders are those of the
// indexes: removed entries and changes as in the first, added as in the second.
type Difference struct {
	Added, Removed []Entry
	Changed        []Change
	// Fields are the top-level fields that differ, the entries left out.
	Fields []string
	// Reordered is set where the entries that both have stand in another order.
	Reordered bool
}

// Change is one entry that both indexes have, with something else in it.
type Change struct {
	Old, New Entry
	// Fields are the fields of the descriptor that differ: "digest", "size",
	// "annotations"…; "platform" where only its spelling or an entry's own does.
	Fields []string
}

// IsEmpty reports whether the indexes say the same; their bytes may differ in
// white space and in the order of keys.
func (d Difference) IsEmpty() bool {
	return len(d.Added) == 0 && len(d.Removed) == 0 && len(d.Changed) == 0 && len(d.Fields) == 0 && !d.Reordered
}

// Diff compares two indexes. Entries belong together when they have the same
// digest and platform, else the same platform, else the same digest.
func Diff(a, b Index) Difference {
	var d Difference
	pair := pairs(a.entries, b.entries)
	back := make([]bool, len(b.entries))
	last := -1
	for n, e := range a.entries {
		m := pair[n]
		if m < 0 {
			d.Removed = append(d.Removed, e.clone())
			continue
		}
		back[m] = true
		d.Reordered = d.Reordered || m < last
		last = m
		if fields := differing(e.Entry.Raw, b.entries[m].Entry.Raw); len(fields) > 0 {
			d.Changed = append(d.Changed, Change{Old: e.clone(), New: b.entries[m].clone(), Fields: fields})
		}
	}
	for m, e := range b.entries {
		if !back[m] {
			d.Added = append(d.Added, e.clone())
		}
	}
	d.Fields = differingTop(a, b)
	return d
}

// pairs gives for each entry of a the position of its partner in b, or -1.
func pairs(a, b []slot) []int {
	type key struct {
		digest   v1.Hash
		platform platform.Platform
	}
	out := make([]int, len(a))
	for n := range out {
		out[n] = -1
	}
	used := make([]bool, len(b))
	match := func(by func(Entry) (key, bool)) {
		at := map[key][]int{}
		for m, e := range b {
			if k, ok := by(e.Entry); ok && !used[m] {
				at[k] = append(at[k], m)
			}
		}
		for n, e := range a {
			k, ok := by(e.Entry)
			if left := at[k]; ok && out[n] < 0 && len(left) > 0 {
				out[n], at[k] = left[0], left[1:]
				used[left[0]] = true
			}
		}
	}
	match(func(e Entry) (key, bool) { return key{e.Descriptor.Digest, e.Platform}, true })
	match(func(e Entry) (key, bool) { return key{platform: e.Platform}, e.HasPlatform() })
	match(func(e Entry) (key, bool) { return key{digest: e.Descriptor.Digest}, true })
	return out
}

// differing are the names under which two JSON objects have other values,
// sorted; white space and the order of keys do not count.
func differing(a, b []byte) []string {
	x, _ := cutObject(a)
	y, _ := cutObject(b)
	var out []string
	for _, m := range slices.Concat(x.members, y.members) {
		if !slices.Contains(out, m.name) && !bytes.Equal(canonical(x.get(m.name)), canonical(y.get(m.name))) {
			out = append(out, m.name)
		}
	}
	slices.Sort(out)
	return out
}

func differingTop(a, b Index) []string {
	strip := func(i Index) []byte {
		doc := i.doc.without("manifests")
		if doc.find("mediaType") < 0 { // an OCI index may leave it out
			value, _ := json.Marshal(i.mediaType)
			doc = doc.set("mediaType", value, topOrder)
		}
		return doc.bytes()
	}
	return differing(strip(a), strip(b))
}

// canonical is JSON without white space and with sorted keys; numbers keep
// their digits. Nil stays nil.
func canonical(raw []byte) []byte {
	if raw == nil {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return raw
	}
	out, err := json.Marshal(v)
	if err != nil {
		return raw
	}
	return out
}
