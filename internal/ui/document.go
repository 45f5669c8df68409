package ui

import (
	"encoding/json"
	"io"

	"github.com/BurntSushi/toml"
	"go.yaml.in/yaml/v3"

	"github.com/multipack/multipack/internal/fault"
)

// Formats that Document writes.
const (
	JSON = "json"
	YAML = "yaml"
	TOML = "toml"
)

// Document writes v in the format to stdout. The keys are those of v's json
// tags in every format, so that one schema describes all three.
func (c *Console) Document(format string, v any) error {
	return WriteDocument(c.o.Out, format, v)
}

// WriteDocument is Document for any writer.
func WriteDocument(w io.Writer, format string, v any) error {
	if format == JSON {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	switch format {
	case YAML:
		// JSON is YAML: decoding it as YAML keeps the order of the keys.
		var node yaml.Node
		if err := yaml.Unmarshal(data, &node); err != nil {
			return err
		}
		blockStyle(&node)
		enc := yaml.NewEncoder(w)
		enc.SetIndent(2)
		if err := enc.Encode(&node); err != nil {
			return err
		}
		return enc.Close()
	case TOML:
		var m any
		if err := json.Unmarshal(data, &m); err != nil {
			return err
		}
		if list, ok := m.([]any); ok {
			m = map[string]any{"items": list}
		}
		return toml.NewEncoder(w).Encode(withoutNull(m))
	}
	return fault.New(fault.Usage, "choosing the output: '%s' is none of 'json', 'yaml', 'toml'", format)
}

// blockStyle takes JSON's braces and quotes off, where YAML does not need them.
func blockStyle(n *yaml.Node) {
	n.Style &^= yaml.FlowStyle
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		n.Style &^= yaml.DoubleQuotedStyle
	}
	for _, c := range n.Content {
		blockStyle(c)
	}
}

// withoutNull drops what TOML has no word for, and gives integers back their kind.
func withoutNull(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			if inner == nil {
				delete(v, k)
				continue
			}
			v[k] = withoutNull(inner)
		}
	case []any:
		out := v[:0]
		for _, inner := range v {
			if inner != nil {
				out = append(out, withoutNull(inner))
			}
		}
		return out
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return v
}
