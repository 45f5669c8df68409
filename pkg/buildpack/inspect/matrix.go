package inspect

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/multipack/multipack/pkg/buildpack"
)

// Matrix compares the platforms of one package: a row for each module, a column
// for each platform.
type Matrix struct {
	// Platforms are the columns, in the order of the infos.
	Platforms []string `json:"platforms" yaml:"platforms" toml:"platforms"`
	// Rows are by id and version.
	Rows []Row `json:"modules" yaml:"modules" toml:"modules"`
	// Totals are as many as Platforms.
	Totals []Total `json:"totals" yaml:"totals" toml:"totals"`
	// UniqueSize is the bytes of all layers of all platforms, each counted once:
	// what a registry stores of them.
	UniqueSize int64 `json:"unique_size" yaml:"unique_size" toml:"unique_size"`
	// Differences are what is not the same on every platform, in a fixed order.
	Differences []Difference `json:"differences" yaml:"differences" toml:"differences"`
}

// Total is one platform's image as a whole.
type Total struct {
	Modules int `json:"modules" yaml:"modules" toml:"modules"`
	Layers  int `json:"layers" yaml:"layers" toml:"layers"`
	// Size is the bytes of its layers, each counted once.
	Size int64 `json:"size" yaml:"size" toml:"size"`
}

// Row is one module of the matrix.
type Row struct {
	ID      string `json:"id" yaml:"id" toml:"id"`
	Version string `json:"version" yaml:"version" toml:"version"`
	// Skew marks a module that is missing on a platform, or whose API, order,
	// targets, stacks or names differ. Other layer content alone is none: a
	// module is meant to have other binaries on each platform.
	Skew bool `json:"skew" yaml:"skew" toml:"skew"`
	// Cells are as many as Platforms.
	Cells []Cell `json:"cells" yaml:"cells" toml:"cells"`
}

// Cell is a module on one platform.
type Cell struct {
	// Present is false where the platform lacks the module; the rest is empty then.
	Present bool   `json:"present" yaml:"present" toml:"present"`
	API     string `json:"api,omitempty" yaml:"api,omitempty" toml:"api,omitempty"`
	DiffID  string `json:"diff_id,omitempty" yaml:"diff_id,omitempty" toml:"diff_id,omitempty"`
	Layer   string `json:"layer,omitempty" yaml:"layer,omitempty" toml:"layer,omitempty"`
	Size    int64  `json:"size,omitempty" yaml:"size,omitempty" toml:"size,omitzero"`
}

// Difference is one thing that is not the same in all columns.
type Difference struct {
	// What is "package", "module", "api", "order", "targets", "stacks", "name",
	// "homepage", "label" or, from Diff, "layer".
	What string `json:"what" yaml:"what" toml:"what"`
	// Module is the id@version it is about; "" is the package as a whole. Of a
	// module that is missing somewhere, what differs among the others counts too.
	Module string `json:"module,omitempty" yaml:"module,omitempty" toml:"module,omitempty"`
	// Label is the label's name where What is "label".
	Label string `json:"label,omitempty" yaml:"label,omitempty" toml:"label,omitempty"`
	// Values are as many as columns; "" where a column has none.
	Values []string `json:"values" yaml:"values" toml:"values"`
}

// Skew reports whether any platform differs from the others.
func (m Matrix) Skew() bool { return len(m.Differences) > 0 }

// NewMatrix compares packages of several platforms. With fewer than two there
// are no differences.
func NewMatrix(infos []Info) Matrix {
	m := Matrix{Platforms: []string{}, Rows: []Row{}, Totals: []Total{}, Differences: []Difference{}}
	everywhere := map[string]bool{}
	for _, info := range infos {
		m.Platforms = append(m.Platforms, info.Platform)
		m.Totals = append(m.Totals, Total{
			Modules: len(info.Modules), Layers: len(info.Layers), Size: distinct(info.Layers, map[string]bool{}),
		})
		m.UniqueSize += distinct(info.Layers, everywhere)
	}
	m.compare("package", "", values(infos, func(i Info) string { return i.FullName() }))
	for _, key := range moduleKeys(infos) {
		m.addRow(infos, key)
	}
	m.compare("stacks", "", values(infos, func(i Info) string { return compact(i.Stacks) }))
	m.compareLabels(infos)
	return m
}

// distinct is the bytes of the layers that were not seen yet.
func distinct(layers []Layer, seen map[string]bool) int64 {
	var n int64
	for _, l := range layers {
		if !seen[l.Digest] {
			seen[l.Digest] = true
			n += l.Size
		}
	}
	return n
}

// compare notes a difference, and reports whether there is one.
func (m *Matrix) compare(what, module string, all []string) bool {
	if same(all) {
		return false
	}
	m.Differences = append(m.Differences, Difference{What: what, Module: module, Values: all})
	return true
}

func same(all []string) bool {
	return len(all) == 0 || !slices.ContainsFunc(all, func(s string) bool { return s != all[0] })
}

func values(infos []Info, f func(Info) string) []string {
	out := make([]string, len(infos))
	for i, info := range infos {
		out[i] = f(info)
	}
	return out
}

type moduleKey struct{ id, version string }

func moduleKeys(infos []Info) []moduleKey {
	seen := map[moduleKey]bool{}
	for _, info := range infos {
		for _, mod := range info.Modules {
			seen[moduleKey{mod.ID, mod.Version}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b moduleKey) int {
		if c := strings.Compare(a.id, b.id); c != 0 {
			return c
		}
		return strings.Compare(a.version, b.version)
	})
}

func (m *Matrix) addRow(infos []Info, key moduleKey) {
	row := Row{ID: key.id, Version: key.version, Cells: make([]Cell, len(infos))}
	name := key.id + "@" + key.version
	present := make([]string, len(infos))
	found := make([]Module, len(infos))
	for i, info := range infos {
		if mod, ok := info.exactly(key); ok {
			row.Cells[i] = Cell{Present: true, API: mod.API, DiffID: mod.DiffID, Layer: mod.Layer, Size: mod.Size}
			present[i], found[i] = key.version, mod
		}
	}
	row.Skew = m.compare("module", name, present)
	for _, field := range moduleFields {
		all, having := make([]string, len(infos)), []string{}
		for i, mod := range found {
			if row.Cells[i].Present {
				all[i] = field.value(mod)
				having = append(having, all[i])
			}
		}
		if !same(having) {
			row.Skew = m.compare(field.name, name, all)
		}
	}
	m.Rows = append(m.Rows, row)
}

var moduleFields = []struct {
	name  string
	value func(Module) string
}{
	{"api", func(m Module) string { return m.API }},
	{"order", func(m Module) string { return orderText(m.Order) }},
	{"targets", func(m Module) string { return targetsText(m.Targets) }},
	{"stacks", func(m Module) string { return compact(m.Stacks) }},
	{"name", func(m Module) string { return m.Name }},
	{"homepage", func(m Module) string { return m.Homepage }},
}

func (i Info) exactly(key moduleKey) (Module, bool) {
	for _, m := range i.Modules {
		if m.ID == key.id && m.Version == key.version {
			return m, true
		}
	}
	return Module{}, false
}

// compareLabels compares what the rows have not shown: the metadata but for id,
// version and stacks, and every label that is not the package's own.
func (m *Matrix) compareLabels(infos []Info) {
	keys := map[string]bool{}
	for _, info := range infos {
		for key := range info.Labels {
			keys[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if key == buildpack.BuildpackLayersLabel || key == buildpack.ExtensionLayersLabel {
			continue
		}
		all := values(infos, func(i Info) string { return i.Labels[key] })
		if key == buildpack.MetadataLabel {
			all = metadataValues(all)
		}
		if !same(all) {
			m.Differences = append(m.Differences, Difference{What: "label", Label: key, Values: all})
		}
	}
}

// metadataValues are what the metadata differ in, but for id, version and stacks.
// How they are written, and keys without a value, make no difference; what is no
// object is compared as it is.
func metadataValues(all []string) []string {
	parsed, keys := make([]map[string]any, len(all)), map[string]bool{}
	for i, text := range all {
		if json.Unmarshal([]byte(text), &parsed[i]) != nil || parsed[i] == nil {
			return all
		}
		for key := range parsed[i] {
			keys[key] = true
		}
	}
	for key := range keys {
		of := make([]string, len(all))
		for i := range parsed {
			of[i] = compact(parsed[i][key])
			if of[i] == `""` || of[i] == "[]" || of[i] == "" {
				of[i] = ""
				delete(parsed[i], key)
			}
		}
		if key == "id" || key == "version" || key == "stacks" || same(of) {
			for i := range parsed {
				delete(parsed[i], key)
			}
		}
	}
	out := make([]string, len(all))
	for i := range parsed {
		if len(parsed[i]) > 0 {
			out[i] = compact(parsed[i])
		}
	}
	return out
}

func compact(v any) string {
	raw, err := json.Marshal(v)
	if err != nil || string(raw) == "null" {
		return ""
	}
	return string(raw)
}

// What stands between the groups of an order on one line, and between the modules of a group.
const (
	orderSeparator = " | "
	refSeparator   = ", "
)

// orderText is an order on one line: groups between bars, optional modules with a question mark.
func orderText(order buildpack.Order) string {
	groups := make([]string, len(order))
	for i, g := range order {
		refs := make([]string, len(g.Group))
		for j, ref := range g.Group {
			refs[j] = ref.FullName()
			if ref.Optional {
				refs[j] += "?"
			}
			if len(ref.ExecEnv) > 0 {
				refs[j] += "[" + strings.Join(ref.ExecEnv, ",") + "]"
			}
		}
		groups[i] = strings.Join(refs, refSeparator)
	}
	return strings.Join(groups, orderSeparator)
}

func targetsText(targets []buildpack.Target) string {
	out := make([]string, len(targets))
	for i, t := range targets {
		out[i] = t.String()
	}
	return strings.Join(out, ", ")
}

// Diff compares two packages: what a Matrix of both shows, and layers whose
// content differs. Values are those of a and b.
func Diff(a, b Info) []Difference {
	m := NewMatrix([]Info{a, b})
	out := m.Differences
	for _, row := range m.Rows {
		x, y := row.Cells[0], row.Cells[1]
		if x.Present && y.Present && x.DiffID != y.DiffID {
			out = append(out, Difference{What: "layer", Module: row.ID + "@" + row.Version, Values: []string{x.DiffID, y.DiffID}})
		}
	}
	return out
}
