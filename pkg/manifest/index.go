package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// ErrNotIndex is what Parse's error wraps when the document is a manifest of
// another kind: an image, or schema 1.
var ErrNotIndex = errors.New("not an image index")

// Index is an OCI image index or a Docker manifest list: an immutable value
// that remembers the bytes it was read from. Methods that change something
// give back another Index; what they do not change keeps its bytes, number
// formats, key order and unknown fields included. The zero Index holds
// nothing, not even a media type; New and Parse make usable ones.
type Index struct {
	mediaType types.MediaType
	doc       object // the member at listAt is rendered from list and entries
	listAt    int
	list      array // head and tail only
	entries   []slot
	raw       []byte // nil once edited
}

// slot is an entry with the white space round it.
type slot struct {
	lead, trail []byte
	Entry
}

// New is an empty index: a Docker manifest list for that media type, an OCI
// image index for every other.
func New(mt types.MediaType) Index {
	if mt != types.DockerManifestList {
		mt = types.OCIImageIndex
	}
	i, err := Parse([]byte(`{"schemaVersion":2,"mediaType":"` + string(mt) + `","manifests":[]}`))
	if err != nil {
		panic("manifest: the empty index does not parse: " + err.Error()) // cannot happen
	}
	return i
}

// Parse reads an OCI image index or a Docker manifest list. It is strict in
// what says how to read the rest: schemaVersion must be 2 and mediaType, where
// it is there, must be one of the two; a document that could be read as an
// image as well (CVE-2021-41190) is refused. Unknown fields are kept. The error
// wraps ErrNotIndex, as a fault.Usage, where raw is a manifest of another kind.
func Parse(raw []byte) (Index, error) {
	i, err := parse(slices.Clone(raw))
	if err != nil {
		if errors.Is(err, ErrNotIndex) {
			err = fault.As(fault.Usage, err)
		}
		return Index{}, fmt.Errorf("reading an image index: %w", err)
	}
	return i, nil
}

func parse(raw []byte) (Index, error) {
	var syntax json.RawMessage
	if err := json.Unmarshal(raw, &syntax); err != nil {
		return Index{}, fmt.Errorf("it is no JSON: %w", err)
	}
	doc, ok := cutObject(raw)
	if !ok {
		return Index{}, errors.New("it is no JSON object")
	}
	i := Index{doc: doc, raw: raw, listAt: doc.find("manifests")}
	var err error
	if i.mediaType, err = checkKind(doc); err != nil {
		return Index{}, err
	}
	if value := doc.get("manifests"); value == nil {
		// Some tools write null for an empty list.
		i.list = array{head: []byte("["), tail: []byte("]")}
	} else if i.list, ok = cutArray(value); !ok {
		return Index{}, errors.New("'manifests' is no JSON array")
	}
	i.entries = make([]slot, 0, len(i.list.elems))
	for n, el := range i.list.elems {
		e, err := parseEntry(el.value)
		if err != nil {
			return Index{}, fmt.Errorf("entry %d of 'manifests': %w", n+1, err)
		}
		i.entries = append(i.entries, slot{lead: el.lead, trail: el.trail, Entry: e})
	}
	i.list.elems = nil
	return i, i.checkTop()
}

// checkKind makes sure that the document is an index and nothing else.
func checkKind(doc object) (types.MediaType, error) {
	var version json.Number
	var mt types.MediaType
	if err := doc.decode("schemaVersion", &version, "mediaType", &mt); err != nil {
		return "", err
	}
	switch {
	case mt.IsImage() || mt == "" && doc.find("manifests") < 0 && (doc.find("config") >= 0 || doc.find("layers") >= 0):
		return "", fmt.Errorf("%w: it is an image manifest", ErrNotIndex)
	case mt.IsSchema1() || version == "1":
		return "", fmt.Errorf("%w: it is a manifest of schema version 1, which is not supported", ErrNotIndex)
	case mt != "" && !mt.IsIndex():
		return "", fmt.Errorf("%w: its media type is '%s'", ErrNotIndex, mt)
	case version != "2":
		return "", fmt.Errorf("'schemaVersion' must be 2, not '%s'", version)
	case doc.find("manifests") < 0:
		return "", errors.New("it has no 'manifests'")
	}
	for _, name := range []string{"config", "layers", "fsLayers"} {
		if doc.find(name) >= 0 {
			return "", fmt.Errorf("it has both 'manifests' and '%s', so that it could be taken for an image", name)
		}
	}
	if mt == "" {
		mt = types.OCIImageIndex // the specification lets an index leave it out
	}
	return mt, nil
}

// checkTop makes sure that the accessors of top-level fields cannot fail.
func (i Index) checkTop() error {
	var annotations map[string]string
	var artifactType string
	if err := i.doc.decode("annotations", &annotations, "artifactType", &artifactType); err != nil {
		return err
	}
	if raw := i.doc.get("subject"); raw != nil {
		if _, err := parseEntry(raw); err != nil {
			return fmt.Errorf("'subject': %w", err)
		}
	}
	return nil
}

// Raw gives the exact bytes of the index: those it was parsed from, as long as
// nothing was edited. Same value, same bytes. The zero Index is an error.
func (i Index) Raw() ([]byte, error) {
	if i.mediaType == "" {
		return nil, errors.New("encoding an image index: it is the zero value")
	}
	if i.raw != nil {
		return slices.Clone(i.raw), nil
	}
	var b bytes.Buffer
	b.Write(i.list.head)
	for n, s := range i.entries {
		if n > 0 {
			b.WriteByte(',')
		}
		b.Write(s.lead)
		b.Write(s.Entry.Raw)
		b.Write(s.trail)
	}
	b.Write(i.list.tail)
	doc := i.doc
	doc.members = slices.Clone(doc.members)
	doc.members[i.listAt].value = b.Bytes()
	return doc.bytes(), nil
}

// Digest is the sha256 of Raw.
func (i Index) Digest() (v1.Hash, error) {
	raw, err := i.Raw()
	if err != nil {
		return v1.Hash{}, err
	}
	h, _, err := v1.SHA256(bytes.NewReader(raw))
	return h, err
}

// Size is the length of Raw in bytes.
func (i Index) Size() (int64, error) {
	raw, err := i.Raw()
	return int64(len(raw)), err
}

// Descriptor is what points at the index: media type, size and digest, and the
// index's own artifactType where it has one.
func (i Index) Descriptor() (v1.Descriptor, error) {
	raw, err := i.Raw()
	if err != nil {
		return v1.Descriptor{}, err
	}
	h, size, err := v1.SHA256(bytes.NewReader(raw))
	return v1.Descriptor{MediaType: i.mediaType, Size: size, Digest: h, ArtifactType: i.ArtifactType()}, err
}

// MediaType is that of an OCI image index or a Docker manifest list; "" for
// the zero Index alone.
func (i Index) MediaType() types.MediaType { return i.mediaType }

// Len is the number of entries.
func (i Index) Len() int { return len(i.entries) }

// Entries are the index's entries, in its order; the caller may change them.
func (i Index) Entries() []Entry {
	out := make([]Entry, 0, len(i.entries))
	for _, s := range i.entries {
		out = append(out, s.clone())
	}
	return out
}

// Platforms are those that entries take, in the index's order, without repeats.
func (i Index) Platforms() []platform.Platform {
	var out []platform.Platform
	seen := map[platform.Platform]bool{}
	for _, s := range i.entries {
		if s.HasPlatform() && !seen[s.Platform] {
			seen[s.Platform] = true
			out = append(out, s.Platform)
		}
	}
	return out
}

// edited is i with other entries; the first keeps the white space that the
// first had, so that taking out what was put in gives the bytes from before.
func (i Index) edited(entries []slot) Index {
	if len(entries) > 0 && len(i.entries) > 0 {
		entries[0].lead = i.entries[0].lead
	}
	i.entries = entries
	i.raw = nil
	return i
}

// appended is a slot for an entry behind the others.
func (i Index) appended(e Entry) slot {
	if n := len(i.entries); n > 0 {
		return slot{lead: i.entries[n-1].lead, Entry: e}
	}
	return slot{Entry: e}
}
