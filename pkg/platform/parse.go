package platform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
)

// Parse reads os/arch[/variant][:osversion], or the OCI platform object as
// JSON where s starts with '{'. The result is normalised. It is strict (an
// unknown os, architecture or variant is an error that names the nearest known
// one) and never looks at the host: "local" and "all" are for ParseList.
// Every error is a fault.Usage.
func Parse(s string) (Platform, error) {
	p, err := parse(s)
	if err != nil {
		return Platform{}, fault.New(fault.Usage, "parsing platform '%s': %w", s, err)
	}
	return p, nil
}

func parse(s string) (Platform, error) {
	if strings.HasPrefix(s, "{") {
		return parseJSON(s)
	}
	spec, version, hasVersion := strings.Cut(s, ":")
	if hasVersion && version == "" {
		return Platform{}, fmt.Errorf("nothing follows the ':' that introduces the os version")
	}
	if strings.ContainsAny(version, " \t\r\n,/@") {
		return Platform{}, fmt.Errorf("'%s' is no os version", version)
	}
	parts := strings.Split(spec, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return Platform{}, fmt.Errorf("a platform is os/arch[/variant][:osversion]")
	}
	p := Platform{OS: parts[0], Arch: parts[1], OSVersion: version}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return checked(p)
}

func parseJSON(s string) (Platform, error) {
	dec := json.NewDecoder(bytes.NewReader([]byte(s)))
	dec.DisallowUnknownFields()
	var raw v1.Platform
	if err := dec.Decode(&raw); err != nil {
		return Platform{}, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return Platform{}, fmt.Errorf("text follows the JSON object")
	}
	return checked(FromV1(&raw))
}

// checked normalises p and refuses what no port of Go is called.
func checked(p Platform) (Platform, error) {
	given := p
	p = p.Normalize()
	if p.OS == "" || p.Arch == "" {
		return Platform{}, fmt.Errorf("os and architecture have to be named")
	}
	if !slices.Contains(knownOS, p.OS) {
		return Platform{}, fmt.Errorf("unknown os '%s', did you mean '%s'?", given.OS, nearest(p.OS, append(slices.Clone(knownOS), "macos")))
	}
	if !slices.Contains(knownArch, p.Arch) {
		return Platform{}, fmt.Errorf("unknown architecture '%s', did you mean '%s'?", given.Arch, nearest(p.Arch, append(slices.Clone(knownArch), "x86_64", "aarch64")))
	}
	if p.Variant != "" && !knownVariant(p.Arch, p.Variant) {
		if known := knownVariants[p.Arch]; len(known) > 0 {
			return Platform{}, fmt.Errorf("unknown variant '%s' of '%s', did you mean '%s'?", given.Variant, p.Arch, nearest(p.Variant, known))
		}
		return Platform{}, fmt.Errorf("unknown variant '%s': '%s' has none", given.Variant, p.Arch)
	}
	return p, nil
}

// List is what the values of a repeated --platform flag ask for.
type List struct {
	// All is set where one value is "all".
	All bool
	// Filters hold one element per value, in the order given, duplicates removed.
	Filters []Filter
}

// Platforms are the list's platforms where none of them is a glob; an error
// (fault.Usage) names the first glob.
func (l List) Platforms() ([]Platform, error) {
	out := make([]Platform, 0, len(l.Filters))
	for _, f := range l.Filters {
		if f.Glob != "" {
			return nil, fault.New(fault.Usage, "parsing platform '%s': a pattern is only possible where existing platforms are chosen", f.Glob)
		}
		out = append(out, f.Platform)
	}
	return out, nil
}

// IsZero reports whether no platform was asked for.
func (l List) IsZero() bool { return !l.All && len(l.Filters) == 0 }

// Filter is one required platform, or a pattern over os/arch[/variant].
type Filter struct {
	Platform Platform
	// Glob is the pattern ("linux/*", "linux/arm*"); "" where Platform is meant.
	Glob string
}

// Match reports whether p is what the filter asks for. A glob is matched
// (path.Match, per element) against os/arch and os/arch/variant.
func (f Filter) Match(p Platform) bool {
	if f.Glob == "" {
		want := f.Platform.Normalize()
		have := p.Normalize()
		// A named platform without a variant means that platform, not all its
		// variants: arm64 is not arm64/v9.
		return have.Match(want) && have.Variant == want.Variant
	}
	p = p.Normalize()
	pattern := f.Glob
	short := Platform{OS: p.OS, Arch: p.Arch}.String()
	long := Platform{OS: p.OS, Arch: p.Arch, Variant: p.Variant}.String()
	for _, candidate := range []string{short, long, p.String()} {
		if ok, err := path.Match(pattern, candidate); err == nil && ok {
			return true
		}
	}
	return false
}

// String is the filter as it was given.
func (f Filter) String() string {
	if f.Glob != "" {
		return f.Glob
	}
	return f.Platform.String()
}

// ParseList reads the values of a repeated flag: each a platform, a JSON
// object, "local", "all", a pattern, or several of these separated by commas
// (not inside JSON). local is what "local" stands for. Errors are fault.Usage.
func ParseList(values []string, local Platform) (List, error) {
	var out List
	for _, value := range values {
		for _, item := range splitValues(value) {
			switch {
			case item == "all":
				out.All = true
			case item == "local":
				out.add(Filter{Platform: local.Normalize()})
			case !strings.HasPrefix(item, "{") && strings.ContainsAny(item, "*?["):
				if _, err := path.Match(item, ""); err != nil {
					return List{}, fault.New(fault.Usage, "parsing platform pattern '%s': %w", item, err)
				}
				out.add(Filter{Glob: strings.ToLower(item)})
			default:
				p, err := Parse(item)
				if err != nil {
					return List{}, err
				}
				out.add(Filter{Platform: p})
			}
		}
	}
	return out, nil
}

func (l *List) add(f Filter) {
	if !slices.Contains(l.Filters, f) {
		l.Filters = append(l.Filters, f)
	}
}

// splitValues cuts at the commas that stand outside JSON objects.
func splitValues(s string) []string {
	var out []string
	depth, start, quoted, escaped := 0, 0, false, false
	for i, r := range s {
		switch {
		case escaped:
			escaped = false
		case quoted && r == '\\':
			escaped = true
		case r == '"' && depth > 0:
			quoted = !quoted
		case quoted:
		case r == '{':
			depth++
		case r == '}':
			depth--
		case r == ',' && depth <= 0:
			out = append(out, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	return append(out, strings.TrimSpace(s[start:]))
}
