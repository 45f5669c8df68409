// Package publish writes artifacts to every medium, content first and names last.
package publish

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"
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
	// layout: directory) or full names; each gets the same artifact, after all
	// content is there. Multi takes names in other repositories too; Ref.WithTag
	// makes them from plain tags.
	Tags []reference.Ref
	// ChildTags are tags for single children of an index, written before the
	// artifact's own tags: --append-image-name-suffix.
	ChildTags []ChildTag
	// NoTag leaves every tag alone and writes by digest only (registries).
	NoTag bool
	// MountFrom are repositories of the destination's registry that are known to
	// hold the content; their blobs are mounted where that is possible.
	MountFrom []name.Repository
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

// Stager is a Publisher whose work comes in two halves, so that several
// destinations can have all their content before any of them has a name for it.
type Stager interface {
	Publisher
	// Stage writes all content, and nothing that a consumer of the destination
	// could see. Publish is Stage and Commit. An error leaves nothing to clean up.
	Stage(ctx context.Context, a manifest.Artifact, to Target) (Staged, error)
	// Plan says what Publish would do, and writes nothing: it reads from the
	// source and asks the destination what it has. The report's digests are those
	// of the real run; what it would send is Planned.
	Plan(ctx context.Context, a manifest.Artifact, to Target) (Report, error)
}

// Staged is content that waits for its name. Exactly one of Commit and Abort is
// to be called.
type Staged interface {
	// Commit makes the content visible: tags, index.json, the final file name.
	Commit(ctx context.Context) (Report, error)
	// Abort takes back what only Commit would have needed (temporary files).
	Abort()
}

// commitStaged is the second half of every Publish.
func commitStaged(ctx context.Context, s Staged, err error) (Report, error) {
	if err != nil {
		return Report{}, err
	}
	return s.Commit(ctx)
}

// Event tells an observer of progress. Done and Total are bytes; Total is 0
// where it is not known. Kind is resolve, compress, exists, mount, upload,
// manifest, tag, write or load. An upload's events carry the bytes done so far
// and end with Done == Total. Ref is the destination. A resolve event of a
// daemon names the platform that was chosen for it.
type Event struct {
	Kind, Ref   string
	Descriptor  v1.Descriptor
	Platform    platform.Platform
	Done, Total int64
}

// Observer receives events; it must be safe for concurrent use. Nil observes nothing.
type Observer func(Event)

func (o Observer) tell(e Event) {
	if o != nil {
		o(e)
	}
}
