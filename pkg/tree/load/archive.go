package load

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/tree"
)

// archive is the state of reading one tar.
type archive struct {
	name string
	// tar is the uncompressed file; open gives access to a part of it.
	tar  *os.File
	open func(offset, size int64) func() (io.ReadCloser, error)
	// id is the prefix of entry IDs: a digest, or the file's stat data.
	id      string
	durable bool
	// sparse takes in the contents of sparse files, which have no one place in the tar.
	sparse func(io.Reader) (open func() (io.ReadCloser, error), err error)

	entries []tree.Entry
	dead    []bool         // a later entry took the name
	index   map[string]int // the living entry of every name
	targets map[int]int    // hard link -> entry that it names
}

// read lists the tar.
func (a *archive) read(ctx context.Context) (tree.Tree, error) {
	a.index, a.targets = map[string]int{}, map[int]int{}
	tr := tar.NewReader(a.tar)
	for {
		if err := ctx.Err(); err != nil {
			return tree.Tree{}, fault.New(fault.Interrupted, "reading archive '%s': %w", a.name, context.Cause(ctx))
		}
		header, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return tree.Tree{}, a.failed(err)
		}
		if err := a.add(header, tr); err != nil {
			return tree.Tree{}, err
		}
	}
	if err := a.checkParents(); err != nil {
		return tree.Tree{}, err
	}
	return tree.Tree{Name: a.name, Entries: a.living()}, nil
}

// add takes one header in.
func (a *archive) add(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader { // git archive writes one
		return nil
	}
	name := path.Clean(h.Name)
	if escapes(name) {
		return fault.New(fault.Failed, "reading archive '%s': entry '%s' leaves the archive's root", a.name, h.Name)
	}
	if name = strings.TrimLeft(name, "/"); name == "" || name == "." {
		return nil
	}
	e := tree.Entry{Path: name, Mode: fs.FileMode(h.Mode) & fs.ModePerm}
	target := -1
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		e.Type, e.Size = tree.Regular, h.Size
		if err := a.content(&e, h, content); err != nil {
			return err
		}
	case tar.TypeDir:
		e.Type = tree.Dir
	case tar.TypeSymlink:
		e.Type, e.Link = tree.Symlink, h.Linkname
	case tar.TypeLink:
		e.Type, e.Link = tree.Hardlink, strings.TrimLeft(path.Clean(h.Linkname), "/")
		var err error
		if target, err = a.target(h, e.Link); err != nil {
			return err
		}
	case tar.TypeFifo:
		e.Type = tree.Fifo
	case tar.TypeChar, tar.TypeBlock:
		e.Type, e.Major, e.Minor = tree.CharDevice, h.Devmajor, h.Devminor
		if h.Typeflag == tar.TypeBlock {
			e.Type = tree.BlockDevice
		}
	default:
		return fault.New(fault.Failed, "reading archive '%s': entry '%s' is of the unknown kind '%c'", a.name, h.Name, h.Typeflag)
	}
	a.put(e, target)
	return nil
}

// put appends an entry. A directory that is there already stays where it is;
// anything else gives way to the later entry, as when the archive is extracted.
func (a *archive) put(e tree.Entry, target int) {
	if i, ok := a.index[e.Path]; ok {
		if e.Type == tree.Dir && a.entries[i].Type == tree.Dir {
			a.entries[i].Mode = e.Mode
			return
		}
		if target == i { // a link to itself changes nothing
			return
		}
		a.dead[i] = true
	}
	a.index[e.Path] = len(a.entries)
	if target >= 0 {
		a.targets[len(a.entries)] = target
	}
	a.entries, a.dead = append(a.entries, e), append(a.dead, false)
}

// content says how a file's content is opened.
func (a *archive) content(e *tree.Entry, h *tar.Header, content io.Reader) error {
	offset, err := a.tar.Seek(0, io.SeekCurrent)
	if err != nil {
		return a.failed(err)
	}
	e.ID, e.Durable = fmt.Sprintf("%s@%d", a.id, offset), a.durable
	sparse := h.Typeflag == tar.TypeGNUSparse
	for key := range h.PAXRecords {
		sparse = sparse || strings.HasPrefix(key, "GNU.sparse.")
	}
	if sparse {
		e.Open, err = a.sparse(content)
		return err
	}
	e.Open = a.open(offset, h.Size)
	return nil
}

// target is the entry that a hard link names, links to links followed.
func (a *archive) target(h *tar.Header, link string) (int, error) {
	if escapes(link) {
		return 0, fault.New(fault.Failed, "reading archive '%s': entry '%s' is a hard link to '%s', which leaves the archive's root", a.name, h.Name, h.Linkname)
	}
	i, ok := a.index[link]
	if !ok || a.entries[i].Type == tree.Dir {
		return 0, fault.New(fault.Failed, "reading archive '%s': entry '%s' is a hard link to '%s', which is no file before it in the archive", a.name, h.Name, h.Linkname)
	}
	if t, ok := a.targets[i]; ok {
		i = t
	}
	return i, nil
}

// checkParents refuses entries below something that is no directory: extracted,
// they would land elsewhere, or nowhere.
func (a *archive) checkParents() error {
	for i, e := range a.entries {
		if a.dead[i] {
			continue
		}
		for dir := path.Dir(e.Path); dir != "."; dir = path.Dir(dir) {
			if j, ok := a.index[dir]; ok && a.entries[j].Type != tree.Dir {
				return fault.New(fault.Failed, "reading archive '%s': entry '%s' stands below '%s', which is a %s", a.name, e.Path, dir, a.entries[j].Type)
			}
		}
	}
	return nil
}

// living are the entries that count, in order. Where a hard link's target was
// replaced later, its first link takes the content over.
func (a *archive) living() []tree.Entry {
	heir := map[int]string{}
	var out []tree.Entry
	for i, e := range a.entries {
		if a.dead[i] {
			continue
		}
		if t, ok := a.targets[i]; ok {
			switch path, inherited := heir[t]; {
			case inherited:
				e.Link = path
			case a.dead[t]:
				heir[t] = e.Path
				p, mode := e.Path, e.Mode
				e = a.entries[t]
				e.Path, e.Mode = p, mode
			default:
				e.Link = a.entries[t].Path
			}
		}
		out = append(out, e)
	}
	return out
}

// failed says which archive could not be read, and why.
func (a *archive) failed(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.New(fault.Failed, "reading archive '%s': it is no tar, or a damaged one: %w", a.name, err)
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fault.New(fault.Failed, "reading archive '%s': %w", a.name, err)
}
