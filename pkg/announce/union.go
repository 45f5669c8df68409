package announce

import (
	"encoding/json"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
)

// union puts the claims into the index: announced platforms replace (in
// place), new ones follow at the end in the order of the claims, withdrawn
// ones go before that, everything else stays byte for byte. Attestations go with the image that
// they describe. changed are the claims that were not held before. An index that
// holds every claim is returned as it was. The annotations whose keys are in keep
// are left alone.
func union(i manifest.Index, claims []claim, keep []manifest.Annotation) (out manifest.Index, changed []claim, err error) {
	first := func(c claim) int {
		if c.withdrawn {
			return 0
		}
		return 1
	}
	claims = slices.Clone(claims)
	slices.SortStableFunc(claims, func(a, b claim) int { return first(a) - first(b) })
	for _, c := range claims {
		if c.ignored != "" {
			continue
		}
		if !c.heldBy(i) {
			if i, err = c.applyTo(i); err != nil {
				return i, nil, fmt.Errorf("taking in '%s': %w", c.tag, err)
			}
			changed = append(changed, c)
		}
		i = c.annotate(i, keep)
	}
	return i, changed, nil
}

func (c claim) applyTo(i manifest.Index) (manifest.Index, error) {
	if c.withdrawn {
		return without(i, c.withdraws)
	}
	brought, err := indexOf(c.entry, c.attached)
	if err != nil {
		return i, err
	}
	next, err := i.Merge(brought)
	if err != nil || c.heldBy(next) {
		return next, err
	}
	// The index had the platform several times, this entry among them.
	if next, err = without(i, func(e manifest.Entry) bool { return e.HasPlatform() && e.Platform == c.platform }); err != nil {
		return i, err
	}
	return next.Merge(brought)
}

// without takes out the platforms of the entries that go, and the attestations
// of their images.
func without(i manifest.Index, goes func(manifest.Entry) bool) (manifest.Index, error) {
	for _, p := range i.Platforms() {
		at := slices.IndexFunc(i.Entries(), func(e manifest.Entry) bool { return e.HasPlatform() && e.Platform == p && goes(e) })
		if at < 0 {
			continue
		}
		var err error
		if i, _, err = i.Remove(manifest.ByPlatform(p)); err != nil {
			return i, err
		}
	}
	return i, nil
}

// annotate sets the announced index-level annotations that the index lacks. A
// key that is there keeps its value: it is either the announced one or a later
// one. The keys of keep are this writer's own business.
func (c claim) annotate(i manifest.Index, keep []manifest.Annotation) manifest.Index {
	have := i.Annotations()
	for _, a := range c.annotations {
		if _, ok := have[a.Key]; ok || slices.ContainsFunc(keep, func(k manifest.Annotation) bool { return k.Key == a.Key }) {
			continue
		}
		i = i.Annotate(a)
	}
	return i
}

// drop takes out the entries of the digests that are there, and their
// attestations; what stands under a platform is not meant.
func drop(i manifest.Index, digests []v1.Hash) (manifest.Index, error) {
	for _, h := range digests {
		if found, platform := find(i, h); found == nil || platform {
			continue
		}
		var err error
		if i, _, err = i.Remove(manifest.ByDigest(h)); err != nil {
			return i, err
		}
	}
	return i, nil
}

// extra puts entries without a platform in.
func extra(i manifest.Index, entries []json.RawMessage) (manifest.Index, error) {
	for _, raw := range entries {
		e, err := parseEntry(raw)
		if err != nil {
			return i, fault.As(fault.Usage, err)
		}
		found, platform := find(i, e.Descriptor.Digest)
		if platform || found != nil && sameJSON(found.Raw, e.Raw) {
			continue
		}
		if i, _, err = i.AddEntries(manifest.AddOptions{Replace: true}, e); err != nil {
			return i, err
		}
	}
	return i, nil
}

// find is an entry of the digest, one with a platform if there is one.
func find(i manifest.Index, h v1.Hash) (found *manifest.Entry, platform bool) {
	for _, e := range i.Entries() {
		if e.Descriptor.Digest == h && !platform {
			found, platform = &e, e.HasPlatform()
		}
	}
	return found, platform
}
