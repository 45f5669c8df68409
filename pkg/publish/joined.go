package publish

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

// Append is what an append to a name that others write too found and did.
type Append struct {
	// Platforms are those of the index, in its order.
	Platforms []string `json:"platforms"`
	// Announced are the tags that say what this run brings, Withdrawn those that
	// say what it takes away.
	Announced []string `json:"announced,omitempty"`
	Withdrawn []string `json:"withdrawn,omitempty"`
	// Collected are the announcements of other jobs that this run put in.
	Collected []Collected `json:"collected,omitempty"`
	// Missing are the expected platforms that the index still lacks.
	Missing []string `json:"missing,omitempty"`
	// Rounds is how often the name was read, Writes how often it was written.
	Rounds int `json:"rounds"`
	Writes int `json:"writes"`
}

// Collected is an announcement of another job.
type Collected struct {
	Tag      string  `json:"tag"`
	Platform string  `json:"platform"`
	Digest   v1.Hash `json:"digest"`
	// Withdrawn is set where it took the platform away.
	Withdrawn bool `json:"withdrawn,omitempty"`
}

// Joined is the report on an index that was not published as a whole: parts
// are the reports on those of its images that this run wrote; the others were
// there. name is the destination without tag.
func Joined(name string, i manifest.Index, parts []Report) (Report, error) {
	d, err := i.Descriptor()
	if err != nil {
		return Report{}, err
	}
	r := Report{
		Name: name + "@" + d.Digest.String(), Digest: d.Digest, MediaType: string(d.MediaType), Size: d.Size,
		Action: Exists, Images: []ImageEntry{},
	}
	for _, e := range i.Entries() {
		r.Images = append(r.Images, joinedImages(e, parts)...)
	}
	return r, nil
}

// joinedImages are the images of one entry: those of the part that wrote it,
// with the platform of the entry.
func joinedImages(e manifest.Entry, parts []Report) []ImageEntry {
	for _, p := range parts {
		if p.Digest != e.Descriptor.Digest {
			continue
		}
		images := append([]ImageEntry(nil), p.Images...)
		if len(images) == 1 && !e.IsIndex {
			images[0].Platform, images[0].PlatformName = e.Platform, e.Platform.String()
			images[0].Attests = e.AttestationOf
		}
		return images
	}
	at := platform.FromV1(e.Descriptor.Platform)
	return []ImageEntry{{Platform: at, PlatformName: at.String(), Manifest: e.Descriptor.Digest, Size: e.Descriptor.Size, Attests: e.AttestationOf, Action: Exists}}
}
