// Package publish writes artifacts to every medium, content first and names last.
package publish

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
)

// Target is where an artifact goes.
type Target struct {
	// Ref names the destination, tag included.
	Ref reference.Ref
	// Tags are further tags of the same destination (registry: repository;
	// layout: directory) or full names; each gets the same artifact, after all content is there.
	Tags []reference.Ref
	// ChildTags are tags for single children of an index, written before the
	// artifact's own tags: --append-image-name-suffix.
	ChildTags []ChildTag
	// NoTag leaves every tag alone and writes by digest only.
	NoTag bool
}

// ChildTag names one child of an index.
type ChildTag struct {
	Digest v1.Hash
	Tag    string
}

// Publisher writes one medium, or decorates or dispatches to others.
type Publisher interface {
	// Publish writes a and everything it points to; children by digest first, in
	// parallel, then the index, then each tag once. On an error, and when ctx
	// ends, no tag of the destination has changed unless all content was there
	// (with several tags, those before the failing one may be written; the error
	// says which). It is idempotent: what is there already is not sent again.
	Publish(ctx context.Context, a manifest.Artifact, to Target) (Report, error)
}

// Report says what was written.
type Report struct {
	// Name is the destination with its digest, NAME@sha256:…: the line for stdout.
	Name      string       `json:"name"`
	Digest    v1.Hash      `json:"digest"`
	MediaType string       `json:"mediaType"`
	Tags      []string     `json:"tags,omitempty"`
	Images    []ImageEntry `json:"images"`
}

// ImageEntry is one platform's image within a report.
type ImageEntry struct {
	Platform platform.Platform `json:"-"`
	// PlatformName is Platform.String().
	PlatformName string       `json:"platform"`
	Manifest     v1.Hash      `json:"manifest"`
	Config       v1.Hash      `json:"config"`
	Layers       []LayerEntry `json:"layers"`
	// Path is the file that holds this image, for -f file.
	Path string `json:"path,omitempty"`
	// Action is what happened to the manifest itself.
	Action Action `json:"action"`
}

// LayerEntry is one blob within a report.
type LayerEntry struct {
	Digest v1.Hash `json:"digest"`
	Size   int64   `json:"size"`
	Action Action  `json:"action"`
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
)

// Event tells an observer of progress. Done and Total are bytes; Total is 0
// where it is not known. Kind is resolve, compress, exists, mount, upload, manifest or tag.
type Event struct {
	Kind, Ref   string
	Descriptor  v1.Descriptor
	Platform    platform.Platform
	Done, Total int64
}

// Observer receives events; it must be safe for concurrent use. Nil observes nothing.
type Observer func(Event)
