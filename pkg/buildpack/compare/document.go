package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// documentDifferences are those of configs and manifests, but for what modules,
// labels and layers say already. shared are the diff ids of layers that both have.
func documentDifferences(a, b v1.Image, shared map[string]bool) ([]Difference, error) {
	var values [2]map[string]string
	for i, img := range []v1.Image{a, b} {
		var err error
		if values[i], err = said(img, shared); err != nil {
			return nil, err
		}
	}
	keys := maps.Clone(values[0])
	maps.Copy(keys, values[1])
	var out []Difference
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if values[0][key] == values[1][key] {
			continue
		}
		what, name, _ := strings.Cut(key, " ")
		out = append(out, Difference{What: what, Key: name, A: values[0][key], B: values[1][key]})
	}
	return out, nil
}

// said are the values of an image's config and manifest by their keys.
func said(img v1.Image, shared map[string]bool) (map[string]string, error) {
	out := map[string]string{}
	raw, err := img.RawConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading a package's config: %w", err)
	}
	config, err := object(raw)
	if err != nil {
		return nil, fmt.Errorf("reading a package's config: %w", err)
	}
	if inner, ok := config["config"].(map[string]any); ok {
		delete(inner, "Labels")
	}
	rootfs, _ := config["rootfs"].(map[string]any)
	diffIDs, _ := rootfs["diff_ids"].([]any)
	delete(config, "rootfs")
	// One entry for each layer: their number says nothing new.
	if history, ok := config["history"].([]any); ok {
		config["history"] = distinctValues(history)
	}
	flatten("config ", config, out)
	if raw, err = img.RawManifest(); err != nil {
		return nil, fmt.Errorf("reading a package's manifest: %w", err)
	}
	manifest, err := object(raw)
	if err != nil {
		return nil, fmt.Errorf("reading a package's manifest: %w", err)
	}
	if d, ok := manifest["config"].(map[string]any); ok {
		delete(d, "digest")
		delete(d, "size")
	}
	layers, _ := manifest["layers"].([]any)
	delete(manifest, "layers")
	for i, l := range layers {
		d, ok := l.(map[string]any)
		if !ok || i >= len(diffIDs) || !shared[fmt.Sprint(diffIDs[i])] {
			continue
		}
		delete(d, "digest")
		delete(d, "size")
		flatten(fmt.Sprintf("manifest layers[%v]", diffIDs[i]), d, out)
	}
	flatten("manifest ", manifest, out)
	return out, nil
}

func object(raw []byte) (map[string]any, error) {
	var out map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return out, d.Decode(&out)
}

func distinctValues(all []any) []any {
	seen := map[string]bool{}
	var out []any
	for _, v := range all {
		text := fmt.Sprint(v) // maps are printed sorted
		if !seen[text] {
			seen[text] = true
			out = append(out, v)
		}
	}
	return out
}

// flatten notes every value below v under its path.
func flatten(path string, v any, out map[string]string) {
	join := func(key string) string {
		if strings.HasSuffix(path, " ") {
			return path + key
		}
		return path + "." + key
	}
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			flatten(join(key), inner, out)
		}
	case []any:
		for i, inner := range v {
			flatten(fmt.Sprintf("%s[%d]", path, i), inner, out)
		}
	case string:
		out[path] = v
	default:
		out[path] = fmt.Sprint(v)
	}
}
