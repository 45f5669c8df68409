package ocilayout

import (
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
)

// The annotations of index.json's entries that name them.
const (
	// ImageNameAnnotation holds the full image name; containerd and BuildKit write it.
	ImageNameAnnotation = "io.containerd.image.name"
	// RefNameAnnotation is the OCI image layout specification's: a plain tag, or a full name.
	RefNameAnnotation = "org.opencontainers.image.ref.name"
)

// Resolve is the artifact under tag or digest. With neither, it is the index
// that index.json itself is (see Self), else the only entry.
func (l *Layout) Resolve(tag, digest string) (manifest.Artifact, error) {
	if self, ok := l.Self(); ok && tag == "" {
		h, err := self.Digest()
		if err != nil {
			return nil, err
		}
		if digest == "" || digest == h.String() {
			return self, nil
		}
	}
	d, err := l.Find(tag, digest)
	if err != nil {
		return nil, err
	}
	return l.Artifact(d)
}

// Find is the entry that tag or digest names, looked up the way BuildKit does:
// the entries' ImageNameAnnotation first, RefNameAnnotation only where no entry
// matched. Values that read as full image names are compared after normalising
// (alpine:3.16 is docker.io/library/alpine:3.16), others as they are.
//
// A digest wins over a tag, as in a registry, and finds the children of
// indexes that are entries too. With neither, the only entry is meant, or the
// only one that is no child of another. Errors: fault.NotFound, and
// fault.Usage where several entries match; both list what there is.
func (l *Layout) Find(tag, digest string) (v1.Descriptor, error) {
	var matches []v1.Descriptor
	switch {
	case digest != "":
		if d, ok := l.byDigest(digest); ok {
			return d, nil
		}
		return v1.Descriptor{}, l.notFound("'" + digest + "'")
	case tag != "":
		for _, annotation := range []string{ImageNameAnnotation, RefNameAnnotation} {
			for _, d := range l.index.Manifests {
				if value, ok := d.Annotations[annotation]; ok && sameName(value, tag) {
					matches = append(matches, d)
				}
			}
			if len(matches) > 0 {
				break
			}
		}
		tag = "'" + tag + "'"
	default:
		tag = "anything"
		matches = l.Roots()
	}
	matches = distinct(matches)
	switch len(matches) {
	case 0:
		return v1.Descriptor{}, l.notFound(tag)
	case 1:
		return matches[0], nil
	}
	err := fault.New(fault.Usage, "looking up %s in layout '%s': %d entries match: %s", tag, l.path, len(matches), list(matches))
	return v1.Descriptor{}, fault.Hint(err, "name one with ':TAG' or '@DIGEST' after the path")
}

func (l *Layout) notFound(what string) error {
	have := "it holds no entries"
	if len(l.index.Manifests) > 0 {
		have = "it holds " + list(l.index.Manifests)
	}
	return fault.New(fault.NotFound, "looking up %s in layout '%s': %s", what, l.path, have)
}

// byDigest looks through index.json and then through the indexes it leads to,
// level by level, as far as the layout holds them.
func (l *Layout) byDigest(digest string) (v1.Descriptor, bool) {
	seen := map[v1.Hash]bool{}
	for level := l.index.Manifests; len(level) > 0; {
		var next []v1.Descriptor
		for _, d := range level {
			if d.Digest.String() == digest {
				return d, true
			}
			if seen[d.Digest] {
				continue
			}
			seen[d.Digest] = true
			next = append(next, l.childrenOf(d)...)
		}
		level = next
	}
	return v1.Descriptor{}, false
}

// childrenOf gives the entries of an index; none for what is no index or
// cannot be read, which whoever asks for that index learns.
func (l *Layout) childrenOf(d v1.Descriptor) []v1.Descriptor {
	if !d.MediaType.IsIndex() {
		return nil
	}
	idx, err := l.openIndex(d)
	if err != nil {
		return nil
	}
	return idx.manifest.Manifests
}

// Roots are the entries that no other entry leads to. Some writers list an
// index and its children side by side.
func (l *Layout) Roots() []v1.Descriptor {
	if len(l.index.Manifests) < 2 {
		return l.index.Manifests
	}
	child := map[v1.Hash]bool{}
	for _, d := range l.index.Manifests {
		for _, c := range l.childrenOf(d) {
			child[c.Digest] = true
		}
	}
	var out []v1.Descriptor
	for _, d := range l.index.Manifests {
		if !child[d.Digest] {
			out = append(out, d)
		}
	}
	return out
}

// distinct drops repeated digests: the same content under two names is one.
func distinct(ds []v1.Descriptor) []v1.Descriptor {
	seen := map[v1.Hash]bool{}
	var out []v1.Descriptor
	for _, d := range ds {
		if !seen[d.Digest] {
			seen[d.Digest] = true
			out = append(out, d)
		}
	}
	return out
}

func sameName(value, want string) bool {
	if value == want {
		return true
	}
	// Two single words are two plain tags, although each could be a name.
	if !strings.ContainsAny(value+want, ":/") {
		return false
	}
	a, errA := reference.ParseName(value)
	b, errB := reference.ParseName(want)
	return errA == nil && errB == nil && a.Name() == b.Name()
}

// list describes entries for messages: names, platforms, digests.
func list(ds []v1.Descriptor) string {
	out := make([]string, len(ds))
	for i, d := range ds {
		out[i] = describe(d)
	}
	return strings.Join(out, ", ")
}

func describe(d v1.Descriptor) string {
	var words []string
	for _, annotation := range []string{ImageNameAnnotation, RefNameAnnotation} {
		if v := d.Annotations[annotation]; v != "" {
			words = append(words, "'"+v+"'")
			break
		}
	}
	if d.Platform != nil {
		words = append(words, platform.FromV1(d.Platform).String())
	}
	return strings.Join(append(words, d.Digest.String()), " ")
}
