package compare

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack/inspect"
)

// File is an entry of a layer.
type File struct {
	// Kind is "file", "folder", "symlink", "hard link" or "special".
	Kind string `json:"kind" yaml:"kind" toml:"kind"`
	// Mode are the permission bits, in octal.
	Mode string `json:"mode" yaml:"mode" toml:"mode"`
	// Size and Digest are a file's.
	Size   int64  `json:"size,omitempty" yaml:"size,omitempty" toml:"size,omitzero"`
	Digest string `json:"digest,omitempty" yaml:"digest,omitempty" toml:"digest,omitempty"`
	// Link is where a link leads.
	Link string `json:"link,omitempty" yaml:"link,omitempty" toml:"link,omitempty"`
}

// FileChange is a file that is not the same.
type FileChange struct {
	// Module is the id@version, "id@version → id@version" where that differs too.
	Module string `json:"module" yaml:"module" toml:"module"`
	// Path is below the module's own folder.
	Path string `json:"path" yaml:"path" toml:"path"`
	// How is "added", "removed", "kind", "content", "mode" or "link".
	How string `json:"how" yaml:"how" toml:"how"`
	A   *File  `json:"a,omitempty" yaml:"a,omitempty" toml:"a,omitempty"`
	B   *File  `json:"b,omitempty" yaml:"b,omitempty" toml:"b,omitempty"`
}

// fileChanges compares the files of all modules whose layers differ. A module
// that is there in one other version is compared with that.
func fileChanges(ctx context.Context, a, b v1.Image, infoA, infoB inspect.Info) ([]FileChange, error) {
	readers := [2]*layerReader{{img: a}, {img: b}}
	out := []FileChange{}
	for _, p := range pairs(infoA, infoB) {
		if p.a.DiffID == p.b.DiffID {
			continue
		}
		var files [2]map[string]File
		for i, m := range []inspect.Module{p.a, p.b} {
			kind := []string{infoA.Kind, infoB.Kind}[i]
			var err error
			if files[i], err = readers[i].module(ctx, kind, m); err != nil {
				return nil, fmt.Errorf("reading the files of '%s': %w", m.FullName(), err)
			}
		}
		out = append(out, changes(p.name(), files[0], files[1])...)
	}
	return out, nil
}

type pair struct{ a, b inspect.Module }

func (p pair) name() string {
	switch {
	case p.a.ID == "":
		return p.b.FullName()
	case p.b.ID == "" || p.a.Version == p.b.Version:
		return p.a.FullName()
	}
	return p.a.FullName() + " → " + p.b.FullName()
}

// pairs are the modules of both, by id and version; a side that has no such
// module is zero.
func pairs(a, b inspect.Info) []pair {
	var out []pair
	alone := map[string][2][]inspect.Module{}
	has := func(in inspect.Info, m inspect.Module) bool {
		return slices.ContainsFunc(in.Modules, func(o inspect.Module) bool { return o.FullName() == m.FullName() })
	}
	for _, m := range a.Modules {
		if i := slices.IndexFunc(b.Modules, func(o inspect.Module) bool { return o.FullName() == m.FullName() }); i >= 0 {
			out = append(out, pair{m, b.Modules[i]})
			continue
		}
		list := alone[m.ID]
		list[0] = append(list[0], m)
		alone[m.ID] = list
	}
	for _, m := range b.Modules {
		if !has(a, m) {
			list := alone[m.ID]
			list[1] = append(list[1], m)
			alone[m.ID] = list
		}
	}
	for _, id := range slices.Sorted(maps.Keys(alone)) {
		list := alone[id]
		if len(list[0]) == 1 && len(list[1]) == 1 {
			out = append(out, pair{list[0][0], list[1][0]})
			continue
		}
		for _, m := range list[0] {
			out = append(out, pair{a: m})
		}
		for _, m := range list[1] {
			out = append(out, pair{b: m})
		}
	}
	slices.SortStableFunc(out, func(x, y pair) int { return strings.Compare(x.name(), y.name()) })
	return out
}

func changes(module string, a, b map[string]File) []FileChange {
	all := maps.Clone(a)
	maps.Copy(all, b)
	var out []FileChange
	for _, name := range slices.Sorted(maps.Keys(all)) {
		x, inA := a[name]
		y, inB := b[name]
		c := FileChange{Module: module, Path: name}
		if inA {
			c.A = &x
		}
		if inB {
			c.B = &y
		}
		if c.How = how(c.A, c.B); c.How != "" {
			out = append(out, c)
		}
	}
	return out
}

// how says what the first difference is, "" for none.
func how(a, b *File) string {
	switch {
	case a == nil:
		return "added"
	case b == nil:
		return "removed"
	case a.Kind != b.Kind:
		return "kind"
	case a.Digest != b.Digest:
		return "content"
	case a.Link != b.Link:
		return "link"
	case a.Mode != b.Mode:
		return "mode"
	}
	return ""
}

// layerReader lists the layers of an image, each once.
type layerReader struct {
	img    v1.Image
	layers map[string]map[string]File
}

// module are the files of a module, by their paths below its folder.
func (r *layerReader) module(ctx context.Context, kind string, m inspect.Module) (map[string]File, error) {
	out := map[string]File{}
	if m.ID == "" {
		return out, nil
	}
	all, err := r.list(ctx, m.DiffID)
	if err != nil {
		return nil, err
	}
	home := path.Join("cnb", kind+"s", strings.ReplaceAll(m.ID, "/", "_"), m.Version) + "/"
	for name, f := range all {
		below, ok := strings.CutPrefix(strings.TrimPrefix(name, "Files/"), home)
		if !ok {
			continue
		}
		if f.Kind == "hard link" {
			f.Link = strings.TrimPrefix(strings.TrimPrefix(f.Link, "/"), home)
		}
		out[below] = f
	}
	return out, nil
}

func (r *layerReader) list(ctx context.Context, diffID string) (map[string]File, error) {
	if files, ok := r.layers[diffID]; ok {
		return files, nil
	}
	hash, err := v1.NewHash(diffID)
	if err != nil {
		return nil, err
	}
	layer, err := r.img.LayerByDiffID(hash)
	if err != nil {
		return nil, err
	}
	content, err := layer.Uncompressed()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	files, err := listTar(ctx, content)
	if err != nil {
		return nil, err
	}
	if r.layers == nil {
		r.layers = map[string]map[string]File{}
	}
	r.layers[diffID] = files
	return files, nil
}

// listTar are the entries of a tar by their clean names.
func listTar(ctx context.Context, content io.Reader) (map[string]File, error) {
	out := map[string]File{}
	buffer := make([]byte, 64<<10)
	tr := tar.NewReader(content)
	for {
		if err := ctx.Err(); err != nil {
			return nil, fault.New(fault.Interrupted, "reading a layer: %w", context.Cause(ctx))
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		f := File{Kind: kinds[h.Typeflag], Mode: fmt.Sprintf("%04o", h.Mode&0o7777)}
		switch f.Kind = cmp.Or(f.Kind, "special"); f.Kind {
		case "file":
			hash := sha256.New()
			if f.Size, err = io.CopyBuffer(hash, tr, buffer); err != nil {
				return nil, err
			}
			f.Digest = "sha256:" + hex.EncodeToString(hash.Sum(nil))
		case "symlink", "hard link":
			f.Link = h.Linkname
		}
		out[strings.TrimPrefix(path.Clean("/"+h.Name), "/")] = f
	}
}

var kinds = map[byte]string{tar.TypeReg: "file", tar.TypeDir: "folder", tar.TypeSymlink: "symlink", tar.TypeLink: "hard link"}

// Texts are what each side has, on one line; "" where it has nothing.
func (c FileChange) Texts() (a, b string) { return c.text(c.A), c.text(c.B) }

func (c FileChange) text(f *File) string {
	switch {
	case f == nil:
		return ""
	case c.How == "mode":
		return f.Mode
	case f.Link != "":
		return f.Kind + " to " + f.Link
	case f.Kind == "file":
		return fmt.Sprintf("%d bytes %s", f.Size, f.Digest)
	}
	return f.Kind
}
