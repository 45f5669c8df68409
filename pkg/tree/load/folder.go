package load

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/tree"
)

// folder is the state of one walk.
type folder struct {
	root, name string
	now        time.Time
	links      map[inode]string // the first path of every inode with several names
	entries    []tree.Entry
}

// inode identifies a file of this machine while it exists.
type inode struct{ dev, ino uint64 }

// stat is what a folder's entry says about itself beyond fs.FileInfo.
type stat struct {
	inode        inode
	links        uint64
	ctime        time.Time // zero where the system has none
	major, minor int64
}

// readFolder lists a folder. A root that is a symbolic link is followed.
func readFolder(ctx context.Context, path, name string) (tree.Tree, error) {
	root, err := realPath(path)
	if err != nil {
		return tree.Tree{}, pathError(name, err)
	}
	w := &folder{root: root, name: name, now: time.Now(), links: map[inode]string{}}
	if err := w.walk(ctx, ""); err != nil {
		return tree.Tree{}, err
	}
	return tree.Tree{Name: name, Entries: w.entries}, nil
}

// walk lists one directory; rel is "" for the root.
func (w *folder) walk(ctx context.Context, rel string) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Interrupted, "reading folder '%s': %w", w.name, context.Cause(ctx))
	}
	dir := filepath.Join(w.root, filepath.FromSlash(rel))
	list, err := os.ReadDir(dir) // sorted by name, as filepath.Walk sorts
	if err != nil {
		return readError(dir, err)
	}
	for _, item := range list {
		p := item.Name()
		if rel != "" {
			p = rel + "/" + p
		}
		file := filepath.Join(dir, item.Name())
		info, err := os.Lstat(file)
		if err != nil {
			return readError(file, err)
		}
		entry, keep, err := w.entry(p, file, info)
		if err != nil {
			return err
		}
		if keep {
			w.entries = append(w.entries, entry)
		}
		if info.IsDir() {
			if err := w.walk(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry describes one path; false for what a tree has no place for.
func (w *folder) entry(p, file string, info fs.FileInfo) (tree.Entry, bool, error) {
	e := tree.Entry{Path: p, Mode: info.Mode().Perm()}
	st := statOf(info)
	if !info.IsDir() && st.links > 1 {
		if first, ok := w.links[st.inode]; ok {
			e.Type, e.Link = tree.Hardlink, first
			return e, true, nil
		}
		w.links[st.inode] = p
	}
	switch mode := info.Mode(); {
	case mode.IsRegular():
		e.Type, e.Size = tree.Regular, info.Size()
		e.Open = openFile(file, info)
		e.ID, e.Durable = identity(file, info, st, w.now)
	case mode.IsDir():
		e.Type = tree.Dir
	case mode&fs.ModeSymlink != 0:
		text, err := os.Readlink(file)
		if err != nil {
			return e, false, readError(file, err)
		}
		e.Type, e.Link = tree.Symlink, filepath.ToSlash(text)
	case mode&fs.ModeNamedPipe != 0:
		e.Type = tree.Fifo
	case mode&fs.ModeCharDevice != 0:
		e.Type, e.Major, e.Minor = tree.CharDevice, st.major, st.minor
	case mode&fs.ModeDevice != 0:
		e.Type, e.Major, e.Minor = tree.BlockDevice, st.major, st.minor
	default: // sockets, and kinds that only other systems have
		delete(w.links, st.inode)
		return e, false, nil
	}
	return e, true, nil
}

// readError names the file that could not be read. What was listed and is gone
// was changed under our feet: that is a failure, not a wrong name.
func readError(file string, err error) error {
	var pe *fs.PathError
	why := err
	if errors.As(err, &pe) {
		why = pe.Err
	}
	return fault.New(fault.Failed, "reading '%s': %w", file, why)
}
