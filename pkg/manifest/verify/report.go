// Package verify checks that everything an image or index points at is there
// and is what it is said to be. It is pure: what is asked of registries and
// disks goes through the artifact and through Options.
package verify

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Kind is what is wrong.
type Kind string

// The kinds.
const (
	// Missing content is nowhere to be had.
	Missing Kind = "missing"
	// Corrupt content has another digest, size or type than what points at it says.
	Corrupt Kind = "corrupt"
	// Platform: an entry's platform contradicts its image's config, or lacks its
	// os or architecture.
	Platform Kind = "platform"
	// Duplicate: an earlier entry has the same digest, or the same platform.
	Duplicate Kind = "duplicate"
	// Dangling: an attestation describes an image that the index does not have.
	Dangling Kind = "dangling"
)

// Finding is one thing that is wrong.
type Finding struct {
	Kind Kind `json:"kind"`
	// Digest is what the finding is about: a manifest, a config or a layer.
	Digest v1.Hash `json:"digest"`
	// Message is a sentence about it, without an end.
	Message string `json:"message"`
}

// Entry is what was found about one manifest.
type Entry struct {
	// Platform is what the index says, else what the image's config says; "" for
	// neither.
	Platform  string  `json:"platform,omitempty"`
	MediaType string  `json:"mediaType"`
	Digest    v1.Hash `json:"digest"`
	// Attests is the image that an attestation describes.
	Attests v1.Hash `json:"attests,omitzero"`
	// Within is the nested index that holds the entry, zero for entries of the
	// index itself.
	Within v1.Hash `json:"within,omitzero"`
	// Blobs and Bytes are the number and size of the manifest, config and layers,
	// as their descriptors say it.
	Blobs    int       `json:"blobs"`
	Bytes    int64     `json:"bytes"`
	Findings []Finding `json:"findings"`
}

// Report is what was found about an artifact.
type Report struct {
	Digest    v1.Hash `json:"digest"`
	MediaType string  `json:"mediaType"`
	// Entries are the manifests in the order of the index, nested indexes before
	// what is in them; an image is its own only entry.
	Entries []Entry `json:"entries"`
}

// Findings is the number of all findings.
func (r Report) Findings() int {
	n := 0
	for _, e := range r.Entries {
		n += len(e.Findings)
	}
	return n
}

// Damaged are the top-level entries, each once, at or below which content is
// missing or corrupt: what a repair has to copy.
func (r Report) Damaged() []v1.Hash {
	var out []v1.Hash
	seen := map[v1.Hash]bool{}
	var top v1.Hash
	for _, e := range r.Entries {
		if e.Within == (v1.Hash{}) {
			top = e.Digest
		}
		for _, f := range e.Findings {
			if (f.Kind == Missing || f.Kind == Corrupt) && !seen[top] {
				seen[top] = true
				out = append(out, top)
			}
		}
	}
	return out
}
