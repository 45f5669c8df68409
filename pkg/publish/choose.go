package publish

import (
	"strconv"
	"strings"

	"github.com/multipack/multipack/pkg/platform"
)

// choose is the position of the platform that a machine of the platform want
// runs best: the same one, else the newest older variant of its architecture
// (arm/v6 on arm/v7). -1 when it runs none. os.version is not looked at; the
// first of several wins.
func choose(have []platform.Platform, want platform.Platform) int {
	want = want.Normalize()
	best, bestRank := -1, -1
	for i, p := range have {
		p = p.Normalize()
		if p.OS != want.OS || p.Arch != want.Arch {
			continue
		}
		if p.Variant == want.Variant {
			return i
		}
		rank, ok := variantRank(p)
		limit, known := variantRank(want)
		if ok && known && rank <= limit && rank > bestRank {
			best, bestRank = i, rank
		}
	}
	return best
}

// variantRank orders the variants of an architecture, where a later one runs
// what is made for an earlier one.
func variantRank(p platform.Platform) (int, bool) {
	switch {
	case p.Variant == "" && p.Arch == "arm64":
		return 80, true
	case p.Variant == "" && p.Arch == "amd64":
		return 10, true
	}
	v, ok := strings.CutPrefix(p.Variant, "v")
	if !ok {
		return 0, false
	}
	major, minor, _ := strings.Cut(v, ".")
	rank, err := strconv.Atoi(major)
	if err != nil {
		return 0, false
	}
	if minor == "" {
		return rank * 10, true
	}
	m, err := strconv.Atoi(minor)
	return rank*10 + min(m, 9), err == nil
}

// platforms are those of some images, and their names for messages.
func platforms(parts []part) (all []platform.Platform, names string) {
	list := make([]string, len(parts))
	for i, p := range parts {
		all = append(all, p.platform())
		if list[i] = p.platform().String(); list[i] == "" {
			list[i] = "unknown"
		}
	}
	return all, strings.Join(list, ", ")
}
