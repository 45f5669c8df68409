package buildpack

import (
	"path"
	"slices"
	"strings"

	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/tree"
)

// folders are the directories of a tree, found once.
type folders struct {
	tree     tree.Tree
	children map[string][]string // directory ("." is the root) -> names of its directories, sorted
	files    map[string]bool     // directories that hold something which is no directory
}

func findFolders(t tree.Tree) folders {
	f := folders{tree: t, children: map[string][]string{}, files: map[string]bool{}}
	known := map[string]bool{".": true}
	for _, e := range t.Entries {
		dir := e.Path
		switch {
		case e.Type == tree.Dir:
		case e.Type == tree.Symlink && f.leadsToDir(e.Path):
		default:
			dir = path.Dir(e.Path)
			f.files[dir] = true
		}
		for ; !known[dir]; dir = path.Dir(dir) {
			known[dir] = true
			parent := path.Dir(dir)
			f.children[parent] = append(f.children[parent], path.Base(dir))
		}
	}
	for _, names := range f.children {
		slices.Sort(names)
	}
	return f
}

func (f folders) leadsToDir(p string) bool {
	at, ok := f.tree.Resolve(p)
	return ok && f.tree.IsDir(at)
}

// below are the names of the directories in dir, which may be a link to one.
func (f folders) below(dir string) []string {
	if names, ok := f.children[dir]; ok {
		return names
	}
	if at, ok := f.tree.Resolve(dir); ok && at != dir {
		return f.children[at]
	}
	return nil
}

// holdsFiles reports whether something other than directories is in dir.
func (f folders) holdsFiles(dir string) bool {
	at, ok := f.tree.Resolve(dir)
	return ok && f.files[at]
}

// platformFolder is one os/arch[/variant] directory, by whatever spelling.
type platformFolder struct {
	path     string
	platform platform.Platform
	variant  bool     // the path has a variant part
	distros  []string // names of its name@version directories
}

// platforms are all platform folders below the root, in the order of their paths.
func (f folders) platforms() []platformFolder {
	var out []platformFolder
	for _, os := range f.below(".") {
		for _, arch := range f.below(os) {
			p, ok := spelled(os + "/" + arch)
			if !ok {
				continue
			}
			dir := os + "/" + arch
			out = append(out, platformFolder{path: dir, platform: p, distros: f.distros(dir)})
			for _, variant := range f.below(dir) {
				if p, ok := spelled(dir + "/" + variant); ok {
					sub := dir + "/" + variant
					out = append(out, platformFolder{path: sub, platform: p, variant: true, distros: f.distros(sub)})
				}
			}
		}
	}
	return out
}

// spelled is the platform that a folder's path names. Folders are lower case;
// anything else is content.
func spelled(dir string) (platform.Platform, bool) {
	if strings.ToLower(dir) != dir || strings.ContainsAny(dir, ":{") {
		return platform.Platform{}, false
	}
	p, err := platform.Parse(dir)
	return p, err == nil
}

// distros are the directories of dir that are called name@version.
func (f folders) distros(dir string) []string {
	var out []string
	for _, name := range f.below(dir) {
		if distro, version, ok := strings.Cut(name, "@"); ok && distro != "" && version != "" {
			out = append(out, name)
		}
	}
	return out
}
