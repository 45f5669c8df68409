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
	Description string    `json:"description,omitempty"`
	Keywords    []string  `json:"keywords,omitempty"`
	ExecEnv     ExecEnv   `json:"exec-env,omitempty"`
	Licenses    []License `json:"licenses,omitempty"`
	ClearEnv    bool      `json:"clear-env,omitempty"`
}

// Extras are the value of ModulesAnnotation.
type Extras map[string]map[string]Extra

// Add puts in what a module says of itself.
func (e Extras) Add(i ModuleInfo) {
	extra := extraOf(i)
	if extra.isZero() {
		return
	}
	if e[i.ID] == nil {
		e[i.ID] = map[string]Extra{}
	}
	e[i.ID][i.Version] = extra
}

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
func (s *imageSpec) annotate(diffID v1.Hash, info ModuleInfo) {
	if extraOf(info).isZero() {
		return
	}
	i := slices.Index(s.diffIDs, diffID)
	for len(s.extras) <= i {
		s.extras = append(s.extras, Extras{})
	}
	s.extras[i].Add(info)
}

// layerAnnotations are those of the layer at index i, nil for none.
func (s *imageSpec) layerAnnotations(i int) (map[string]string, error) {
	if i >= len(s.extras) || len(s.extras[i]) == 0 {
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
