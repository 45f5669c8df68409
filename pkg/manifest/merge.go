package manifest

import (
	"fmt"
	"maps"
	"slices"
)

// Merge is i with the entries of other: one that has the platform of an entry
// of i takes its place (and that entry's attestations go), all others are
// appended in their order, all with the bytes that they have in other. What
// other does not replace keeps its bytes. Annotations of the index are merged
// key by key, other's value winning; so do its artifactType and subject where
// it has them. Merging an index that adds nothing gives i itself.
func (i Index) Merge(other Index) (Index, error) {
	w := newWork(i)
	for _, s := range other.entries {
		if _, err := w.add(s.clone(), true, true); err != nil {
			return i, fmt.Errorf("merging an index: %w", err)
		}
	}
	next := w.index()
	theirs := other.Annotations()
	for _, key := range slices.Sorted(maps.Keys(theirs)) {
		next = next.Annotate(Annotation{Key: key, Value: theirs[key]})
	}
	if t := other.ArtifactType(); t != "" {
		next = next.WithArtifactType(t)
	}
	if raw := other.doc.get("subject"); raw != nil {
		next = next.withField("subject", slices.Clone(raw))
	}
	return next, nil
}
