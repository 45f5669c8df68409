package reference

import (
	"strings"

	"github.com/multipack/multipack/internal/fault"
)

// Forms lists every form of a reference, for hints and help texts.
const Forms = "[docker://][HOST[:PORT]/]REPO[:TAG][@DIGEST], docker-daemon:NAME, oci-layout://PATH[:TAG][@DIGEST], " +
	"oci:PATH[:TAG][@DIGEST], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], FILE.cnb, local:NAME or -"

// hinted adds the nearest form to the error about s, or all forms.
func hinted(s string, err error) error {
	if near := nearest(s); near != "" && near != s {
		if _, bad := parse(near, nil); bad == nil {
			return fault.Hint(err, "did you mean '%s'?", near)
		}
	}
	return fault.Hint(err, "a reference is %s", Forms)
}

// nearest is s with the scheme spelled as it was probably meant; "" where
// nothing comes near.
func nearest(s string) string {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok {
		return ""
	}
	lower := strings.ToLower(scheme)
	path := rest
	if strings.HasPrefix(path, "/") {
		path = "/" + strings.TrimLeft(path, "/")
	}
	bare := strings.TrimLeft(rest, "/")
	if bare == "" || strings.HasPrefix(bare, ":") {
		return ""
	}
	switch lower {
	case "oci-layout":
		return schemeLayout + path
	case "oci":
		return schemeOCI + path
	case "docker", "http", "https":
		return schemeDocker + bare
	case "file", "dir":
		return path
	}
	for _, known := range []struct{ word, scheme, rest string }{
		{"docker-daemon", schemeDaemon, bare}, {"oci-archive", schemeArchive, path}, {"docker-archive", schemeDockerArchive, path},
		{"oci-layout", schemeLayout, path}, {"local", schemeLocal, bare}, {"docker", schemeDocker, bare},
	} {
		if within(lower, known.word, 2) {
			return known.scheme + known.rest
		}
	}
	return ""
}

// within reports whether a becomes b with at most limit insertions, deletions
// or replacements of one character.
func within(a, b string, limit int) bool {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)] <= limit
}
