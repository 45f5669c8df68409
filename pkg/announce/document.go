package announce

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/pkg/platform"
)

// member is one member of a JSON object, its value as it was read.
type member struct {
	Key   string
	Value json.RawMessage
}

// object is a JSON object that keeps the order and the bytes of its members.
type object []member

func parseObject(raw []byte) (object, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil {
		return nil, err
	} else if tok != json.Delim('{') {
		return nil, fmt.Errorf("it is no JSON object")
	}
	var out object
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		name := key.(string) // the decoder gives nothing else in this place
		if out.index(name) >= 0 {
			return nil, fmt.Errorf("it has the key '%s' twice", name)
		}
		out = append(out, member{name, value})
	}
	_, err := dec.Token()
	return out, err
}

func (o object) index(key string) int {
	return slices.IndexFunc(o, func(m member) bool { return m.Key == key })
}

func (o object) get(key string) json.RawMessage {
	if i := o.index(key); i >= 0 {
		return o[i].Value
	}
	return nil
}

// with is o with one member replaced in its place, or added last.
func (o object) with(key string, value json.RawMessage) object {
	out := slices.Clone(o)
	if i := out.index(key); i >= 0 {
		out[i].Value = value
		return out
	}
	return append(out, member{key, value})
}

func (o object) without(key string) object {
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return m.Key == key })
}

func (o object) raw() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		key, _ := json.Marshal(m.Key) // a string always encodes
		b.Write(key)
		b.WriteByte(':')
		b.Write(m.Value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// entry is one descriptor of an index: its bytes, and what they say.
type entry struct {
	raw  json.RawMessage
	desc v1.Descriptor
}

func parseEntry(raw []byte) (entry, error) {
	e := entry{raw: bytes.TrimSpace(raw)}
	if err := json.Unmarshal(raw, &e.desc); err != nil {
		return entry{}, fmt.Errorf("reading an entry: %w", err)
	}
	if e.desc.Digest.Hex == "" || e.desc.MediaType == "" {
		return entry{}, fmt.Errorf("reading an entry: it lacks its digest or media type")
	}
	return e, nil
}

// platform is the entry's normalised platform; ok is false for one without
// (a nested index, an artifact) and for BuildKit's unknown/unknown.
func (e entry) platform() (platform.Platform, bool) {
	p := platform.FromV1(e.desc.Platform).Normalize()
	return p, p.OS != "" && p.Arch != "" && p.OS != "unknown"
}

// attestedDigest names the image that BuildKit's attestation manifest
// describes (annotation of its descriptor).
const attestedDigest = "vnd.docker.reference.digest"

// describes reports whether e is an attestation of the image h.
func (e entry) describes(h v1.Hash) bool {
	return e.desc.Annotations[attestedDigest] == h.String()
}

// says reports whether two descriptors say the same, however they are spelled.
func (e entry) says(other json.RawMessage) bool { return sameJSON(e.raw, other) }

func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, errX := canonical(a)
	y, errY := canonical(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// canonical has sorted keys and no white space; numbers stay as written.
func canonical(raw []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// document is an index as an immutable value. Until something in it changes it
// keeps the bytes that it was read from, and after that those of every other
// member and entry: unknown fields, attestations and nested indexes included.
type document struct {
	original    []byte // nil once edited
	members     object
	entries     []entry
	annotations object
}

func parseDocument(raw []byte) (document, error) {
	members, err := parseObject(raw)
	if err != nil {
		return document{}, err
	}
	d := document{original: raw, members: members}
	var rawEntries []json.RawMessage
	if list := members.get("manifests"); list != nil {
		if err := json.Unmarshal(list, &rawEntries); err != nil {
			return document{}, fmt.Errorf("reading its entries: %w", err)
		}
	}
	for i, r := range rawEntries {
		e, err := parseEntry(r)
		if err != nil {
			return document{}, fmt.Errorf("entry %d: %w", i+1, err)
		}
		d.entries = append(d.entries, e)
	}
	if a := members.get("annotations"); a != nil && !bytes.Equal(bytes.TrimSpace(a), []byte("null")) {
		if d.annotations, err = parseObject(a); err != nil {
			return document{}, fmt.Errorf("reading its annotations: %w", err)
		}
	}
	return d, nil
}

// newDocument is an index without entries.
func newDocument(mt types.MediaType) document {
	mediaType, _ := json.Marshal(string(mt)) // a string always encodes
	return document{members: object{
		{"schemaVersion", json.RawMessage("2")}, {"mediaType", mediaType}, {"manifests", json.RawMessage("[]")},
	}}
}

func (d document) withEntries(entries []entry) document {
	d.original, d.entries = nil, entries
	var b bytes.Buffer
	b.WriteByte('[')
	for i, e := range entries {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(e.raw)
	}
	b.WriteByte(']')
	d.members = d.members.with("manifests", b.Bytes())
	return d
}

// annotation is the value of an index-level annotation; ok is false where the
// key is absent.
func (d document) annotation(key string) (value string, ok bool) {
	raw := d.annotations.get(key)
	if raw == nil || json.Unmarshal(raw, &value) != nil {
		return "", raw != nil
	}
	return value, true
}

// withAnnotation sets an index-level annotation; a nil value deletes it.
func (d document) withAnnotation(key string, value *string) document {
	if value == nil {
		if d.annotations.index(key) < 0 {
			return d
		}
		d.annotations = d.annotations.without(key)
	} else {
		if have, ok := d.annotation(key); ok && have == *value {
			return d
		}
		encoded, _ := json.Marshal(*value) // a string always encodes
		d.annotations = d.annotations.with(key, encoded)
	}
	d.original = nil
	if len(d.annotations) == 0 {
		d.members = d.members.without("annotations")
	} else {
		d.members = d.members.with("annotations", d.annotations.raw())
	}
	return d
}

// raw is the index's bytes: those read, as long as nothing was edited.
func (d document) raw() []byte {
	if d.original != nil {
		return d.original
	}
	return d.members.raw()
}

// platforms are those of the entries, in order.
func (d document) platforms() []platform.Platform {
	var out []platform.Platform
	for _, e := range d.entries {
		if p, ok := e.platform(); ok && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}
