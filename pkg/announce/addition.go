package announce

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
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
	// Attached are entries that go with this one: attestations of it.
	Attached []json.RawMessage
}

// bring is an Addition that was checked.
type bring struct {
	platform platform.Platform // normalised
	tag      string            // "" where nothing is announced
	entry    entry
	attached []entry
	body     Manifest // what the announcement tag shall hold
}

// describeImage is the descriptor of an image that says no more than the image
// does: media type, size, digest, and the platform of its config. ok is false
// where the config names no platform.
func describeImage(m Manifest, config []byte) (d v1.Descriptor, ok bool, err error) {
	var file v1.ConfigFile
	if err := json.Unmarshal(config, &file); err != nil {
		return v1.Descriptor{}, false, fmt.Errorf("reading the config of '%s': %w", m.Digest, err)
	}
	p := platform.FromConfig(&file)
	return v1.Descriptor{MediaType: m.MediaType, Size: int64(len(m.Raw)), Digest: m.Digest, Platform: p.V1()},
		p.OS != "" && p.Arch != "", nil
}

// imageEntry is the entry that a plain image gets.
func imageEntry(m Manifest, config []byte) (e entry, ok bool, err error) {
	d, ok, err := describeImage(m, config)
	if err != nil || !ok {
		return entry{}, ok, err
	}
	e, err = describe(d)
	return e, true, err
}

func describe(d v1.Descriptor) (entry, error) {
	raw, err := json.Marshal(d)
	return entry{raw: raw, desc: d}, err
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
				return nil, fault.New(fault.Usage, "appending to tag '%s': %s is given twice", req.Tag, b.platform)
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
	p, ok := e.platform()
	if !ok {
		return bring{}, fault.New(fault.Usage, "'%s' has no platform", e.desc.Digest)
	}
	b := bring{platform: p, entry: e}
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
	if b.tag, err = Tag(req.Tag, p); err != nil {
		return bring{}, err
	}
	b.body, err = announcementBody(ctx, reg, req, a, b)
	return b, err
}

// announcementBody is the image itself where the entry says no more than it,
// else an index of that entry, so that whoever collects it writes the same
// entry. Attestations and the job's index-level annotations travel in it too.
func announcementBody(ctx context.Context, reg Registry, req Request, a Addition, b bring) (Manifest, error) {
	set := setAnnotations(req.Annotations)
	if len(b.attached) == 0 && len(set) == 0 && b.entry.desc.MediaType.IsImage() {
		m := Manifest{Raw: a.Manifest, MediaType: b.entry.desc.MediaType, Digest: b.entry.desc.Digest}
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
		if ok && b.entry.says(plain.raw) {
			return m, nil
		}
	}
	d := newDocument(types.OCIImageIndex).withEntries(append([]entry{b.entry}, b.attached...))
	for _, kv := range set {
		d = d.withAnnotation(kv.Key, kv.Value)
	}
	return manifestOf(d.raw(), types.OCIImageIndex)
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
