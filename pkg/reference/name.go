package reference

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/multipack/multipack/internal/fault"
)

// The grammar of names is the one of the OCI distribution specification
// (<name>, <tag>) with Docker's registry part in front. go-containerregistry
// checks the character set only and would take "..", "a//b" and "-x".
var (
	pathComponent = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$`) })
	tagPattern    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`) })
	digestPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^sha256:[0-9a-f]{64}$`) })
	hostPattern   = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])(\.([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]))*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	})
)

// longestTag is how many characters a tag may have. Counted repeats are slow to
// compile, which would be paid in every start.
const longestTag = 128

// ParseListName reads the name of a list in the local store: an image name
// with a tag ("latest" where none is written) and without a digest. The result
// is normalised: x, x:latest and docker.io/library/x:latest are equal values.
// What is no image name ("..", ".", "/abs", "a/../b") is a fault.Usage.
func ParseListName(s string) (name.Tag, error) {
	ref, _, _, err := parseName(s)
	if err != nil {
		return name.Tag{}, fault.New(fault.Usage, "parsing list name '%s': %w", Redacted(s), err)
	}
	tag, ok := ref.(name.Tag)
	if !ok {
		return name.Tag{}, fault.New(fault.Usage, "parsing list name '%s': a list has a name and a tag, not a digest", s)
	}
	return tag, nil
}

// ParseName reads an image name as docker does, normalised: repo[:tag][@digest]
// or host[:port]/repo[:tag][@digest]. Every error is a fault.Usage.
func ParseName(s string) (name.Reference, error) {
	ref, _, _, err := parseName(s)
	if err != nil {
		return nil, fault.New(fault.Usage, "parsing image name '%s': %w", Redacted(s), err)
	}
	return ref, nil
}

// parseName gives the normalised name, and the tag and digest as far as they
// are written in s.
func parseName(s string) (ref name.Reference, tag, digest string, err error) {
	rest := s
	if i := strings.IndexByte(rest, '@'); i >= 0 {
		rest, digest = rest[:i], rest[i+1:]
		if !digestPattern().MatchString(digest) {
			return nil, "", "", fmt.Errorf("'%s' is no digest: one is 'sha256:' and 64 hexadecimal digits", digest)
		}
	}
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') && !strings.HasSuffix(rest, "]") {
		rest, tag = rest[:i], rest[i+1:]
		if len(tag) > longestTag || !tagPattern().MatchString(tag) {
			return nil, "", "", fmt.Errorf("'%s' is no tag", tag)
		}
	}
	if err := checkRepository(rest); err != nil {
		return nil, "", "", err
	}
	repo, err := name.NewRepository(rest, name.WeakValidation)
	if err != nil {
		return nil, "", "", fmt.Errorf("'%s' is no image name", rest)
	}
	// Once more from the full name, so that equal names are equal values.
	if repo, err = name.NewRepository(repo.Name(), name.WeakValidation); err != nil {
		return nil, "", "", fmt.Errorf("'%s' is no image name", rest)
	}
	switch {
	case digest != "":
		return repo.Digest(digest), tag, digest, nil
	case tag != "":
		return repo.Tag(tag), tag, "", nil
	default:
		return repo.Tag(name.DefaultTag), "", "", nil
	}
}

// checkRepository holds [host[:port]/]path to the grammar. The first part is a
// host under the condition Docker has: a '.' or ':' in it, or "localhost".
func checkRepository(repo string) error {
	if repo == "" {
		return fmt.Errorf("the name is empty")
	}
	path := repo
	if first, more, ok := strings.Cut(repo, "/"); ok && (first == "localhost" || strings.ContainsAny(first, ".:")) {
		if !hostPattern().MatchString(first) {
			return fmt.Errorf("'%s' is no registry host", first)
		}
		path = more
	}
	for part := range strings.SplitSeq(path, "/") {
		if pathComponent().MatchString(part) {
			continue
		}
		if lower := strings.ToLower(part); lower != part && pathComponent().MatchString(lower) {
			return fmt.Errorf("a repository is lower case, did you mean '%s'?", repo[:len(repo)-len(path)]+strings.ToLower(path))
		}
		if part == "" {
			return fmt.Errorf("a part of the name is empty")
		}
		return fmt.Errorf("'%s' cannot be part of a name", part)
	}
	return nil
}
