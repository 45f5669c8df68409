package reference

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/multipack/multipack/internal/fault"
)

// The schemes, as they are written.
const (
	schemeDocker        = "docker://"
	schemeDaemon        = "docker-daemon:"
	schemeLayout        = "oci-layout://"
	schemeOCI           = "oci:"
	schemeArchive       = "oci-archive:"
	schemeDockerArchive = "docker-archive:"
	schemeLocal         = "local:"
)

// Stat tells Parse whether a path is there. Parse itself never looks at the
// disk. A nil Stat says that nothing exists.
type Stat func(path string) (exists, isDir bool)

func (s Stat) exists(path string) bool {
	if s == nil || path == "" {
		return false
	}
	ok, _ := s(path)
	return ok
}

func (s Stat) dir(path string) bool {
	if s == nil || path == "" {
		return false
	}
	ok, dir := s(path)
	return ok && dir
}

// layout reports whether path is a directory that holds an OCI image layout.
func (s Stat) layout(path string) bool {
	return s.dir(path) && (s.exists(filepath.Join(path, "oci-layout")) || s.exists(filepath.Join(path, "index.json")))
}

// Parse reads a reference in any of the forms of docs/cli, "References".
//
// A string without a scheme is a File when it ends in ".cnb", when a file of
// that name exists, or when it can only be a path ("/x", "./x", "../x"); it is
// a Layout when it is a directory that holds one; else it is a registry's.
//
// In PATH[:TAG][@DIGEST] a path that exists as written wins over splitting it,
// and the longest existing path over a shorter one; where nothing exists the
// path ends at the first ':' below the deepest existing directory. A PATH that
// does not exist below a directory that is a layout is an image name within that layout:
// oci-layout://DIR/alpine:3.16 is DIR with Tag "alpine:3.16".
//
// Every error is a fault.Usage; its hint names the form that comes nearest, or
// all forms.
func Parse(s string, stat Stat) (Ref, error) {
	ref, err := parse(s, stat)
	if err != nil {
		return Ref{}, hinted(s, fault.New(fault.Usage, "parsing reference '%s': %w", Redacted(s), err))
	}
	ref.Given = s
	return ref, nil
}

func parse(s string, stat Stat) (Ref, error) {
	if strings.ContainsAny(s, "\x00\n\r") {
		return Ref{}, fmt.Errorf("it holds a control character")
	}
	switch scheme, rest := cutScheme(s); scheme {
	case schemeDocker:
		return parseNamed(Registry, rest)
	case schemeDaemon:
		return parseNamed(Daemon, rest)
	case schemeLocal:
		tag, err := ParseListName(rest)
		if err != nil {
			return Ref{}, fault.New(fault.Usage, "'%s' is no list name", rest)
		}
		return Ref{Kind: Local, Name: tag}, nil
	case schemeLayout:
		return parsePathed(Layout, rest, stat)
	case schemeOCI:
		if strings.HasPrefix(rest, "//") && !stat.exists(rest) {
			return Ref{}, fmt.Errorf("'%s' takes no '//'", schemeOCI)
		}
		return parsePathed(Layout, rest, stat)
	case schemeArchive:
		return parsePathed(Archive, rest, stat)
	case schemeDockerArchive:
		return parseDockerArchive(rest, stat)
	}
	return parseNaked(s, stat)
}

// cutScheme splits off a scheme that multipack knows; "" where there is none.
func cutScheme(s string) (scheme, rest string) {
	for _, scheme := range []string{
		schemeDocker, schemeDaemon, schemeLayout, schemeArchive, schemeDockerArchive, schemeOCI, schemeLocal,
	} {
		if rest, ok := strings.CutPrefix(s, scheme); ok {
			return scheme, rest
		}
	}
	return "", s
}

func parseNamed(kind Kind, s string) (Ref, error) {
	n, tag, digest, err := parseName(s)
	if err != nil {
		return Ref{}, err
	}
	return Ref{Kind: kind, Name: n, Tag: tag, Digest: digest}, nil
}

func parseNaked(s string, stat Stat) (Ref, error) {
	if s == "-" {
		return Ref{Kind: Stdio}, nil
	}
	if strings.HasPrefix(s, "oci-layout:") {
		return Ref{}, fmt.Errorf("an OCI layout is '%sPATH'", schemeLayout)
	}
	if s == "" {
		return Ref{}, fmt.Errorf("it is empty")
	}
	path, digest := s, ""
	if !stat.exists(s) {
		var err error
		if path, digest, err = cutDigest(s); err != nil {
			path, digest = s, ""
		}
	}
	switch {
	case stat.layout(path):
		return Ref{Kind: Layout, Path: path, Digest: digest}, nil
	case stat.exists(path) && !stat.dir(path), strings.HasSuffix(path, ".cnb") && !strings.Contains(path, "://"):
		return Ref{Kind: File, Path: path, Digest: digest}, nil
	case stat.dir(path) && isPath(path):
		return Ref{}, fmt.Errorf("it is a directory without an OCI layout")
	case isPath(path):
		// It can be no image name; DIR:TAG of an existing layout is one more way
		// to say oci-layout://DIR:TAG.
		if at, tag := splitPath(path, stat); tag != "" && stat.layout(at) {
			return Ref{Kind: Layout, Path: at, Tag: tag, Digest: digest}, nil
		}
		return Ref{Kind: File, Path: path, Digest: digest}, nil
	}
	return parseNamed(Registry, s)
}

func isPath(s string) bool {
	return s != "/" && strings.HasPrefix(s, "/") || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../")
}

// parsePathed reads PATH[:TAG][@DIGEST].
func parsePathed(kind Kind, s string, stat Stat) (Ref, error) {
	if s == "" {
		return Ref{}, fmt.Errorf("no path follows the scheme")
	}
	if stat.exists(s) {
		return Ref{Kind: kind, Path: s}, nil
	}
	rest, digest, err := cutDigest(s)
	if err != nil {
		return Ref{}, err
	}
	path, tag := splitPath(rest, stat)
	if path == "" {
		return Ref{}, fmt.Errorf("no path follows the scheme")
	}
	if tag == "" && strings.HasSuffix(rest, ":") && path != rest {
		return Ref{}, fmt.Errorf("nothing follows the ':' that introduces the tag")
	}
	if kind == Layout && !stat.exists(path) {
		if dir, image := layoutAbove(rest, path, stat); dir != "" {
			path, tag = dir, image
		}
	}
	if tag != "" && !validTag(tag) {
		return Ref{}, fmt.Errorf("'%s' is neither a tag nor an image name", tag)
	}
	return Ref{Kind: kind, Path: path, Tag: tag, Digest: digest}, nil
}

// validTag: layouts hold plain tags, full image names, and whatever else their
// writers put into org.opencontainers.image.ref.name; the character set is that
// annotation's grammar in the OCI image specification.
func validTag(tag string) bool {
	for _, c := range tag {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-._:@/+", c) {
			continue
		}
		return false
	}
	return true
}

// parseDockerArchive reads FILE[:NAME].
func parseDockerArchive(s string, stat Stat) (Ref, error) {
	if s == "" {
		return Ref{}, fmt.Errorf("no file follows the scheme")
	}
	path, image := splitPath(s, stat)
	if path == "" {
		return Ref{}, fmt.Errorf("no file follows the scheme")
	}
	ref := Ref{Kind: DockerArchive, Path: path}
	if image == "" {
		if path != s {
			return Ref{}, fmt.Errorf("nothing follows the ':' that introduces the name")
		}
		return ref, nil
	}
	n, tag, digest, err := parseName(image)
	if err != nil {
		return Ref{}, err
	}
	ref.Name, ref.Tag, ref.Digest = n, tag, digest
	return ref, nil
}

// cutDigest splits a trailing @sha256:… off. An '@' that is followed by
// something else with a ':' in it and no '/' was meant to be a digest.
func cutDigest(s string) (rest, digest string, err error) {
	i := strings.LastIndexByte(s, '@')
	if i < 0 {
		return s, "", nil
	}
	after := s[i+1:]
	if digestPattern().MatchString(after) {
		return s[:i], after, nil
	}
	if strings.HasPrefix(after, "sha256") || strings.HasPrefix(after, "sha512") {
		return "", "", fmt.Errorf("'%s' is no digest: one is 'sha256:' and 64 hexadecimal digits", after)
	}
	return s, "", nil
}

// splitPath splits PATH[:TAG] where PATH may hold colons itself.
func splitPath(s string, stat Stat) (path, tag string) {
	if stat.exists(s) {
		return s, ""
	}
	for i := len(s) - 1; i > 0; i-- {
		switch {
		case s[i] == ':' && stat.exists(s[:i]):
			return s[:i], s[i+1:]
		case s[i] == '/' && stat.dir(s[:i+1]):
			// Nothing below this directory exists: the first colon after it ends the path.
			if path, tag, ok := strings.Cut(s[i+1:], ":"); ok {
				return s[:i+1] + path, tag
			}
			return s, ""
		}
	}
	path, tag, _ = strings.Cut(s, ":")
	return path, tag
}

// layoutAbove finds the deepest directory above path that is a layout; image is
// what follows it in s.
func layoutAbove(s, path string, stat Stat) (dir, image string) {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] != '/' {
			continue
		}
		if stat.exists(path[:i]) {
			if image = strings.Trim(s[i+1:], "/"); image != "" && stat.layout(path[:i]) {
				return path[:i], image
			}
			return "", ""
		}
	}
	return "", ""
}
