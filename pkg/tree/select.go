package tree

import (
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/multipack/multipack/internal/fault"
)

// Sub is the tree below dir with dir as its root; order is kept. A directory
// that is a symbolic link to another one of the tree is followed. A hard link
// whose first name lies outside becomes a file of its own (further links to the
// same content then name that one). False when dir is no directory of the tree.
func (t Tree) Sub(dir string) (Tree, bool) {
	dir, ok := t.Resolve(dir)
	if !ok || !t.IsDir(dir) {
		return Tree{}, false
	}
	if dir == "." {
		return t, true
	}
	return Tree{Name: t.Name + "/" + dir, Entries: t.pick(func(e Entry) (string, bool) {
		if !under(e.Path, dir) {
			return "", false
		}
		return e.Path[len(dir)+1:], true
	})}, true
}

// Match is what the globs select, in the tree's order, with the entries of the
// directories that lead there. Globs are doublestar patterns on whole paths
// ("lib/**", "LICENSE", "docs/*.md"); one without any pattern character that
// names a directory selects everything below it too. A glob that CheckGlob
// refuses selects nothing. Hard links are treated as in Sub.
func (t Tree) Match(globs []string) Tree {
	keep := map[string]bool{}
	for i := range t.Entries {
		if p := t.Entries[i].Path; matchAny(globs, p) {
			for ; p != "." && !keep[p]; p = path.Dir(p) {
				keep[p] = true
			}
		}
	}
	return Tree{Name: t.Name, Entries: t.pick(func(e Entry) (string, bool) { return e.Path, keep[e.Path] })}
}

// Without is the tree less the directory or entry at p and everything below it.
// Hard links are treated as in Sub.
func (t Tree) Without(p string) Tree {
	p = clean(p)
	return Tree{Name: t.Name, Entries: t.pick(func(e Entry) (string, bool) {
		return e.Path, e.Path != p && !under(e.Path, p)
	})}
}

// CheckGlob is nil when the glob is a pattern that Match takes, else a
// fault.Usage error: bad syntax, an absolute path, or one that leaves the tree.
func CheckGlob(glob string) error {
	switch cleaned := path.Clean(glob); {
	case glob == "" || !doublestar.ValidatePattern(glob):
		return fault.New(fault.Usage, "reading pattern '%s': it is no valid glob", glob)
	case path.IsAbs(glob) || cleaned == ".." || strings.HasPrefix(cleaned, "../"):
		return fault.New(fault.Usage, "reading pattern '%s': it must stay below the buildpack's root", glob)
	}
	return nil
}

func matchAny(globs []string, p string) bool {
	for _, g := range globs {
		g = strings.TrimPrefix(g, "./")
		if ok, err := doublestar.Match(g, p); err == nil && ok {
			return true
		}
		if dir := strings.TrimSuffix(g, "/"); !strings.ContainsAny(dir, `*?[{\`) && under(p, dir) {
			return true
		}
	}
	return false
}

// pick keeps and renames entries: rename gives an entry's new path, and whether
// it stays.
func (t Tree) pick(rename func(Entry) (string, bool)) []Entry {
	nodes, _ := t.nodes(0)
	kept := nodes[:0]
	for _, n := range nodes {
		if p, ok := rename(n.Entry); ok {
			n.Path = p
			kept = append(kept, n)
		}
	}
	return entries(kept)
}

// Overlay is base with over laid upon it: where both have a path, over's entry
// counts, and what cannot exist beside it (a file where over has a directory,
// or what stood below it) is gone from base. The result is in the order of
// filepath.Walk, and named after over when that has a name.
func Overlay(base, over Tree) Tree {
	taken := over.index()
	dirs := map[string]bool{} // every directory that over has or implies
	for i := range over.Entries {
		for p := path.Dir(over.Entries[i].Path); p != "." && !dirs[p]; p = path.Dir(p) {
			dirs[p] = true
		}
	}
	upper, groups := over.nodes(0)
	lower, _ := base.nodes(groups)
	all := upper
	for _, n := range lower {
		if _, ok := taken[n.Path]; ok || dirs[n.Path] && n.Type != Dir || over.covers(taken, n.Path) {
			continue
		}
		all = append(all, n)
	}
	sortWalk(all)
	name := over.Name
	if name == "" {
		name = base.Name
	}
	return Tree{Name: name, Entries: entries(all)}
}

// covers reports whether an entry of t that is no directory stands where p
// needs one.
func (t Tree) covers(index map[string]int, p string) bool {
	for p = path.Dir(p); p != "."; p = path.Dir(p) {
		if i, ok := index[p]; ok && t.Entries[i].Type != Dir {
			return true
		}
	}
	return false
}
