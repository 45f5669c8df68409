package tree

import (
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/multipack/multipack/internal/fault"
)

const (
	// maxHops bounds how many symbolic links one Resolve follows, as Linux does.
	maxHops = 40
	// maxRead bounds ReadFile, which is meant for descriptors.
	maxRead = 16 << 20
)

// Lookup is the entry at exactly this path; links are not followed. The path is
// cleaned first; "." is never an entry.
func (t Tree) Lookup(p string) (Entry, bool) {
	p = clean(p)
	for i := range t.Entries {
		if t.Entries[i].Path == p {
			return t.Entries[i], true
		}
	}
	return Entry{}, false
}

// Has reports whether the path is in the tree: as an entry, or as a directory
// that an archive implies by what stands below it. The root is always there.
func (t Tree) Has(p string) bool {
	p = clean(p)
	if p == "." {
		return true
	}
	for i := range t.Entries {
		if t.Entries[i].Path == p || under(t.Entries[i].Path, p) {
			return true
		}
	}
	return false
}

// IsDir reports whether the path is a directory of the tree, the root and
// implied ones included; links are not followed.
func (t Tree) IsDir(p string) bool {
	p = clean(p)
	if e, ok := t.Lookup(p); ok {
		return e.Type == Dir
	}
	return t.Has(p)
}

// Resolve is the path that p leads to when the tree's symbolic links, in its
// directories and at its end, are followed. It is false when nothing is there,
// when a link leaves the tree (an absolute link does), or when links go in circles.
func (t Tree) Resolve(p string) (string, bool) {
	index := t.index()
	rest := strings.Split(clean(p), "/")
	at, hops := ".", 0
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		if name == ".." && at == "." {
			return "", false
		}
		next := path.Join(at, name)
		i, ok := index[next]
		if !ok || t.Entries[i].Type != Symlink {
			at = next
			continue
		}
		link := t.Entries[i].Link
		if hops++; hops > maxHops || path.IsAbs(link) || link == "" {
			return "", false
		}
		rest = append(strings.Split(link, "/"), rest...)
	}
	return at, t.Has(at)
}

// Target is the entry that p leads to: Lookup after Resolve, with a hard link
// answered by the entry that it is a name of. It is false for the root and for
// directories that are only implied.
func (t Tree) Target(p string) (Entry, bool) {
	at, ok := t.Resolve(p)
	if !ok {
		return Entry{}, false
	}
	e, ok := t.Lookup(at)
	if ok && e.Type == Hardlink {
		return t.Target(e.Link)
	}
	return e, ok
}

// ReadFile is the content of a file of the tree, reached through links as
// Target does. Errors: fault.NotFound when there is no such entry; otherwise
// the entry is no file, is larger than 16 MiB, or cannot be read.
func (t Tree) ReadFile(p string) ([]byte, error) {
	e, ok := t.Target(p)
	if !ok {
		if t.Has(p) {
			return nil, fault.New(fault.Failed, "reading '%s' of '%s': it leads to no file of the tree", p, t.Name)
		}
		return nil, fault.New(fault.NotFound, "reading '%s' of '%s': no such file", p, t.Name)
	}
	if e.Type != Regular {
		return nil, fault.New(fault.Failed, "reading '%s' of '%s': it is a %s", p, t.Name, e.Type)
	}
	if e.Size > maxRead {
		return nil, fault.New(fault.Failed, "reading '%s' of '%s': %d bytes are more than the %d that such a file may have", p, t.Name, e.Size, int64(maxRead))
	}
	rc, err := e.Open()
	if err != nil {
		return nil, err
	}
	data := make([]byte, e.Size)
	_, err = io.ReadFull(rc, data)
	if err == nil {
		_, err = rc.Read(make([]byte, 1)) // reaches the reader's own end-of-content checks
		if err == io.EOF {
			err = nil
		}
	}
	if closeErr := rc.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("reading '%s' of '%s': %w", p, t.Name, err)
	}
	return data, nil
}

// Size is the sum of the contents' lengths, hard links counted once.
func (t Tree) Size() int64 {
	var n int64
	for i := range t.Entries {
		n += t.Entries[i].Size
	}
	return n
}

// index maps every path to its place.
func (t Tree) index() map[string]int {
	m := make(map[string]int, len(t.Entries))
	for i := range t.Entries {
		m[t.Entries[i].Path] = i
	}
	return m
}

// clean brings a path into the form of Entry.Path; a leading slash is dropped.
func clean(p string) string {
	p = strings.TrimLeft(path.Clean(p), "/")
	if p == "" {
		return "."
	}
	return p
}

// under reports whether p stands below dir.
func under(p, dir string) bool {
	return len(p) > len(dir) && p[len(dir)] == '/' && p[:len(dir)] == dir
}
