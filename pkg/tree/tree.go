// Package tree holds a file tree as a value: an ordered list of entries whose
// content is opened on demand. It is what a buildpack's folder or archive is
// read into (pkg/tree/load) and what a layer is made from (pkg/layer).
package tree

import (
	"io"
	"io/fs"
)

// Type is the kind of an entry.
type Type int

// The kinds; sockets are left out when a tree is read, as pack does.
const (
	Regular Type = iota
	Dir
	Symlink
	// Hardlink is a second name of a Regular entry earlier in the tree; Link is its Path.
	Hardlink
	Fifo
	CharDevice
	BlockDevice
)

// Entry is one path of a tree.
type Entry struct {
	// Path is relative to the tree's root, slash-separated, clean, never ".".
	Path string
	Type Type
	// Mode holds the source's permission bits (fs.ModePerm) and nothing else.
	Mode fs.FileMode
	// Link is a symlink's text, untouched but for slashes, or a Hardlink's target Path.
	Link string
	// Size is the content's length in bytes, 0 for all but Regular.
	Size int64
	// Major and Minor are a device's numbers.
	Major, Minor int64
	// Open opens the content of a Regular entry, any number of times. The
	// content is Size bytes; a file that changed since the tree was read is an
	// error of the reader, never a short or padded content.
	Open func() (io.ReadCloser, error)
	// ID identifies the content within one process without reading it (a path, or
	// an archive and an offset): entries of one ID have one content.
	ID string
}

// Tree is an ordered list of entries: every directory stands before what it
// contains, and paths are unique. It is immutable; operations return new ones.
type Tree struct {
	// Name is what messages call the tree: the folder or archive as given.
	Name    string
	Entries []Entry
}
