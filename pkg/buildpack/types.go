package buildpack

import (
	"fmt"
	"strings"
)

// The two kinds of module.
const (
	KindBuildpack = "buildpack"
	KindExtension = "extension"
)

// ModuleInfo is the [buildpack] or [extension] table, in the order in which
// pack writes its keys to a label.
type ModuleInfo struct {
	ID          string    `toml:"id,omitempty" json:"id,omitempty" yaml:"id,omitempty"`
	Name        string    `toml:"name,omitempty" json:"name,omitempty" yaml:"name,omitempty"`
	Version     string    `toml:"version,omitempty" json:"version,omitempty" yaml:"version,omitempty"`
	Description string    `toml:"description,omitempty" json:"description,omitempty" yaml:"description,omitempty"`
	Homepage    string    `toml:"homepage,omitempty" json:"homepage,omitempty" yaml:"homepage,omitempty"`
	Keywords    []string  `toml:"keywords,omitempty" json:"keywords,omitempty" yaml:"keywords,omitempty"`
	ExecEnv     ExecEnv   `toml:"exec-env,omitempty" json:"exec-env,omitempty" yaml:"exec-env,omitempty"`
	Licenses    []License `toml:"licenses,omitempty" json:"licenses,omitempty" yaml:"licenses,omitempty"`
	ClearEnv    bool      `toml:"clear-env,omitempty" json:"clear-env,omitempty" yaml:"clear-env,omitempty"`
}

// FullName is id@version, or the id alone where no version is known.
func (m ModuleInfo) FullName() string { return fullName(m.ID, m.Version) }

func fullName(id, version string) string {
	if version == "" {
		return id
	}
	return id + "@" + version
}

// License is one of a module's licenses. Its keys have no json tag because
// pack's labels spell them with a capital letter.
type License struct {
	Type string `toml:"type"`
	URI  string `toml:"uri"`
}

// ExecEnv lists the execution environments that a module is for. A descriptor
// may write it as an array of strings, as pack and the lifecycle read it, or as
// an array of tables with a name, as Buildpack API 0.12 has it.
type ExecEnv []string

// UnmarshalTOML reads either form.
func (e *ExecEnv) UnmarshalTOML(data any) error {
	*e = nil
	switch v := data.(type) {
	case []any:
		for _, item := range v {
			if err := e.add(item); err != nil {
				return err
			}
		}
		return nil
	case []map[string]any:
		for _, item := range v {
			if err := e.add(item); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("an array of names or of tables is expected")
}

func (e *ExecEnv) add(item any) error {
	switch v := item.(type) {
	case string:
		*e = append(*e, v)
		return nil
	case map[string]any:
		if name, ok := v["name"].(string); ok {
			*e = append(*e, name)
			return nil
		}
		return fmt.Errorf("a table of the array has no 'name'")
	}
	return fmt.Errorf("the array holds something that is neither a name nor a table")
}

// Stack is a [[stacks]] entry, deprecated since Buildpack API 0.10 and still in every label.
type Stack struct {
	ID     string   `json:"id" toml:"id" yaml:"id"`
	Mixins []string `json:"mixins,omitempty" toml:"mixins,omitempty" yaml:"mixins,omitempty"`
}

// Target is a [[targets]] entry as written; an empty field means "any".
type Target struct {
	OS      string   `json:"os" toml:"os" yaml:"os"`
	Arch    string   `json:"arch" toml:"arch" yaml:"arch"`
	Variant string   `json:"variant,omitempty" toml:"variant,omitempty" yaml:"variant,omitempty"`
	Distros []Distro `json:"distros,omitempty" toml:"distros,omitempty" yaml:"distros,omitempty"`
	// Path is the target's folder under the buildpack's root (RFC 0128). It is no part of a label.
	Path string `json:"-" toml:"path,omitempty" yaml:"-"`
}

// String is the target on one line: os/arch[/variant][:distro@version;…].
func (t Target) String() string {
	s := t.OS + "/" + t.Arch
	if t.Variant != "" {
		s += "/" + t.Variant
	}
	names := make([]string, len(t.Distros))
	for i, d := range t.Distros {
		names[i] = fullName(d.Name, d.Version)
	}
	if len(names) > 0 {
		s += ":" + strings.Join(names, ";")
	}
	return s
}

// Distro is a distribution that a target is for.
type Distro struct {
	Name    string `json:"name,omitempty" toml:"name,omitempty" yaml:"name,omitempty"`
	Version string `json:"version,omitempty" toml:"version,omitempty" yaml:"version,omitempty"`
}

// Order is a composite's list of groups, tried one after the other.
type Order []Group

// Group is one [[order]] entry.
type Group struct {
	Group []Ref `toml:"group" json:"group" yaml:"group"`
}

// Ref is one module of a group. It may carry any key of ModuleInfo, and labels keep them.
type Ref struct {
	ModuleInfo `yaml:",inline"`
	Optional   bool `toml:"optional,omitempty" json:"optional,omitempty" yaml:"optional,omitempty"`
}

// UnknownKey is a key of a descriptor that nothing reads.
type UnknownKey struct {
	// Key is the dotted key.
	Key string
	// Line is where it stands, 0 where that is not known.
	Line int
}

// Descriptor is a buildpack.toml or extension.toml, or what a package's label
// keeps of one.
type Descriptor struct {
	// File is what messages call the file; "" for a descriptor that comes from a label.
	File string
	// Kind is KindBuildpack or KindExtension.
	Kind string
	// API is the Buildpack API as major.minor; "" only where a label had none.
	API     string
	Info    ModuleInfo
	Stacks  []Stack
	Targets []Target
	Order   Order
	// Shared are the patterns of [metadata.multipack] shared: files of the root
	// that every platform's folder gets.
	Shared []string
	// Unknown are the keys that nothing reads, sorted.
	Unknown []UnknownKey
}

// IsComposite reports whether the descriptor has an order.
func (d Descriptor) IsComposite() bool { return len(d.Order) > 0 }

// FileName is the name that the descriptor's file has in a module: buildpack.toml or extension.toml.
func (d Descriptor) FileName() string { return FileName(d.Kind) }

// FileName is the descriptor file's name for a kind of module.
func FileName(kind string) string {
	if kind == KindExtension {
		return "extension.toml"
	}
	return "buildpack.toml"
}
