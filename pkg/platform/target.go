package platform

import (
	"strings"

	"github.com/multipack/multipack/internal/fault"
)

// Target is what to build for: a platform and, optionally, the distribution
// it is for. The distribution's version is also the platform's os.version, as
// pack writes it.
type Target struct {
	Platform Platform
	Distro   Distro
	// Path is the folder of the target under the buildpack's root (RFC 0128,
	// "path" of [[targets]]), "" for the folder found by convention.
	Path string
}

// Distro is a distribution, e.g. ubuntu 24.04.
type Distro struct{ Name, Version string }

// String is name@version, "" for the zero Distro.
func (d Distro) String() string {
	if d.Version == "" {
		return d.Name
	}
	return d.Name + "@" + d.Version
}

// Suffix is the target as a file name ends with it:
// os-arch[-variant][-distro-version].
func (t Target) Suffix() string {
	p := t.Platform
	if t.Distro.Name == "" {
		return p.Suffix()
	}
	p.OSVersion = ""
	return p.Suffix() + "-" + Platform{OS: t.Distro.Name, Arch: t.Distro.Version}.Suffix()
}

// String is the target in pack's grammar.
func (t Target) String() string {
	if t.Distro.Name == "" {
		return t.Platform.String()
	}
	p := t.Platform
	p.OSVersion = ""
	return p.String() + ":" + t.Distro.String()
}

// ParseTarget reads pack's --target grammar,
// os/arch[/variant][:distro@version[;distro@version]]; one target for each
// distribution version. pack's help also advertises several versions of one
// distribution (distro@v1@v2); that form is accepted too. Errors are fault.Usage.
func ParseTarget(s string) ([]Target, error) {
	spec, distros, has := strings.Cut(s, ":")
	p, err := Parse(spec)
	if err != nil {
		return nil, fault.New(fault.Usage, "parsing target '%s': %w", s, err)
	}
	if !has {
		return []Target{{Platform: p}}, nil
	}
	var out []Target
	for d := range strings.SplitSeq(distros, ";") {
		name, versions, _ := strings.Cut(d, "@")
		if name == "" || strings.ContainsAny(name, "/: ") {
			return nil, fault.New(fault.Usage, "parsing target '%s': '%s' is no distribution, write name@version", s, d)
		}
		if versions == "" {
			out = append(out, Target{Platform: p, Distro: Distro{Name: name}})
			continue
		}
		for v := range strings.SplitSeq(versions, "@") {
			if v == "" || strings.ContainsAny(v, "/: ") {
				return nil, fault.New(fault.Usage, "parsing target '%s': '%s' has an empty or impossible version", s, d)
			}
			t := Target{Platform: p, Distro: Distro{Name: name, Version: v}}
			t.Platform.OSVersion = v
			out = append(out, t)
		}
	}
	return out, nil
}
