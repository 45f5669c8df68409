package announce

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

// DefaultLimit is how many rounds (reading, union, write) a writer makes at
// most. Three suffice without contention.
const DefaultLimit = 30

// Request is what one writer wants of a tag.
type Request struct {
	// Tag is the tag that all jobs write, without its repository.
	Tag string
	// Prefix is put before tags where the user reads of them: "HOST/REPO:".
	Prefix string
	// Add are the platforms that this writer brings; their content is there.
	Add []Addition
	// Remove are platforms to withdraw. Of a platform that is neither under the
	// tag nor announced: fault.NotFound, before anything is written.
	Remove []platform.Platform
	// Extra are entries without a platform to put in (nested indexes), Drop such
	// entries to take out. Nobody announces those, so a writer that raced with this
	// one may undo it.
	Extra []json.RawMessage
	Drop  []v1.Hash
	// Annotations are index-level annotations to set or delete, merged key by key.
	Annotations []manifest.Annotation
	// Fields sets the index's own artifactType and subject, where not nil. It is announced as little.
	Fields func(manifest.Index) (manifest.Index, error)
	// Expect names all platforms that the tag will have: announcements of others
	// are ignored and no tag is listed. Empty: every announcement counts.
	Expect []platform.Platform
	// New is for a tag that must not be there: else ErrExists, before anything is written.
	New bool
	// Seen is what Look saw of the tag just now, so that it need not be looked at
	// again before the first write; nil where nobody looked.
	Seen *View
	// NoAnnounce writes without announcing: a race with another writer can lose a platform.
	NoAnnounce bool
	// ExistingPlatform is that of a plain image found under the tag whose config does not say it.
	ExistingPlatform platform.Platform
	// MediaType is what an index that has to be made is; default OCI. One that exists keeps its own.
	MediaType types.MediaType
	// Limit is the largest number of rounds; DefaultLimit where 0.
	Limit int
	// Jitter is how long to wait before the given round (2, 3, …); Jitter where nil.
	Jitter func(round int) time.Duration
	// Jobs is how many announcements are read or written at once; 1 where 0.
	Jobs int
}

// Result is what a tag holds after a writer has seen its own work in it.
type Result struct {
	// Manifest are the bytes that were read back, and Index is what they say. A plain
	// image that Settle leaves alone is no index: Index then has it as its only entry.
	Manifest
	Index manifest.Index
	// Platforms are those of the index, in its order.
	Platforms []platform.Platform
	// Announced are the announcement tags that say what this writer brings,
	// Withdrawn those that say what it removes.
	Announced, Withdrawn []string
	// Collected are announcements of other jobs that this writer put into the index.
	Collected []Announcement
	// Missing are the platforms of Request.Expect that the index does not hold yet.
	Missing []platform.Platform
	// Rounds is how often the tag was read and united; Writes how often it was written.
	Rounds, Writes int
	// Notes are sentences for the user, in a fixed order.
	Notes []string
}

// Jitter is the default wait before a round: random, up to a bound that
// doubles from 100 ms to 5 s, so that writers that met once drift apart.
func Jitter(round int) time.Duration {
	bound := 100 * time.Millisecond << min(max(round-2, 0), 6)
	return rand.N(min(bound, 5*time.Second))
}

func (r Request) withDefaults() Request {
	if r.Limit <= 0 {
		r.Limit = DefaultLimit
	}
	if r.Jitter == nil {
		r.Jitter = Jitter
	}
	if r.MediaType == "" {
		r.MediaType = types.OCIImageIndex
	}
	return r
}

// withoutWork asks for nothing that was not announced by others.
func (r Request) withoutWork() Request {
	r.Add, r.Remove, r.Extra, r.Drop, r.Annotations, r.Fields, r.NoAnnounce = nil, nil, nil, nil, nil, nil, false
	return r
}

// show is a tag as the user reads it.
func (r Request) show(tag string) string { return r.Prefix + tag }

// check refuses what cannot be meant, before anything is read.
func (r Request) check(brings []bring) error {
	if r.Tag == "" {
		return fault.New(fault.Usage, "appending: a tag is needed, a digest cannot be appended to")
	}
	for _, b := range brings {
		if len(r.Expect) > 0 && !expects(r.Expect, b.platform) {
			return fault.Hint(fault.New(fault.Usage, "appending %s to '%s': it is not among the expected platforms %s", b.platform, r.show(r.Tag), names(r.Expect)),
				"name every platform of the release in --expect")
		}
		for _, p := range r.Remove {
			if p.Normalize().Suffix() == b.platform.Suffix() {
				return fault.New(fault.Usage, "appending %s to '%s': it is to be removed as well", b.platform, r.show(r.Tag))
			}
		}
	}
	if !r.NoAnnounce {
		for _, p := range slices.Concat(r.Remove, r.Expect) {
			if _, err := Tag(r.Tag, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func expects(list []platform.Platform, p platform.Platform) bool {
	return slices.ContainsFunc(list, func(e platform.Platform) bool { return e.Normalize() == p.Normalize() })
}

// setAnnotations are those that set something, in the order of their keys.
func setAnnotations(list []manifest.Annotation) []manifest.Annotation {
	set := manifest.Apply(nil, list)
	var out []manifest.Annotation
	for _, key := range slices.Sorted(maps.Keys(set)) {
		out = append(out, manifest.Annotation{Key: key, Value: set[key]})
	}
	return out
}
