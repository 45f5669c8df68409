package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/reference"
)

// Annotations of a list's index.json. The first two are those by which
// containerd, docker and BuildKit (the full name) and skopeo, oras and regctl
// (the tag) find an image in a layout.
const (
	annotationName   = "io.containerd.image.name"
	annotationTag    = "org.opencontainers.image.ref.name"
	annotationOrigin = "vnd.multipack.origin" // references, one per line
)

// document is a list's index.json.
type document struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     types.MediaType `json:"mediaType"`
	Manifests     []v1.Descriptor `json:"manifests"`
}

// newDocument points at the index under its name, and at its children.
func newDocument(tag name.Tag, idx manifest.Index, origins map[v1.Hash][]string) (document, error) {
	d, err := idx.Descriptor()
	if err != nil {
		return document{}, err
	}
	d.Annotations = map[string]string{annotationName: reference.Canonical(tag), annotationTag: tag.TagStr()}
	doc := document{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{d}}
	seen := map[v1.Hash]bool{}
	for _, e := range idx.Entries() {
		h := e.Descriptor.Digest
		if seen[h] {
			continue
		}
		seen[h] = true
		child := v1.Descriptor{MediaType: e.Descriptor.MediaType, Size: e.Descriptor.Size, Digest: h, Platform: e.Descriptor.Platform}
		if refs := origins[h]; len(refs) > 0 {
			child.Annotations = map[string]string{annotationOrigin: strings.Join(refs, "\n")}
		}
		doc.Manifests = append(doc.Manifests, child)
	}
	return doc, nil
}

// parseDocument reads an index.json that newDocument made.
func parseDocument(raw []byte) (document, error) {
	var doc document
	if err := json.Unmarshal(raw, &doc); err != nil {
		return document{}, err
	}
	if len(doc.Manifests) == 0 || doc.listName() == "" || !doc.index().MediaType.IsIndex() {
		return document{}, errors.New("its first entry is no named index")
	}
	if doc.index().Digest.Algorithm != "sha256" {
		return document{}, fmt.Errorf("its first entry has the digest '%s'", doc.index().Digest)
	}
	return doc, nil
}

func (d document) encode() ([]byte, error) { return json.Marshal(d) }

// index points at the list's index.
func (d document) index() v1.Descriptor { return d.Manifests[0] }

// listName is the canonical name of the list.
func (d document) listName() string { return d.Manifests[0].Annotations[annotationName] }

// mayNeed reports whether h is the index, one of its children, or possibly
// something below them.
func (d document) mayNeed(h v1.Hash) bool {
	return d.index().Digest == h || slices.ContainsFunc(d.Manifests[1:], func(m v1.Descriptor) bool {
		return m.Digest == h || m.MediaType.IsIndex()
	})
}

// origins are the references that the children were added from.
func (d document) origins() map[v1.Hash][]string {
	out := map[v1.Hash][]string{}
	for _, m := range d.Manifests[1:] {
		if refs := m.Annotations[annotationOrigin]; refs != "" {
			out[m.Digest] = strings.Split(refs, "\n")
		}
	}
	return out
}

// mergedOrigins are the known and the new references of idx's entries, the
// newest last and none twice.
func mergedOrigins(idx manifest.Index, known map[v1.Hash][]string, added []Origin) map[v1.Hash][]string {
	out := map[v1.Hash][]string{}
	for _, e := range idx.Entries() {
		if refs := known[e.Descriptor.Digest]; refs != nil {
			out[e.Descriptor.Digest] = slices.Clone(refs)
		} else {
			out[e.Descriptor.Digest] = []string{}
		}
	}
	for _, o := range added {
		refs, ok := out[o.Digest]
		if ok && o.Ref != "" && !strings.Contains(o.Ref, "\n") && !slices.Contains(refs, o.Ref) {
			out[o.Digest] = append(refs, o.Ref)
		}
	}
	return out
}
