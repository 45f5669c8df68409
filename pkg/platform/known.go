package platform

import "slices"

// The operating systems and architectures are those of the Go ports list,
// which the OCI image specification names as the source of both fields.
var (
	osAliases   = map[string]string{"macos": "darwin"}
	archAliases = map[string]string{
		"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "i486": "386", "i586": "386", "i686": "386",
	}
	knownOS = []string{
		"aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux",
		"netbsd", "openbsd", "plan9", "solaris", "wasip1", "windows",
	}
	knownArch = []string{
		"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle",
		"ppc64", "ppc64le", "riscv64", "s390x", "wasm",
	}
	knownVariants = map[string][]string{
		"arm":     {"v5", "v6", "v7", "v8"},
		"arm64":   {"v8", "v9"},
		"amd64":   {"v1", "v2", "v3", "v4"},
		"386":     {"softfloat", "sse2"},
		"ppc64":   {"power8", "power9", "power10"},
		"ppc64le": {"power8", "power9", "power10"},
		"mips":    {"hardfloat", "softfloat"}, "mipsle": {"hardfloat", "softfloat"},
		"mips64": {"hardfloat", "softfloat"}, "mips64le": {"hardfloat", "softfloat"},
		"riscv64": {"rva20u64", "rva22u64", "rva23u64"},
		"wasm":    {"satconv", "signext"},
	}
)

func knownVariant(arch, variant string) bool {
	if slices.Contains(knownVariants[arch], variant) {
		return true
	}
	// "v8.2", "v9.1": later revisions of an arm version.
	if arch == "arm64" && len(variant) > 3 && (variant[:3] == "v8." || variant[:3] == "v9.") {
		for _, c := range variant[3:] {
			if c < '0' || c > '9' {
				return false
			}
		}
		return true
	}
	return false
}

// nearest is the candidate with the smallest edit distance to s, transposed
// neighbours counting as one edit.
func nearest(s string, candidates []string) string {
	best, bestDist := "", 1<<30
	for _, c := range candidates {
		if d := distance(s, c); d < bestDist {
			best, bestDist = c, d
		}
	}
	return best
}

func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
