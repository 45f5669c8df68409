package announce

import (
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// maxTag is the length that the distribution specification allows a tag
// ([a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}).
const maxTag = 128

// Tag is the announcement tag of a platform: TAG-os-arch[-variant][-osversion],
// of the normalised platform. A name longer than a tag may be is a fault.Usage.
func Tag(tag string, p platform.Platform) (string, error) {
	name := tag + "-" + p.Normalize().Suffix()
	if len(name) > maxTag {
		return "", fault.Hint(fault.New(fault.Usage,
			"announcing %s for tag '%s': the tag '%s' would have %d characters, a registry allows %d", p, tag, name, len(name), maxTag),
			"choose a shorter tag, or pass --no-announce where no other job writes this tag")
	}
	return name, nil
}

// suffixPlatform reads what follows "TAG-" in an announcement tag. It is the
// cheap first look at a listed tag: ok is false for a name that no platform
// could have given, so that '1.0-jammy', '1.0-linux-notes' and, for tag '1',
// '1-2-linux-amd64' are never fetched. A true answer only makes a candidate: what the tag
// holds has to agree. os.version is as the tag spells it.
func suffixPlatform(suffix string) (platform.Platform, bool) {
	parts := strings.SplitN(suffix, "-", 4)
	if len(parts) < 2 {
		return platform.Platform{}, false
	}
	for i := min(3, len(parts)); i >= 2; i-- { // a third part is a variant where one is known by that name
		spec := strings.Join(parts[:i], "/")
		if rest := strings.Join(parts[i:], "-"); rest != "" {
			spec += ":" + rest
		}
		p, err := platform.Parse(spec)
		if err == nil && p.Suffix() == suffix {
			return p, true
		}
	}
	return platform.Platform{}, false
}

// candidate reports whether name could be an announcement for tag, and the
// platform that the name spells.
func candidate(tag, name string) (platform.Platform, bool) {
	suffix, ok := strings.CutPrefix(name, tag+"-")
	if !ok {
		return platform.Platform{}, false
	}
	return suffixPlatform(suffix)
}
