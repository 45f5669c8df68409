package ui_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode"

	"github.com/BurntSushi/toml"
	"go.yaml.in/yaml/v3"

	"github.com/multipack/multipack/internal/ui"
)

// hostile has what a terminal would obey, or show other than it is.
var hostile = []string{
	"\x1b[2J\x1b]0;title\x07", "\u009b31m", "\u202egnp.exe\u2066", "zero\u200bwidth",
	"two\nlines\tand a tab", "tag\U000e0041", "no\u00a0break", "\x7f", "plain é 日本 🎉", "null", "- 1: x", "",
}

// A document can be looked at in a terminal, and still says what it was given.
func TestDocumentsShowNothingHidden(t *testing.T) {
	t.Parallel()
	want := map[string]any{}
	for _, s := range hostile {
		want["k"+s] = s
	}
	for format, decode := range map[string]func([]byte, any) error{
		ui.JSON: json.Unmarshal, ui.YAML: yaml.Unmarshal, ui.TOML: toml.Unmarshal,
	} {
		var b bytes.Buffer
		if err := ui.WriteDocument(&b, format, want); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		for _, r := range b.String() {
			if !unicode.IsPrint(r) && r != '\n' {
				t.Errorf("%s shows %U:\n%s", format, r, b.String())
				break
			}
		}
		got := map[string]any{}
		if err := decode(b.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v\n%s", format, err, b.String())
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s says %q, want %q", format, got, want)
		}
	}
}

func TestDocumentsShareOneSchema(t *testing.T) {
	t.Parallel()
	v := struct {
		Name  string   `json:"the_name"`
		Size  int64    `json:"size"`
		List  []string `json:"list"`
		Empty *string  `json:"empty"`
	}{"x: y", 7, []string{"a", "b"}, nil}
	for format, want := range map[string]string{
		ui.JSON: "{\n  \"the_name\": \"x: y\",\n  \"size\": 7,\n  \"list\": [\n    \"a\",\n    \"b\"\n  ],\n  \"empty\": null\n}\n",
		ui.YAML: "the_name: 'x: y'\nsize: 7\nlist:\n  - a\n  - b\nempty: null\n",
		ui.TOML: "list = [\"a\", \"b\"]\nsize = 7\nthe_name = \"x: y\"\n",
	} {
		var b bytes.Buffer
		if err := ui.WriteDocument(&b, format, v); err != nil || b.String() != want {
			t.Errorf("%s: %v, got %q, want %q", format, err, b.String(), want)
		}
	}
	if err := ui.WriteDocument(&bytes.Buffer{}, "xml", v); err == nil {
		t.Error("xml was written")
	}
}
