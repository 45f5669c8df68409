package platform

import (
	"slices"
	"strings"

	"github.com/multipack/multipack/internal/fault"
)

// Change says which fields of a platform get another value; a nil one stays.
type Change struct {
	OS, Arch, Variant, OSVersion *string
	Features                     []string
	// ClearFeatures takes the features away that Features does not name.
	ClearFeatures bool
}

// IsZero reports whether nothing changes.
func (c Change) IsZero() bool {
	return c.OS == nil && c.Arch == nil && c.Variant == nil && c.OSVersion == nil && len(c.Features) == 0 && !c.ClearFeatures
}

// With is p after a change. What belongs to a field that got another value goes
// with the old one: the variant with the architecture, the version and the
// features with the os. Os and architecture are written as Go calls them; a
// variant stays as it is said ("v8" of arm64 is not left out). It is strict as
// Parse is, and wants both os and architecture: every error is a fault.Usage.
func (p Platform) With(c Change) (Platform, error) {
	out := p
	if c.OS != nil {
		out.OS = *c.OS
		if !strings.EqualFold(out.OS, p.OS) {
			out.OSVersion, out.Features = "", ""
		}
	}
	if c.Arch != nil {
		out.Arch = *c.Arch
		if (Platform{Arch: out.Arch}).Normalize().Arch != (Platform{Arch: p.Arch}).Normalize().Arch {
			out.Variant = ""
		}
	}
	if c.Variant != nil {
		out.Variant = *c.Variant
	}
	if c.OSVersion != nil {
		out.OSVersion = *c.OSVersion
	}
	if c.ClearFeatures || len(c.Features) > 0 {
		out.Features = features(c.Features)
	}
	return out.spelled()
}

// spelled checks p and spells its os and architecture.
func (p Platform) spelled() (Platform, error) {
	switch {
	case p.OS == "" && p.Arch == "":
		return Platform{}, fault.New(fault.Usage, "setting the platform: it has neither os nor architecture")
	case p.OS == "":
		return Platform{}, fault.New(fault.Usage, "setting the platform: it has no os, only the architecture '%s'", p.Arch)
	case p.Arch == "":
		return Platform{}, fault.New(fault.Usage, "setting the platform: it has no architecture, only the os '%s'", p.OS)
	case strings.ContainsAny(p.OSVersion, " \t\r\n,/@"):
		return Platform{}, fault.New(fault.Usage, "setting the platform: '%s' is no os version", p.OSVersion)
	}
	known, err := checked(p)
	if err != nil {
		return Platform{}, fault.New(fault.Usage, "setting the platform: %w", err)
	}
	variant := known.Variant
	switch {
	case p.Variant != "" && variant == "":
		variant = "v" + strings.TrimPrefix(strings.ToLower(p.Variant), "v")
	case p.Variant == "" && (Platform{Arch: known.Arch}).Normalize().Variant == variant:
		variant = "" // nobody said it
	}
	p.OS, p.Arch, p.Variant = known.OS, known.Arch, variant
	return p, nil
}

// Contradicts reports whether p and q say different things: fields that one of
// them leaves open do not count. An arm without a variant is an arm/v7.
func (p Platform) Contradicts(q Platform) bool {
	p, q = p.Normalize(), q.Normalize()
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	return differ(p.OS, q.OS) || differ(p.Arch, q.Arch) || differ(p.Variant, q.Variant) ||
		differ(p.OSVersion, q.OSVersion) || differ(p.Features, q.Features)
}

func features(given []string) string {
	var out []string
	for _, g := range given {
		for f := range strings.SplitSeq(g, ",") {
			if f = strings.TrimSpace(f); f != "" {
				out = append(out, f)
			}
		}
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ",")
}
