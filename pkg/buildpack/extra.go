package buildpack

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// ModulesAnnotation is the annotation of a layer that says of the modules in it
// what pack's labels have no place for: id, then version, then Extra.
const ModulesAnnotation = "vnd.multipack.modules"

// Extra is what a layers label does not keep of a module that comes with
// another one; a package's own module has it in MetadataLabel.
type Extra struct {
	Description string    `json:"description,omitempty" yaml:"description,omitempty" toml:"description,omitempty"`
	Keywords    []string  `json:"keywords,omitempty" yaml:"keywords,omitempty" toml:"keywords,omitempty"`
	ExecEnv     ExecEnv   `json:"exec-env,omitempty" yaml:"exec-env,omitempty" toml:"exec-env,omitempty"`
	Licenses    []License `json:"licenses,omitempty" yaml:"licenses,omitempty" toml:"licenses,omitempty"`
	ClearEnv    bool      `json:"clear-env,omitempty" yaml:"clear-env,omitempty" toml:"clear-env,omitempty"`
}

// Extras are the value of ModulesAnnotation.
type Extras map[string]map[string]Extra

func extraOf(i ModuleInfo) Extra {
	return Extra{Description: i.Description, Keywords: i.Keywords, ExecEnv: i.ExecEnv, Licenses: i.Licenses, ClearEnv: i.ClearEnv}
}

func (e Extra) isZero() bool {
	return e.Description == "" && len(e.Keywords) == 0 && len(e.ExecEnv) == 0 && len(e.Licenses) == 0 && !e.ClearEnv
}

// into puts e where a module read from a label has nothing.
func (e Extra) into(i *ModuleInfo) {
	i.Description, i.Keywords, i.ExecEnv, i.Licenses, i.ClearEnv = e.Description, e.Keywords, e.ExecEnv, e.Licenses, e.ClearEnv
}

// annotate adds what the labels do not say of the module to its layer.
func (s *imageSpec) annotate(diffID v1.Hash, d Descriptor) {
	extra := extraOf(d.Info)
	if extra.isZero() {
		return
	}
	i := slices.Index(s.diffIDs, diffID)
	for len(s.extras) <= i {
		s.extras = append(s.extras, nil)
	}
	if s.extras[i] == nil {
		s.extras[i] = Extras{}
	}
	if s.extras[i][d.Info.ID] == nil {
		s.extras[i][d.Info.ID] = map[string]Extra{}
	}
	s.extras[i][d.Info.ID][d.Info.Version] = extra
}

// layerAnnotations are those of the layer at index i, nil for none.
func (s *imageSpec) layerAnnotations(i int) (map[string]string, error) {
	if i >= len(s.extras) || s.extras[i] == nil {
		return nil, nil
	}
	raw, err := json.Marshal(s.extras[i])
	return map[string]string{ModulesAnnotation: string(raw)}, err
}

// ReadExtras gives what an image's manifest says of modules beside its labels.
func ReadExtras(m *v1.Manifest) (Extras, error) {
	out := Extras{}
	for _, layer := range m.Layers {
		text, ok := layer.Annotations[ModulesAnnotation]
		if !ok {
			continue
		}
		var extras Extras
		if err := json.Unmarshal([]byte(text), &extras); err != nil {
			return nil, fmt.Errorf("annotation '%s' of layer '%s' is no valid JSON of its kind: %w", ModulesAnnotation, layer.Digest, err)
		}
		for id, versions := range extras {
			if out[id] == nil {
				out[id] = map[string]Extra{}
			}
			maps.Copy(out[id], versions)
		}
	}
	return out, nil
}
