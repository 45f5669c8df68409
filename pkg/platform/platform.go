// Package platform holds the platform value: what an image runs on, as the
// OCI image index specification describes it ("platform" of a descriptor).
package platform

import (
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Platform is a comparable value: two platforms are the same platform exactly
// when their normalised values are ==. Empty fields mean "not said".
type Platform struct {
	OS, Arch, Variant, OSVersion string
	// Features are the os.features, sorted and joined by commas.
	Features string
}

// Normalize gives the canonical spelling: aliases of os and architecture
// resolved, lower case, arm64's v8 and arm's missing variant made one with
// their other spelling (containerd's platforms.Normalize and Docker do so).
func (p Platform) Normalize() Platform {
	p.OS = strings.ToLower(p.OS)
	p.Arch = strings.ToLower(p.Arch)
	p.Variant = strings.ToLower(p.Variant)
	if a, ok := osAliases[p.OS]; ok {
		p.OS = a
	}
	switch p.Arch {
	case "armhf":
		p.Arch, p.Variant = "arm", orElse(p.Variant, "v7")
	case "armel":
		p.Arch, p.Variant = "arm", orElse(p.Variant, "v6")
	}
	if a, ok := archAliases[p.Arch]; ok {
		p.Arch = a
	}
	switch {
	case p.Arch == "arm64" && (p.Variant == "v8" || p.Variant == "8"):
		p.Variant = ""
	case p.Arch == "arm" && p.Variant == "":
		p.Variant = "v7"
	case p.Arch == "arm" && len(p.Variant) == 1:
		p.Variant = "v" + p.Variant
	case p.Arch == "amd64" && p.Variant == "v1":
		p.Variant = ""
	}
	if p.Features != "" {
		f := strings.Split(p.Features, ",")
		slices.Sort(f)
		p.Features = strings.Join(slices.Compact(f), ",")
	}
	return p
}

func orElse(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// IsZero reports whether nothing is said.
func (p Platform) IsZero() bool { return p == Platform{} }

// Match reports whether p satisfies want: an empty field of want matches
// anything, every other must be equal after normalising; all features of want
// must be among p's. Note that "arm" in want means arm/v7, as everywhere.
func (p Platform) Match(want Platform) bool {
	p, want = p.Normalize(), want.Normalize()
	if want.OS != "" && want.OS != p.OS ||
		want.Arch != "" && want.Arch != p.Arch ||
		want.Variant != "" && want.Variant != p.Variant ||
		want.OSVersion != "" && want.OSVersion != p.OSVersion {
		return false
	}
	if want.Features != "" {
		have := strings.Split(p.Features, ",")
		for f := range strings.SplitSeq(want.Features, ",") {
			if !slices.Contains(have, f) {
				return false
			}
		}
	}
	return true
}

// String is os/arch[/variant][:osversion], the form that Parse takes (features
// have no such form and are left out).
func (p Platform) String() string {
	s := p.OS
	if p.Arch != "" || p.Variant != "" {
		s += "/" + p.Arch
	}
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	if p.OSVersion != "" {
		s += ":" + p.OSVersion
	}
	return s
}

// Suffix is the platform as a tag or file name ends with it:
// os-arch[-variant][-osversion], with every character that a tag does not
// allow replaced by '-'.
func (p Platform) Suffix() string {
	parts := []string{p.OS}
	for _, s := range []string{p.Arch, p.Variant, p.OSVersion} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '-'
	}, strings.Join(parts, "-"))
}

// FromV1 converts a descriptor's platform; nil is the zero Platform. The
// result is not normalised.
func FromV1(p *v1.Platform) Platform {
	if p == nil {
		return Platform{}
	}
	f := slices.Clone(p.OSFeatures)
	slices.Sort(f)
	return Platform{OS: p.OS, Arch: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion, Features: strings.Join(slices.Compact(f), ",")}
}

// FromConfig is the platform that an image's config file declares.
func FromConfig(c *v1.ConfigFile) Platform {
	f := slices.Clone(c.OSFeatures)
	slices.Sort(f)
	return Platform{OS: c.OS, Arch: c.Architecture, Variant: c.Variant, OSVersion: c.OSVersion, Features: strings.Join(f, ",")}
}

// V1 converts to a descriptor's platform.
func (p Platform) V1() *v1.Platform {
	out := &v1.Platform{OS: p.OS, Architecture: p.Arch, Variant: p.Variant, OSVersion: p.OSVersion}
	if p.Features != "" {
		out.OSFeatures = strings.Split(p.Features, ",")
	}
	return out
}

// Local is the platform of this machine as a container sees it: what the word
// "local" stands for. Desktop systems run Linux containers, so darwin is linux.
func Local() Platform {
	os := runtime.GOOS
	if os == "darwin" {
		os = "linux"
	}
	return Platform{OS: os, Arch: runtime.GOARCH}.Normalize()
}
