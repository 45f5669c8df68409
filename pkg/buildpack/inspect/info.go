// Package inspect tells what a packaged buildpack or extension holds, as a
// value for structured output and in pack's words, and how packages of several
// platforms or two packages differ. It reads configs and manifests, never layers.
package inspect

import (
	"fmt"
	"maps"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/platform"
)

// Info is one platform's package.
type Info struct {
	// Kind is "buildpack" or "extension".
	Kind        string    `json:"kind" yaml:"kind" toml:"kind"`
	ID          string    `json:"id" yaml:"id" toml:"id"`
	Version     string    `json:"version" yaml:"version" toml:"version"`
	Name        string    `json:"name,omitempty" yaml:"name,omitempty" toml:"name,omitempty"`
	Description string    `json:"description,omitempty" yaml:"description,omitempty" toml:"description,omitempty"`
	Homepage    string    `json:"homepage,omitempty" yaml:"homepage,omitempty" toml:"homepage,omitempty"`
	Keywords    []string  `json:"keywords,omitempty" yaml:"keywords,omitempty" toml:"keywords,omitempty"`
	Licenses    []License `json:"licenses,omitempty" yaml:"licenses,omitempty" toml:"licenses,omitempty"`
	// Platform is os/arch[/variant][:osversion] as the config has it; whoever
	// found the image in an index puts in what the index says.
	Platform string `json:"platform" yaml:"platform" toml:"platform"`
	// Created is the config's time, RFC 3339, "" when it has none.
	Created string `json:"created,omitempty" yaml:"created,omitempty" toml:"created,omitempty"`
	// Digest and ConfigDigest are the manifest's and the config's.
	Digest       string `json:"digest" yaml:"digest" toml:"digest"`
	ConfigDigest string `json:"config_digest" yaml:"config_digest" toml:"config_digest"`
	// Stacks are those of the package as a whole; Targets and Order are the main module's.
	Stacks  []buildpack.Stack  `json:"stacks" yaml:"stacks" toml:"stacks"`
	Targets []buildpack.Target `json:"targets,omitempty" yaml:"targets,omitempty" toml:"targets,omitempty"`
	Order   buildpack.Order    `json:"order,omitempty" yaml:"order,omitempty" toml:"order,omitempty"`
	// Modules are all modules, by id and version.
	Modules []Module `json:"modules" yaml:"modules" toml:"modules"`
	// Layers are all layers of the image, in its order, modules' or not.
	Layers []Layer `json:"layers" yaml:"layers" toml:"layers"`
	// Labels are the image's labels, unparsed.
	Labels map[string]string `json:"labels" yaml:"labels" toml:"labels"`
}

// Layer is one blob of the image. Size is its length as it is stored, in bytes.
type Layer struct {
	Digest string `json:"digest" yaml:"digest" toml:"digest"`
	DiffID string `json:"diff_id,omitempty" yaml:"diff_id,omitempty" toml:"diff_id,omitempty"`
	Size   int64  `json:"size" yaml:"size" toml:"size"`
}

// License is one of the package's licenses.
type License struct {
	Type string `json:"type,omitempty" yaml:"type,omitempty" toml:"type,omitempty"`
	URI  string `json:"uri,omitempty" yaml:"uri,omitempty" toml:"uri,omitempty"`
}

// Module is one buildpack or extension of a package.
type Module struct {
	ID       string `json:"id" yaml:"id" toml:"id"`
	Version  string `json:"version" yaml:"version" toml:"version"`
	Name     string `json:"name,omitempty" yaml:"name,omitempty" toml:"name,omitempty"`
	Homepage string `json:"homepage,omitempty" yaml:"homepage,omitempty" toml:"homepage,omitempty"`
	// These stand beside pack's labels, which have no place for them; a package
	// that pack made says them of its own module only.
	Description string    `json:"description,omitempty" yaml:"description,omitempty" toml:"description,omitempty"`
	Keywords    []string  `json:"keywords,omitempty" yaml:"keywords,omitempty" toml:"keywords,omitempty"`
	Licenses    []License `json:"licenses,omitempty" yaml:"licenses,omitempty" toml:"licenses,omitempty"`
	ExecEnv     []string  `json:"exec-env,omitempty" yaml:"exec-env,omitempty" toml:"exec-env,omitempty"`
	ClearEnv    bool      `json:"clear-env,omitempty" yaml:"clear-env,omitempty" toml:"clear-env,omitempty"`

	API     string             `json:"api,omitempty" yaml:"api,omitempty" toml:"api,omitempty"`
	Stacks  []buildpack.Stack  `json:"stacks,omitempty" yaml:"stacks,omitempty" toml:"stacks,omitempty"`
	Targets []buildpack.Target `json:"targets,omitempty" yaml:"targets,omitempty" toml:"targets,omitempty"`
	Order   buildpack.Order    `json:"order,omitempty" yaml:"order,omitempty" toml:"order,omitempty"`
	// DiffID is as the label has it. Layer and Size are the blob's; they are
	// empty where the image has no such layer.
	DiffID string `json:"diff_id" yaml:"diff_id" toml:"diff_id"`
	Layer  string `json:"layer,omitempty" yaml:"layer,omitempty" toml:"layer,omitempty"`
	Size   int64  `json:"size,omitempty" yaml:"size,omitempty" toml:"size,omitzero"`
}

// FullName is id@version.
func (m Module) FullName() string { return m.ID + "@" + m.Version }

// FullName is id@version.
func (i Info) FullName() string { return i.ID + "@" + i.Version }

// Image reads a package image's config and manifest. A label that every
// package has and this image has not is a fault.NotFound that names it.
func Image(img v1.Image) (Info, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return Info{}, fmt.Errorf("reading a package's config: %w", err)
	}
	kind, metadata, layers, err := buildpack.ReadLabels(config.Config.Labels)
	if err != nil {
		return Info{}, err
	}
	info := Info{
		Kind: kind, ID: metadata.ID, Version: metadata.Version, Name: metadata.Name,
		Description: metadata.Description, Homepage: metadata.Homepage, Keywords: metadata.Keywords,
		Platform: platform.FromConfig(config).String(),
		Stacks:   metadata.Stacks, Labels: config.Config.Labels,
	}
	info.Licenses = licenses(metadata.Licenses)
	if !config.Created.IsZero() {
		info.Created = config.Created.UTC().Format(time.RFC3339)
	}
	if err := info.readDigests(img); err != nil {
		return Info{}, err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return Info{}, fmt.Errorf("reading a package's manifest: %w", err)
	}
	info.Layers = blobs(manifest, config)
	extras, err := buildpack.ReadExtras(manifest)
	if err != nil {
		return Info{}, fmt.Errorf("reading a package's manifest: %w", err)
	}
	extras.Add(metadata.ModuleInfo)
	info.Modules = modules(info.Layers, layers, extras)
	if main, ok := info.module(info.ID, info.Version); ok {
		info.Targets, info.Order = main.Targets, main.Order
	}
	return info, nil
}

func (i *Info) readDigests(img v1.Image) error {
	digest, err := img.Digest()
	if err != nil {
		return fmt.Errorf("reading a package's manifest: %w", err)
	}
	config, err := img.ConfigName()
	if err != nil {
		return fmt.Errorf("reading a package's config: %w", err)
	}
	i.Digest, i.ConfigDigest = digest.String(), config.String()
	return nil
}

// blobs are the manifest's layers, each with the config's word for its content.
func blobs(manifest *v1.Manifest, config *v1.ConfigFile) []Layer {
	out := make([]Layer, len(manifest.Layers))
	for i, d := range manifest.Layers {
		out[i] = Layer{Digest: d.Digest.String(), Size: d.Size}
		if i < len(config.RootFS.DiffIDs) {
			out[i].DiffID = config.RootFS.DiffIDs[i].String()
		}
	}
	return out
}

// modules are those that the label names, each with the blob that it is in.
func modules(blobs []Layer, layers buildpack.Layers, extras buildpack.Extras) []Module {
	byDiffID := map[string]Layer{}
	for _, blob := range blobs {
		byDiffID[blob.DiffID] = blob
	}
	out := []Module{}
	for _, id := range slices.Sorted(maps.Keys(layers)) {
		for _, version := range slices.Sorted(maps.Keys(layers[id])) {
			l := layers[id][version]
			m := Module{
				ID: id, Version: version, Name: l.Name, Homepage: l.Homepage,
				Stacks: l.Stacks, Targets: l.Targets, Order: l.Order, DiffID: l.LayerDiffID,
			}
			extra := extras[id][version]
			m.Description, m.Keywords, m.Licenses = extra.Description, extra.Keywords, licenses(extra.Licenses)
			m.ExecEnv, m.ClearEnv = extra.ExecEnv, extra.ClearEnv
			if l.API != nil {
				m.API = *l.API
			}
			if l.LayerDiffID != "" {
				m.Layer, m.Size = byDiffID[l.LayerDiffID].Digest, byDiffID[l.LayerDiffID].Size
			}
			out = append(out, m)
		}
	}
	return out
}

func licenses(all []buildpack.License) []License {
	var out []License
	for _, l := range all {
		out = append(out, License(l))
	}
	return out
}

// module finds a module; a reference without version means the only version there is.
func (i Info) module(id, version string) (Module, bool) {
	var found []Module
	for _, m := range i.Modules {
		if m.ID == id && (version == "" || m.Version == version) {
			found = append(found, m)
		}
	}
	if len(found) == 1 {
		return found[0], true
	}
	return Module{}, false
}
