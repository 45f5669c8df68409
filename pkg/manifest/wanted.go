package manifest

import (
	"errors"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// Wanted is what the values of a repeated --platform flag ask for in an index:
// platforms and patterns, and single entries by digest or by the reference that
// they were added from. The zero value asks for nothing.
type Wanted struct {
	platforms platform.List
	entries   []wantedEntry
}

// wantedEntry is a value that is no platform. Where it is not plainly a digest
// it may be a misspelt platform too, and strict is what is wrong with it then.
type wantedEntry struct {
	selector Selector
	strict   error
}

// ParseWanted reads the values of a repeated flag, several of which may share
// one value, separated by commas: what platform.ParseList reads, digests and
// unique prefixes of them, and references. local is what "local" stands for.
// Errors are fault.Usage; what could be a reference is judged by Choose, which
// knows what entries were added from.
func ParseWanted(values []string, local platform.Platform) (Wanted, error) {
	var w Wanted
	var plain []string
	for _, value := range values {
		parts := []string{value}
		if !strings.Contains(value, "{") {
			parts = strings.Split(value, ",")
		}
		for _, part := range parts {
			part = strings.TrimSpace(part)
			_, err := platform.ParseList([]string{part}, local)
			if err == nil {
				plain = append(plain, part)
				continue
			}
			e := wantedEntry{strict: err}
			var invalid error
			if e.selector, invalid = ParseSelector(part); invalid != nil {
				return Wanted{}, err
			}
			if prefixPattern().MatchString(part) {
				e.strict = nil
			}
			w.entries = append(w.entries, e)
		}
	}
	var err error
	w.platforms, err = platform.ParseList(plain, local)
	return w, err
}

// IsZero reports whether nothing is asked for.
func (w Wanted) IsZero() bool { return w.platforms.IsZero() && len(w.entries) == 0 }

// IsAll reports whether everything is asked for, by "all".
func (w Wanted) IsAll() bool { return w.platforms.All }

// single reports whether one thing is asked for by its name, not by a pattern.
func (w Wanted) single() bool {
	f := w.platforms.Filters
	return !w.platforms.All && len(f)+len(w.entries) == 1 && (len(f) == 0 || f[0].Glob == "")
}

// Choose is i with the entries wanted, and the attestations of the images among
// them. It is a requirement: what is not there is a fault.NotFound that lists
// what there is. "all", and asking for nothing, give i itself. one is the entry
// that a single value means, nil where there are several or a pattern was given.
func (i Index) Choose(w Wanted, o Origins) (chosen Index, one *Entry, err error) {
	if w.platforms.All || w.IsZero() {
		return i, nil, nil
	}
	at, err := i.wanted(w, o)
	if err != nil {
		return Index{}, nil, err
	}
	images := map[v1.Hash]bool{}
	for n := range at {
		images[i.entries[n].Descriptor.Digest] = true
	}
	kept := make([]slot, 0, len(i.entries))
	for n, e := range i.entries {
		if at[n] || e.IsAttestation && images[e.AttestationOf] {
			kept = append(kept, e)
		}
		if at[n] && len(images) == 1 && w.single() && one == nil {
			entry := e.clone()
			one = &entry
		}
	}
	if len(kept) == len(i.entries) {
		return i, one, nil
	}
	return i.edited(kept), one, nil
}

// wanted gives the positions of the entries that w names.
func (i Index) wanted(w Wanted, o Origins) (map[int]bool, error) {
	at := map[int]bool{}
	var missing []string
	for _, f := range w.platforms.Filters {
		found := false
		for n, e := range i.entries {
			if e.HasPlatform() && f.Match(e.Platform) {
				found, at[n] = true, true
			}
		}
		if !found {
			missing = append(missing, "'"+f.String()+"'")
		}
	}
	if len(missing) > 0 {
		return nil, fault.New(fault.NotFound, "choosing platforms: %s not found; %s", strings.Join(missing, ", "), i.found())
	}
	var errs []error
	for _, e := range w.entries {
		positions, err := i.resolve(e.selector.From(o), true)
		if e.strict != nil && fault.Is(err, fault.NotFound) {
			err = e.strict
		}
		errs = append(errs, err)
		for _, n := range positions {
			at[n] = true
		}
	}
	return at, errors.Join(errs...)
}

// Filter is i with the platforms asked for, and the attestations of their
// images. It is a requirement: a platform that is not there, or a pattern that
// matches nothing, is a fault.NotFound that lists the platforms found. "all",
// and a list that asks for nothing, give i itself.
func (i Index) Filter(want platform.List) (Index, error) {
	chosen, _, err := i.Choose(Wanted{platforms: want}, nil)
	return chosen, err
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
