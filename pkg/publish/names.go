package publish

import (
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/ocilayout"
	"github.com/multipack/multipack/pkg/reference"
)

// layoutNames are the names that a target gives to its artifact in an OCI
// layout: TAG of the reference first ("" for none), then the further tags.
func layoutNames(to Target) ([]string, error) {
	if to.NoTag {
		return nil, nil
	}
	names := []string{to.Ref.Tag}
	for _, ref := range to.Tags {
		tag := ref.Tag
		switch {
		case ref.Kind == to.Ref.Kind && ref.Path == to.Ref.Path && tag != "":
		case ref.Kind == reference.Registry && ref.Name != nil && ref.Digest == "":
			tag = reference.Canonical(ref.Name)
		default:
			return nil, fault.New(fault.Usage, "publishing to '%s': '%s' is no tag of it", to.Ref, ref)
		}
		names = append(names, tag)
	}
	if names[0] == "" && len(names) > 1 {
		names = names[1:]
	}
	return names, nil
}

// named is d as the entry of an index.json under a name: ref.name (OCI image
// layout specification) is the name as written, for skopeo, crane and podman; a
// full image name is in containerd's annotation too, normalised, which BuildKit
// and docker load go by. Entries carry no platform: that is said below them.
func named(d v1.Descriptor, tag string) v1.Descriptor {
	d = v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
	if tag == "" {
		return d
	}
	d.Annotations = map[string]string{ocilayout.RefNameAnnotation: tag}
	if full, ok := fullName(tag); ok {
		d.Annotations[ocilayout.ImageNameAnnotation] = full
	}
	return d
}

// fullName is tag normalised, where it is an image name and no plain tag.
func fullName(tag string) (string, bool) {
	if !strings.ContainsAny(tag, ":/") {
		return "", false
	}
	n, err := reference.ParseName(tag)
	if err != nil {
		return "", false
	}
	return reference.Canonical(n), true
}

// sameName compares two names of a layout the way they are looked up: full
// names after normalising, others as they are.
func sameName(a, b string) bool {
	fullA, okA := fullName(a)
	fullB, okB := fullName(b)
	return a == b || okA && okB && fullA == fullB
}

// nameOf is the name of an index.json's entry, "" for none.
func nameOf(d v1.Descriptor) string {
	if n := d.Annotations[ocilayout.ImageNameAnnotation]; n != "" {
		return n
	}
	return d.Annotations[ocilayout.RefNameAnnotation]
}

// place puts entry under its name into an index.json: where the name is taken
// the entry takes over its place, every other entry is kept. An entry without a
// name replaces the one without a name; where there are several of those it is
// not clear which is meant, which is a fault.Conflict.
func place(entries []v1.Descriptor, entry v1.Descriptor) ([]v1.Descriptor, error) {
	tag := nameOf(entry)
	if tag == "" {
		return placeNameless(entries, entry)
	}
	return replace(entries, entry, func(d v1.Descriptor) bool { return nameOf(d) != "" && sameName(nameOf(d), tag) }), nil
}

func placeNameless(entries []v1.Descriptor, entry v1.Descriptor) ([]v1.Descriptor, error) {
	nameless := 0
	for _, d := range entries {
		if nameOf(d) != "" {
			continue
		}
		if d.Digest == entry.Digest {
			return entries, nil
		}
		nameless++
	}
	if nameless > 1 {
		err := fault.New(fault.Conflict, "choosing the entry to replace: %d entries have no name", nameless)
		return nil, fault.Hint(err, "name the new one with ':TAG' after the path")
	}
	return replace(entries, entry, func(d v1.Descriptor) bool { return nameOf(d) == "" }), nil
}

// replace puts entry where the first match stands, else at the end, and drops
// the other matches.
func replace(entries []v1.Descriptor, entry v1.Descriptor, match func(v1.Descriptor) bool) []v1.Descriptor {
	at := slices.IndexFunc(entries, match)
	if at < 0 {
		return append(slices.Clone(entries), entry)
	}
	out := append(slices.Clone(entries[:at]), entry)
	for _, d := range entries[at+1:] {
		if !match(d) {
			out = append(out, d)
		}
	}
	return out
}
