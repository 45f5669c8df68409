package gather

import (
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/source"
)

// choose are the candidates for the platforms required, and the attestations of
// their images.
func (o Options) choose(sources []source.Opened, all []*candidate) ([]*candidate, error) {
	met := make([]bool, len(o.Platforms.Filters))
	contributes := make([]bool, len(sources))
	images := map[v1.Hash]bool{}
	chosen := make([]bool, len(all))
	for i, c := range all {
		if !c.Entry.HasPlatform() {
			continue
		}
		for n, f := range o.Platforms.Filters {
			if f.Match(c.Entry.Platform) {
				met[n], chosen[i], contributes[c.Source] = true, true, true
				images[c.Entry.Descriptor.Digest] = true
			}
		}
	}
	var missing []string
	for n, f := range o.Platforms.Filters {
		if !met[n] {
			missing = append(missing, "'"+f.String()+"'")
		}
	}
	if len(missing) > 0 {
		return nil, fault.New(fault.NotFound, "choosing platforms: %s not found; %s", strings.Join(missing, ", "), found(all, nil))
	}
	for n, src := range sources {
		if !contributes[n] {
			return nil, fault.New(fault.NotFound, "choosing platforms: '%s' has none of those asked for; %s", src.Ref, found(all, &n))
		}
	}
	var out []*candidate
	for i, c := range all {
		if chosen[i] || c.Entry.IsAttestation && images[c.Entry.AttestationOf] {
			out = append(out, c)
		}
	}
	return out, nil
}

// found lists the platforms of one source, or of all.
func found(all []*candidate, only *int) string {
	var names []string
	seen := map[platform.Platform]bool{}
	for _, c := range all {
		if !c.Entry.HasPlatform() || seen[c.Entry.Platform] || only != nil && c.Source != *only {
			continue
		}
		seen[c.Entry.Platform] = true
		names = append(names, c.Entry.Platform.String())
	}
	if len(names) == 0 {
		return "no image says its platform"
	}
	return "the platforms are " + strings.Join(names, ", ")
}
