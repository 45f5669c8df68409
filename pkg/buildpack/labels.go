package buildpack

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/multipack/multipack/internal/fault"
)

// The labels of a package image, as pack writes and reads them.
const (
	MetadataLabel        = "io.buildpacks.buildpackage.metadata"
	BuildpackLayersLabel = "io.buildpacks.buildpack.layers"
	ExtensionLayersLabel = "io.buildpacks.extension.layers"
)

// LayersLabel is the label that lists the modules of a kind.
func LayersLabel(kind string) string {
	if kind == KindExtension {
		return ExtensionLayersLabel
	}
	return BuildpackLayersLabel
}

// Metadata is the value of MetadataLabel: what the package as a whole is.
type Metadata struct {
	ModuleInfo
	// Stacks is always written; an extension's is null.
	Stacks []Stack `json:"stacks"`
}

// Layers is the value of a layers label: id, then version.
type Layers map[string]map[string]LayerInfo

// LayerInfo is what a layers label keeps of a module. A description, keywords
// and licenses of a component have no place in it: see Extra.
type LayerInfo struct {
	API         *string  `json:"api"`
	Stacks      []Stack  `json:"stacks,omitempty"`
	Targets     []Target `json:"targets,omitempty"`
	Order       Order    `json:"order,omitempty"`
	LayerDiffID string   `json:"layerDiffID"`
	Homepage    string   `json:"homepage,omitempty"`
	Name        string   `json:"name,omitempty"`
}

func layerInfo(d Descriptor, diffID string) LayerInfo {
	info := LayerInfo{
		Stacks: d.Stacks, Targets: d.Targets, Order: d.Order,
		LayerDiffID: diffID, Homepage: d.Info.Homepage, Name: d.Info.Name,
	}
	if d.API != "" {
		info.API = &d.API
	}
	return info
}

// descriptor is the reverse of layerInfo.
func (l LayerInfo) descriptor(kind, id, version string) (Descriptor, error) {
	d := Descriptor{
		Kind:   kind,
		Info:   ModuleInfo{ID: id, Version: version, Homepage: l.Homepage, Name: l.Name},
		Stacks: l.Stacks, Targets: l.Targets, Order: l.Order,
	}
	if l.API != nil {
		api, err := parseAPI(*l.API)
		if err != nil {
			return Descriptor{}, err
		}
		d.API = api
	}
	return d, nil
}

// labels are the user's labels and, over them, the package's own.
func labels(user map[string]string, main Descriptor, stacks []Stack, layers Layers) (map[string]string, error) {
	out := maps.Clone(user)
	if out == nil {
		out = map[string]string{}
	}
	for key, value := range map[string]any{
		MetadataLabel:          Metadata{ModuleInfo: main.Info, Stacks: stacks},
		LayersLabel(main.Kind): layers,
	} {
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, fault.New(fault.Failed, "encoding label '%s': %w", key, err)
		}
		out[key] = string(raw)
	}
	return out, nil
}

// readLabel decodes a label; false where the image has none.
func readLabel(all map[string]string, key string, into any) (bool, error) {
	text, ok := all[key]
	if !ok {
		return false, nil
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return true, fmt.Errorf("label '%s' is no valid JSON of its kind: %w", key, err)
	}
	return true, nil
}
