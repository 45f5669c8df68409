package manifest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
)

var prefixPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(sha256:)?[0-9a-f]{8,64}$`) })

// listed is how many entries a message names.
const listed = 20

// Origins tells which references an entry was added from; nil knows none.
type Origins func(v1.Hash) []string

// Selector means entries of an index: by platform, by digest or the beginning
// of one, or by the reference that they were added from.
type Selector struct {
	given    string
	platform *platform.Platform
	prefix   string // hexadecimal digits of a digest
	ref      *reference.Ref
	origins  Origins
}

// ParseSelector reads a platform (os/arch…), a digest or its first 8 or more
// hexadecimal digits, with "sha256:" or without, or a reference. A reference
// with a digest, as pack writes it, means that digest. What is none of these
// is a fault.Usage.
func ParseSelector(s string) (Selector, error) {
	sel := Selector{given: s}
	if p, err := platform.Parse(s); err == nil {
		sel.platform = &p
		return sel, nil
	} else if strings.HasPrefix(s, "{") {
		return Selector{}, err
	}
	if prefixPattern().MatchString(s) {
		sel.prefix = strings.TrimPrefix(s, "sha256:")
		if strings.HasPrefix(s, "sha256:") {
			return sel, nil
		}
	}
	ref, err := reference.Parse(s, nil)
	switch {
	case err != nil && sel.prefix != "":
		return sel, nil
	case err != nil || strings.HasPrefix(s, "sha256:"):
		return Selector{}, fault.New(fault.Usage,
			"parsing selector '%s': it is no platform (os/arch), no digest or at least 8 hexadecimal digits of one, and no reference", s)
	}
	sel.ref = &ref
	return sel, nil
}

// ByPlatform selects the entry of a platform.
func ByPlatform(p platform.Platform) Selector {
	p = p.Normalize()
	return Selector{given: p.String(), platform: &p}
}

// ByDigest selects the entry with a digest.
func ByDigest(h v1.Hash) Selector { return Selector{given: h.String(), prefix: h.Hex} }

// From lets the selector find entries by the references they were added from.
func (s Selector) From(o Origins) Selector {
	s.origins = o
	return s
}

// String is the selector as it was given.
func (s Selector) String() string { return s.given }

// Select gives the entries that the selector means, one at least. Errors: as Remove.
func (i Index) Select(s Selector) ([]Entry, error) {
	at, err := i.resolve(s, true)
	if err != nil {
		return nil, err
	}
	out := make([]Entry, 0, len(at))
	for _, n := range at {
		out = append(out, i.entries[n].clone())
	}
	return out, nil
}

// SelectOne gives the one entry that the selector means. Errors: as Edit.
func (i Index) SelectOne(s Selector) (Entry, error) {
	at, err := i.resolve(s, false)
	if err != nil {
		return Entry{}, err
	}
	return i.entries[at[0]].clone(), nil
}

// resolve gives the positions of the entries meant.
func (i Index) resolve(s Selector, several bool) ([]int, error) {
	at, all := i.matches(s)
	if len(at) == 0 {
		return nil, fault.New(fault.NotFound, "looking for entry '%s': there is none; %s", s, i.describe(nil))
	}
	if len(at) > 1 && !(several && all) {
		return nil, fault.Hint(fault.New(fault.Usage, "looking for entry '%s': several match: %s", s, i.describe(at)),
			"name one by its digest")
	}
	return at, nil
}

// matches gives the positions that fit, and whether all of them are meant.
func (i Index) matches(s Selector) (at []int, all bool) {
	find := func(fits func(Entry) bool) []int {
		var out []int
		for n, e := range i.entries {
			if fits(e.Entry) {
				out = append(out, n)
			}
		}
		return out
	}
	if s.platform != nil {
		// What says all that the entry says comes before what says less of it:
		// "windows/amd64" is the entry without os.version, if there is one.
		if at = find(func(e Entry) bool { return e.Platform == *s.platform }); len(at) > 0 {
			return at, true
		}
		wanted := platform.Filter{Platform: *s.platform}
		return find(func(e Entry) bool { return e.HasPlatform() && wanted.Match(e.Platform) }), false
	}
	if s.prefix != "" {
		at = find(func(e Entry) bool { return strings.HasPrefix(e.Descriptor.Digest.Hex, s.prefix) })
		if len(at) > 0 {
			other := func(n int) bool { return i.entries[n].Descriptor.Digest != i.entries[at[0]].Descriptor.Digest }
			return at, !slices.ContainsFunc(at, other)
		}
	}
	if s.ref == nil {
		return nil, false
	}
	if s.ref.Digest != "" {
		at = find(func(e Entry) bool { return e.Descriptor.Digest.String() == s.ref.Digest })
		if len(at) > 0 {
			return at, true
		}
	}
	return find(func(e Entry) bool { return s.isFrom(e) }), true
}

// isFrom reports whether e was added from the selector's reference, whichever
// way either is spelled.
func (s Selector) isFrom(e Entry) bool {
	if s.origins == nil {
		return false
	}
	for _, origin := range s.origins(e.Descriptor.Digest) {
		if origin == s.given {
			return true
		}
		o, err := reference.Parse(origin, nil)
		if err != nil || o.Kind != s.ref.Kind || o.Path != s.ref.Path || (o.Name == nil) != (s.ref.Name == nil) {
			continue
		}
		if o.Name != nil && o.Name.Name() == s.ref.Name.Name() || o.Name == nil && o.Tag == s.ref.Tag && o.Digest == s.ref.Digest {
			return true
		}
	}
	return false
}

// describe lists entries for a message; nil means all of them.
func (i Index) describe(at []int) string {
	all := at == nil
	if all {
		if len(i.entries) == 0 {
			return "the index is empty"
		}
		for n := range i.entries {
			at = append(at, n)
		}
	}
	var names []string
	for _, n := range at[:min(listed, len(at))] {
		names = append(names, i.entries[n].String())
	}
	text := strings.Join(names, ", ")
	if more := len(at) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if all {
		text = "the entries are " + text
	}
	return text
}
