package publish

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/platform"
)

// Report says what was written, or with DryRun what would be.
type Report struct {
	// Name is the destination with its digest, NAME@sha256:…: the line for stdout.
	Name      string  `json:"name"`
	Digest    v1.Hash `json:"digest"`
	MediaType string  `json:"mediaType"`
	Size      int64   `json:"size"`
	// Action is what happened to the artifact's own manifest.
	Action Action `json:"action"`
	// DryRun is set where nothing was written.
	DryRun bool `json:"dryRun,omitempty"`
	// Tags are the names that now point at the digest, in the order of writing;
	// those that did so before are included.
	Tags []string `json:"tags,omitempty"`
	// ChildTags are the names written for single children.
	ChildTags []string `json:"childTags,omitempty"`
	// Images are the images in the order of the index, those of nested indexes
	// and attestations included.
	Images []ImageEntry `json:"images"`
	// Append is set where the index was not written as a whole.
	Append *Append `json:"append,omitempty"`
	// Also are the reports on further destinations of the same run.
	Also []Report `json:"also,omitempty"`
}

// All are the report itself and those of further destinations.
func (r Report) All() []Report {
	out := []Report{r}
	for _, a := range r.Also {
		out = append(out, a.All()...)
	}
	return out
}

// ImageEntry is one platform's image within a report. Config and layers are
// missing where the destination had the manifest and nobody asked for detail
// (Registry.Detail), because reading them would cost requests.
type ImageEntry struct {
	Platform platform.Platform `json:"-"`
	// PlatformName is Platform.String().
	PlatformName string  `json:"platform"`
	Manifest     v1.Hash `json:"manifest"`
	// Size is the manifest's.
	Size int64 `json:"size"`
	// Attests is the image that this one is an attestation about.
	Attests v1.Hash `json:"attests,omitzero"`
	Config  v1.Hash `json:"config,omitzero"`
	// ConfigSize is the config's.
	ConfigSize int64 `json:"configSize,omitempty"`
	// ConfigAction is what happened to the config blob.
	ConfigAction Action       `json:"configAction,omitempty"`
	Layers       []LayerEntry `json:"layers,omitempty"`
	// Path is the file that holds this image, for -f file.
	Path string `json:"path,omitempty"`
	// Action is what happened to the manifest itself.
	Action Action `json:"action"`
}

// LayerEntry is one blob within a report.
type LayerEntry struct {
	Digest v1.Hash `json:"digest"`
	// Size is the blob's, Bytes is how many of them were sent (with DryRun: would be).
	Size   int64  `json:"size"`
	Bytes  int64  `json:"bytes"`
	Action Action `json:"action"`
}

// Action is what happened to one manifest or blob.
type Action string

// The actions.
const (
	Exists   Action = "exists"
	Mounted  Action = "mounted"
	Uploaded Action = "uploaded"
	// Planned marks what a dry run would upload.
	Planned Action = "planned"
	// Skipped marks a layer that is not for distribution (it has URLs of its own).
	Skipped Action = "skipped"
)

// report describes the tree as the writing left it; name is the destination
// without its tag.
func (t *tree) report(name string) Report {
	return describe(name, part{desc: t.root.desc, node: t.root})
}

// describe reports on one manifest and what is below it.
func describe(name string, p part) Report {
	n := p.node
	r := Report{
		Name: name + "@" + n.desc.Digest.String(), Digest: n.desc.Digest,
		MediaType: string(n.desc.MediaType), Size: int64(len(n.raw)), Action: n.action, Images: []ImageEntry{},
	}
	n.entries(p.desc, &r.Images)
	return r
}

// entries appends the images at and below n; d is n's descriptor in its parent.
func (n *node) entries(d v1.Descriptor, out *[]ImageEntry) {
	if n.desc.MediaType.IsIndex() {
		for _, c := range n.children {
			c.node.entries(c.desc, out)
		}
		return
	}
	e := ImageEntry{Manifest: n.desc.Digest, Size: d.Size, Action: n.action, Attests: attests(d)}
	e.Platform = platform.FromV1(d.Platform)
	if d.Platform == nil {
		e.Platform = n.declared
	}
	e.PlatformName = e.Platform.String()
	if n.config != nil {
		e.Config, e.ConfigSize, e.ConfigAction = n.config.desc.Digest, n.config.desc.Size, n.did(n.config)
	}
	for _, b := range n.layers {
		l := LayerEntry{Digest: b.desc.Digest, Size: b.desc.Size, Action: n.did(b)}
		if l.Action == Uploaded || l.Action == Planned {
			l.Bytes = b.desc.Size
		}
		e.Layers = append(e.Layers, l)
	}
	*out = append(*out, e)
}

// did is what happened to a blob of n: nothing where n itself was there.
func (n *node) did(b *blob) Action {
	if n.there && !b.foreign() {
		return Exists
	}
	return b.action
}

// attests is the digest of the image that an entry is an attestation about, as
// BuildKit annotates it; the zero hash for every other entry.
func attests(d v1.Descriptor) v1.Hash {
	h, err := v1.NewHash(d.Annotations["vnd.docker.reference.digest"])
	if err != nil {
		return v1.Hash{}
	}
	return h
}
