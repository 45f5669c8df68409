package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"github.com/BurntSushi/toml"
	"go.yaml.in/yaml/v3"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/visible"
)

// Formats that Document writes.
const (
	JSON = "json"
	YAML = "yaml"
	TOML = "toml"
)

// Document writes v in the format to stdout. The keys are those of v's json
// tags in every format, so that one schema describes all three. What a terminal
// could take for more than text is written as the format's own escapes: the
// document says the same, and can be looked at.
func (c *Console) Document(format string, v any) error {
	return WriteDocument(c.out, format, v)
}

// WriteDocument is Document for any writer.
func WriteDocument(w io.Writer, format string, v any) error {
	var b bytes.Buffer
	var escape func(rune) string
	var err error
	switch format {
	case JSON:
		escape, err = jsonEscape, encodeJSON(&b, v)
	case YAML:
		escape, err = longEscape, encodeYAML(&b, v)
	case TOML:
		escape, err = longEscape, encodeTOML(&b, v)
	default:
		err = fault.New(fault.Usage, "choosing the output: '%s' is none of 'json', 'yaml', 'toml'", format)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, visible.Escape(b.String(), escape))
	return err
}

// jsonEscape is a character in a string of JSON (RFC 8259, 7: beyond the Basic
// Multilingual Plane it takes two).
func jsonEscape(r rune) string {
	if r1, r2 := utf16.EncodeRune(r); r > 0xffff {
		return fmt.Sprintf(`\u%04x\u%04x`, r1, r2)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// longEscape is a character in a basic string of TOML, or in a double-quoted one of YAML.
func longEscape(r rune) string {
	if r > 0xffff {
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

func encodeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func encodeYAML(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	// JSON is YAML, but for some characters that YAML wants escaped: decoding it
	// as YAML keeps the order of the keys.
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(visible.Escape(string(data), longEscape)), &node); err != nil {
		return err
	}
	blockStyle(&node)
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(&node); err != nil {
		return err
	}
	return enc.Close()
}

func encodeTOML(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var m any
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	if list, ok := m.([]any); ok {
		m = map[string]any{"items": list}
	}
	return toml.NewEncoder(w).Encode(withoutNull(m))
}

// blockStyle takes JSON's braces and quotes off, where YAML does not need them.
func blockStyle(n *yaml.Node) {
	n.Style &^= yaml.FlowStyle
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && visible.Text(n.Value) == n.Value && !oldBool[strings.ToLower(n.Value)] {
		n.Style &^= yaml.DoubleQuotedStyle
	}
	for _, c := range n.Content {
		blockStyle(c)
	}
}

// oldBool are strings that YAML 1.1 readers take for booleans when they stand
// without quotes; the encoder knows YAML 1.2's only.
var oldBool = map[string]bool{"y": true, "n": true, "yes": true, "no": true, "on": true, "off": true}

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
