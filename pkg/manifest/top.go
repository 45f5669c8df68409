package manifest

import (
	"bytes"
	"encoding/json"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The order in which go-containerregistry writes the fields of an index; where
// a field is new it is put in this order, so that the way to a value does not
// show in its bytes.
func topOrder(a, b string) bool {
	return ranked("schemaVersion", "mediaType", "manifests", "annotations", "subject", "artifactType")(a, b)
}

// Annotations are those of the index itself; the caller may change the map.
func (i Index) Annotations() map[string]string {
	var out map[string]string
	_ = i.doc.decode("annotations", &out) // Parse has made sure that it can be read
	return out
}

// ArtifactType is that of the index itself, "" where it has none.
func (i Index) ArtifactType() string {
	var out string
	_ = i.doc.decode("artifactType", &out) // as above
	return out
}

// Subject is the manifest that the index refers to, nil where it has none.
func (i Index) Subject() *v1.Descriptor {
	raw := i.doc.get("subject")
	if raw == nil {
		return nil
	}
	e, err := parseEntry(raw)
	if err != nil {
		return nil // cannot be: Parse has made sure that it can be read
	}
	d := cloneDescriptor(e.Descriptor)
	return &d
}

// Annotate sets and deletes annotations of the index itself, in their order.
// Other annotations keep their bytes; no change gives i itself.
func (i Index) Annotate(changes ...Annotation) Index {
	value := i.doc.get("annotations")
	next, has := annotateRaw(value, changes)
	switch {
	case bytes.Equal(value, next), value == nil && !has:
		return i
	case !has:
		return i.withoutField("annotations")
	}
	return i.withField("annotations", next)
}

// WithArtifactType sets the index's own artifactType; "" takes it away.
func (i Index) WithArtifactType(artifactType string) Index {
	switch artifactType {
	case i.ArtifactType():
		return i
	case "":
		return i.withoutField("artifactType")
	}
	value, _ := json.Marshal(artifactType) // a string always marshals
	return i.withField("artifactType", value)
}

// WithSubject sets the manifest that the index refers to; nil takes it away.
// It fails where the descriptor lacks a media type, digest or size.
func (i Index) WithSubject(subject *v1.Descriptor) (Index, error) {
	if subject == nil {
		if i.Subject() == nil {
			return i, nil
		}
		return i.withoutField("subject"), nil
	}
	e, err := NewEntry(*subject)
	if err != nil {
		return i, err
	}
	return i.withField("subject", e.Raw), nil
}

func (i Index) withField(name string, value []byte) Index {
	if bytes.Equal(i.doc.get(name), value) {
		return i
	}
	return i.withDoc(i.doc.set(name, value, topOrder))
}

func (i Index) withoutField(name string) Index {
	if i.doc.find(name) < 0 {
		return i
	}
	return i.withDoc(i.doc.without(name))
}

func (i Index) withDoc(doc object) Index {
	i.doc = doc
	i.listAt = doc.find("manifests")
	i.raw = nil
	return i
}
