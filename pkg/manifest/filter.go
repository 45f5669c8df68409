package manifest

import (
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// Filter is i with the platforms asked for, and the attestations of their
// images. It is a requirement: a platform that is not there, or a pattern that
// matches nothing, is a fault.NotFound that lists the platforms found. "all",
// and a list that asks for nothing, give i itself.
func (i Index) Filter(want platform.List) (Index, error) {
	if want.All || want.IsZero() {
		return i, nil
	}
	var missing []string
	images := map[v1.Hash]bool{}
	keep := make(map[platform.Platform]bool)
	for _, f := range want.Filters {
		found := false
		for _, e := range i.entries {
			if e.HasPlatform() && f.Match(e.Platform) {
				found = true
				keep[e.Platform] = true
				images[e.Descriptor.Digest] = true
			}
		}
		if !found {
			missing = append(missing, "'"+f.String()+"'")
		}
	}
	if len(missing) > 0 {
		return Index{}, fault.New(fault.NotFound, "choosing platforms: %s not found; %s", strings.Join(missing, ", "), i.found())
	}
	return i.only(func(e Entry) bool {
		return e.HasPlatform() && keep[e.Platform] || e.IsAttestation && images[e.AttestationOf]
	}), nil
}

// found lists the platforms that are there.
func (i Index) found() string {
	names := make([]string, 0, len(i.entries))
	for _, p := range i.Platforms() {
		names = append(names, p.String())
	}
	if len(names) == 0 {
		return "no entry has a platform"
	}
	return "the platforms are " + strings.Join(slices.Compact(names), ", ")
}
