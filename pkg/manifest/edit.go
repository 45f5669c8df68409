package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
)

// Remove takes out the entries that the selectors mean in i, and the
// attestations of the images among them, and gives their descriptors. A
// reference means all entries that were added from it; otherwise several
// different platforms are a fault.Usage that lists them. A selector that means
// nothing is a fault.NotFound that lists what is there. On an error i stays.
func (i Index) Remove(selectors ...Selector) (Index, []v1.Descriptor, error) {
	gone := make([]bool, len(i.entries))
	var errs []error
	for _, s := range selectors {
		at, err := i.resolve(s, true)
		errs = append(errs, err)
		for _, n := range at {
			gone[n] = true
		}
	}
	if err := errors.Join(errs...); err != nil {
		return i, nil, err
	}
	i.followAttestations(gone)
	var out []v1.Descriptor
	kept := make([]slot, 0, len(i.entries))
	for n, e := range i.entries {
		if gone[n] {
			out = append(out, cloneDescriptor(e.Descriptor))
		} else {
			kept = append(kept, e)
		}
	}
	return i.edited(kept), out, nil
}

// followAttestations marks the attestations of images that are marked and
// stand under no other, unmarked, entry.
func (i Index) followAttestations(gone []bool) {
	images := map[v1.Hash]bool{}
	for n, e := range i.entries {
		if gone[n] && !e.IsAttestation {
			images[e.Descriptor.Digest] = true
		}
	}
	for n, e := range i.entries {
		if !gone[n] {
			delete(images, e.Descriptor.Digest)
		}
	}
	for n, e := range i.entries {
		if e.IsAttestation && images[e.AttestationOf] {
			gone[n] = true
		}
	}
}

// WithoutAttestations is i without BuildKit's attestations.
func (i Index) WithoutAttestations() Index {
	return i.only(func(e Entry) bool { return !e.IsAttestation })
}

// only keeps some entries; all of them gives i itself.
func (i Index) only(keep func(Entry) bool) Index {
	kept := make([]slot, 0, len(i.entries))
	for _, e := range i.entries {
		if keep(e.Entry) {
			kept = append(kept, e)
		}
	}
	if len(kept) == len(i.entries) {
		return i
	}
	return i.edited(kept)
}

// Edit changes one entry in its place: the fields in which the function's
// result differs from what it was given are written, every other byte of the
// entry stays. Errors: fault.NotFound and fault.Usage where the selector means
// no entry or several; fault.Conflict (a *PlatformTakenError) where another
// entry has the new platform. No difference gives i itself.
func (i Index) Edit(s Selector, fn func(v1.Descriptor) v1.Descriptor) (Index, error) {
	at, err := i.resolve(s, false)
	if err != nil {
		return i, err
	}
	n := at[0]
	old := i.entries[n].Entry
	next, err := old.Edit(fn)
	if err != nil {
		return i, fmt.Errorf("editing '%s': %w", s, err)
	}
	if string(next.Raw) == string(old.Raw) {
		return i, nil
	}
	if next.HasPlatform() && next.Platform != old.Platform {
		for k, other := range i.entries {
			if k != n && other.HasPlatform() && other.Platform == next.Platform {
				return i, fault.As(fault.Conflict, &PlatformTakenError{Have: other.clone(), New: next})
			}
		}
	}
	entries := slices.Clone(i.entries)
	entries[n].Entry = next
	return i.edited(entries), nil
}

// Edit is the entry after a change: the fields in which the function's result
// differs from what it was given are written, every other byte stays.
func (e Entry) Edit(fn func(v1.Descriptor) v1.Descriptor) (Entry, error) {
	raw, err := editRaw(e.Raw, e.Descriptor, fn(cloneDescriptor(e.Descriptor)))
	if err != nil {
		return Entry{}, err
	}
	return parseEntry(raw)
}

// field is one field of a descriptor or platform before and after an edit.
type field struct {
	name     string
	old, new any
}

// editRaw writes the difference of two descriptors into the JSON of the first.
func editRaw(raw []byte, old, next v1.Descriptor) ([]byte, error) {
	o, _ := cutObject(raw)
	o, err := edit(o, []field{
		{"mediaType", old.MediaType, next.MediaType}, {"size", old.Size, next.Size}, {"digest", old.Digest, next.Digest},
		{"data", old.Data, next.Data}, {"urls", old.URLs, next.URLs}, {"artifactType", old.ArtifactType, next.ArtifactType},
	}, descriptorOrder)
	if err != nil {
		return nil, err
	}
	if !maps.Equal(old.Annotations, next.Annotations) {
		value, has := annotateRaw(o.get("annotations"), differences(old.Annotations, next.Annotations))
		if has {
			o = o.set("annotations", value, descriptorOrder)
		} else {
			o = o.without("annotations")
		}
	}
	if o, err = editPlatform(o, old.Platform, next.Platform); err != nil {
		return nil, err
	}
	return o.bytes(), nil
}

func editPlatform(o object, old, next *v1.Platform) (object, error) {
	switch {
	case reflect.DeepEqual(old, next):
		return o, nil
	case next == nil:
		return o.without("platform"), nil
	case old == nil:
		value, err := json.Marshal(next)
		return o.set("platform", value, descriptorOrder), err
	}
	po, ok := cutObject(o.get("platform"))
	if !ok {
		return o, errors.New("'platform' is no JSON object")
	}
	po, err := edit(po, []field{
		{"architecture", old.Architecture, next.Architecture}, {"os", old.OS, next.OS}, {"os.version", old.OSVersion, next.OSVersion},
		{"os.features", old.OSFeatures, next.OSFeatures}, {"variant", old.Variant, next.Variant}, {"features", old.Features, next.Features},
	}, platformOrder)
	return o.set("platform", po.bytes(), descriptorOrder), err
}

// edit writes the fields that differ; an empty one that may be left out is.
func edit(o object, fields []field, order func(a, b string) bool) (object, error) {
	for _, f := range fields {
		if reflect.DeepEqual(f.old, f.new) {
			continue
		}
		if v := reflect.ValueOf(f.new); f.name != "size" && (v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0) &&
			f.name != "architecture" && f.name != "os" {
			o = o.without(f.name)
			continue
		}
		value, err := json.Marshal(f.new)
		if err != nil {
			return o, fmt.Errorf("encoding '%s': %w", f.name, err)
		}
		o = o.set(f.name, value, order)
	}
	return o, nil
}

// differences are the changes that lead from one map to the other, sorted.
func differences(from, to map[string]string) []Annotation {
	var out []Annotation
	for _, k := range slices.Sorted(maps.Keys(from)) {
		if _, ok := to[k]; !ok {
			out = append(out, Annotation{Key: k, Delete: true})
		}
	}
	for _, k := range slices.Sorted(maps.Keys(to)) {
		if v, ok := from[k]; !ok || v != to[k] {
			out = append(out, Annotation{Key: k, Value: to[k]})
		}
	}
	return out
}

func descriptorOrder(a, b string) bool {
	return ranked("mediaType", "size", "digest", "data", "urls", "annotations", "platform", "artifactType")(a, b)
}

func platformOrder(a, b string) bool {
	return ranked("architecture", "os", "os.version", "os.features", "variant", "features")(a, b)
}
