package tree

import (
	"cmp"
	"slices"
	"strings"
)

// node is an entry whose hard link is taken apart: a link becomes a copy of the
// entry that it names, and both carry the number of their group. So entries can
// be dropped, renamed and reordered without a link that points nowhere or ahead.
type node struct {
	Entry
	group int // 0: no other name
}

// nodes takes the tree's hard links apart. Groups are numbered from base+1, so
// that the nodes of two trees can be mixed.
func (t Tree) nodes(base int) ([]node, int) {
	index := t.index()
	out := make([]node, len(t.Entries))
	for i, e := range t.Entries {
		out[i].Entry = e
		if e.Type != Hardlink {
			continue
		}
		j, ok := index[e.Link]
		if !ok || j >= i {
			continue
		}
		if out[j].group == 0 {
			base++
			out[j].group = base
		}
		copied := out[j]
		copied.Path, copied.Mode = e.Path, e.Mode
		out[i] = copied
	}
	return out, base
}

// entries joins the groups again: in each, the first name is the content and
// the later ones are hard links to it, as a walk over a folder would give.
func entries(nodes []node) []Entry {
	first := map[int]string{}
	out := make([]Entry, len(nodes))
	for i, n := range nodes {
		out[i] = n.Entry
		if n.group == 0 {
			continue
		}
		if target, ok := first[n.group]; ok {
			out[i] = Entry{Path: n.Path, Type: Hardlink, Mode: n.Mode, Link: target}
			continue
		}
		first[n.group] = n.Path
	}
	return out
}

// sortWalk orders the nodes as filepath.Walk would meet them.
func sortWalk(nodes []node) {
	slices.SortFunc(nodes, func(a, b node) int { return CompareWalk(a.Path, b.Path) })
}

// CompareWalk orders two paths as filepath.Walk meets them: name by name,
// byte-lexical, a directory before what it contains. ("a-b" stands after "a/b",
// which plain string order would not give.)
func CompareWalk(a, b string) int {
	for {
		x, restA, moreA := strings.Cut(a, "/")
		y, restB, moreB := strings.Cut(b, "/")
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
		if !moreA || !moreB {
			return cmp.Compare(btoi(moreA), btoi(moreB))
		}
		a, b = restA, restB
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
