package ocilayout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// document is an index.json as its parts: what is not edited is written back
// with the bytes it had, in the order it had.
type document struct {
	raw     []byte
	fields  []field
	entries []json.RawMessage
}

type field struct {
	name  string
	value json.RawMessage
}

// parseDocument reads raw; nil is a new, empty index.
func parseDocument(raw []byte) (*document, error) {
	d := &document{raw: raw}
	if raw == nil {
		d.fields = []field{
			{"schemaVersion", json.RawMessage(`2`)},
			{"mediaType", json.RawMessage(`"application/vnd.oci.image.index.v1+json"`)},
			{"manifests", json.RawMessage(`[]`)},
		}
		return d, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("it is no JSON object")
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		d.fields = append(d.fields, field{key.(string), value})
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("something follows the JSON object")
	}
	i := d.manifests()
	if i < 0 {
		d.fields = append(d.fields, field{"manifests", json.RawMessage(`[]`)})
		return d, nil
	}
	return d, json.Unmarshal(d.fields[i].value, &d.entries)
}

func (d *document) manifests() int {
	return slices.IndexFunc(d.fields, func(f field) bool { return f.name == "manifests" })
}

func (d *document) descriptors() ([]v1.Descriptor, error) {
	var out []v1.Descriptor
	for i, raw := range d.entries {
		var desc v1.Descriptor
		if err := json.Unmarshal(raw, &desc); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		out = append(out, desc)
	}
	return out, nil
}

// with gives the bytes of the index with other entries; the very same bytes
// where they are the same.
func (d *document) with(next []v1.Descriptor) ([]byte, error) {
	// Parsed again: what the caller was given may have been changed in place.
	before, err := d.descriptors()
	if err != nil {
		return nil, err
	}
	if d.raw != nil && len(before) == len(next) && (len(next) == 0 || reflect.DeepEqual(before, next)) {
		return d.raw, nil
	}
	var list bytes.Buffer
	list.WriteByte('[')
	for i, desc := range next {
		if i > 0 {
			list.WriteByte(',')
		}
		at := slices.IndexFunc(before, func(b v1.Descriptor) bool { return reflect.DeepEqual(b, desc) })
		if at >= 0 {
			list.Write(d.entries[at])
			continue
		}
		raw, err := json.Marshal(desc)
		if err != nil {
			return nil, err
		}
		list.Write(raw)
	}
	list.WriteByte(']')
	var out bytes.Buffer
	out.WriteByte('{')
	for i, f := range d.fields {
		if i > 0 {
			out.WriteByte(',')
		}
		name, err := json.Marshal(f.name)
		if err != nil {
			return nil, err
		}
		value := []byte(f.value)
		if i == d.manifests() {
			value = list.Bytes()
		}
		out.Write(name)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}
