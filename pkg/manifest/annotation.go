package manifest

import (
	"encoding/json"
	"strings"

	"github.com/multipack/multipack/internal/fault"
)

// Annotation is one change of annotations: a key that gets a value, or goes.
type Annotation struct {
	Key, Value string
	Delete     bool
}

// ParseAnnotations reads "key=value", which sets, and "key-", which deletes.
// A value may hold '=' and commas. Errors are fault.Usage.
func ParseAnnotations(values []string) ([]Annotation, error) {
	out := make([]Annotation, 0, len(values))
	for _, s := range values {
		key, value, set := strings.Cut(s, "=")
		a := Annotation{Key: key, Value: value}
		if !set {
			a.Key, a.Delete = strings.CutSuffix(s, "-")
		}
		if a.Key == "" || !set && !a.Delete {
			return nil, fault.New(fault.Usage, "parsing annotation '%s': write key=value, or key- to delete", s)
		}
		out = append(out, a)
	}
	return out, nil
}

// Apply gives a copy of annotations with the changes made, in their order; nil
// where none is left.
func Apply(annotations map[string]string, changes []Annotation) map[string]string {
	out := make(map[string]string, len(annotations)+len(changes))
	for k, v := range annotations {
		out[k] = v
	}
	for _, c := range changes {
		if c.Delete {
			delete(out, c.Key)
		} else {
			out[c.Key] = c.Value
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// annotateRaw makes changes to the JSON of annotations, nil where there is
// none; false where none is left. A new key stands before the first that sorts
// after it, so that the order of changes does not show.
func annotateRaw(raw []byte, changes []Annotation) ([]byte, bool) {
	if raw == nil {
		raw = []byte("{}")
	}
	o, _ := cutObject(raw)
	for _, c := range changes {
		if c.Delete {
			o = o.without(c.Key)
			continue
		}
		var have string
		if old := o.get(c.Key); old != nil && json.Unmarshal(old, &have) == nil && have == c.Value {
			continue
		}
		value, _ := json.Marshal(c.Value) // a string always marshals
		o = o.set(c.Key, value, func(a, b string) bool { return a < b })
	}
	return o.bytes(), len(o.members) > 0
}
