package announce

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

// Addition is one platform that a writer brings. Its content is in the
// repository already, by digest.
type Addition struct {
	// Entry is the descriptor as it shall stand in the index, exact bytes. It
	// has a platform.
	Entry json.RawMessage
	// Manifest are the bytes that Entry's digest names, Config those of the
	// image's config. Nil ones are read from the repository.
	Manifest, Config []byte
	// Exact has the entry stand just so also where the tag has one of the same
	// image that says something else; otherwise an entry that says no more than
	// its image leaves that one alone.
	Exact bool
	// Attached are entries that go with this one: attestations of it.
	Attached []json.RawMessage
}

// bring is an Addition that was checked.
type bring struct {
	platform platform.Platform // normalised
	tag      string            // "" where nothing is announced
	entry    manifest.Entry
	attached []manifest.Entry
	body     Manifest // what the announcement tag shall hold
}

// prepare checks the additions and makes what their announcements will hold.
func prepare(ctx context.Context, reg Registry, req Request) ([]bring, error) {
	var out []bring
	for i, a := range req.Add {
		b, err := prepareOne(ctx, reg, req, a)
		if err != nil {
			return nil, fmt.Errorf("preparing addition %d for tag '%s': %w", i+1, req.Tag, err)
		}
		for _, other := range out {
			if other.platform.Suffix() == b.platform.Suffix() {
				return nil, fault.New(fault.Usage, "appending to '%s': %s is given twice", req.show(req.Tag), b.platform)
			}
		}
		out = append(out, b)
	}
	return out, nil
}

func prepareOne(ctx context.Context, reg Registry, req Request, a Addition) (bring, error) {
	e, err := parseEntry(a.Entry)
	if err != nil {
		return bring{}, fault.As(fault.Usage, err)
	}
	if !e.HasPlatform() {
		return bring{}, fault.New(fault.Usage, "'%s' has no platform", e.Descriptor.Digest)
	}
	if e.Platform.OS == "" || e.Platform.Arch == "" {
		return bring{}, fault.Hint(fault.New(fault.Usage, "'%s' names no architecture", e.Descriptor.Digest), "say what it is for with --platform")
	}
	b := bring{platform: e.Platform, entry: e}
	for _, raw := range a.Attached {
		at, err := parseEntry(raw)
		if err != nil {
			return bring{}, fault.As(fault.Usage, err)
		}
		b.attached = append(b.attached, at)
	}
	if req.NoAnnounce {
		return b, nil
	}
	if b.tag, err = Tag(req.Tag, b.platform); err != nil {
		return bring{}, err
	}
	b.body, err = announcementBody(ctx, reg, req, a, b)
	return b, err
}

// announcementBody is the image itself where the entry says no more than it
// and need not be exact, else an index of that entry, so that whoever collects it writes the same
// entry. Attestations and the job's index-level annotations travel in it too.
func announcementBody(ctx context.Context, reg Registry, req Request, a Addition, b bring) (Manifest, error) {
	set := setAnnotations(req.Annotations)
	if len(b.attached) == 0 && len(set) == 0 && !b.entry.IsIndex && !a.Exact {
		m := Manifest{Raw: a.Manifest, MediaType: b.entry.Descriptor.MediaType, Digest: b.entry.Descriptor.Digest}
		if m.Raw == nil {
			got, err := reg.Get(ctx, m.Digest.String())
			if err != nil {
				return Manifest{}, fmt.Errorf("reading '%s': %w", m.Digest, err)
			}
			m.Raw = got.Raw
		}
		config := a.Config
		if config == nil {
			var err error
			if config, err = readConfig(ctx, reg, m); err != nil {
				return Manifest{}, err
			}
		}
		plain, ok, err := imageEntry(m, config)
		if err != nil {
			return Manifest{}, err
		}
		if ok && sameJSON(b.entry.Raw, plain.Raw) {
			return m, nil
		}
	}
	i, err := indexOf(b.entry, b.attached)
	if err != nil {
		return Manifest{}, err
	}
	return rendered(i.Annotate(set...))
}

// rendered is an index as a registry takes it.
func rendered(i manifest.Index) (Manifest, error) {
	raw, err := i.Raw()
	if err != nil {
		return Manifest{}, err
	}
	return manifestOf(raw, i.MediaType())
}

func manifestOf(raw []byte, mt types.MediaType) (Manifest, error) {
	h, _, err := v1.SHA256(bytes.NewReader(raw))
	return Manifest{Raw: raw, MediaType: mt, Digest: h}, err
}

// readConfig reads the config that an image manifest points at.
func readConfig(ctx context.Context, reg Registry, m Manifest) ([]byte, error) {
	var parsed v1.Manifest
	if err := json.Unmarshal(m.Raw, &parsed); err != nil {
		return nil, fmt.Errorf("reading the manifest '%s': %w", m.Digest, err)
	}
	config, err := reg.Blob(ctx, parsed.Config.Digest)
	if err != nil {
		return nil, fmt.Errorf("reading the config of '%s': %w", m.Digest, err)
	}
	return config, nil
}
