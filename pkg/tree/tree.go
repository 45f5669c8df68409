// Package tree holds a file tree as a value: an ordered list of entries whose
// content is opened on demand. It is what a buildpack's folder or archive is
// read into (pkg/tree/load) and what a layer is made from (pkg/layer).
//
// The package is pure: it touches no file itself. Content is reached through
// the Open functions that the loader put into the entries.
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
	// Hardlink is a second name of an entry earlier in the tree that is neither
	// a Dir nor a Hardlink itself; Link is that entry's Path.
	Hardlink
	Fifo
	CharDevice
	BlockDevice
)

// String is the kind's name in messages.
func (t Type) String() string {
	switch t {
	case Regular:
		return "file"
	case Dir:
		return "directory"
	case Symlink:
		return "symbolic link"
	case Hardlink:
		return "hard link"
	case Fifo:
		return "named pipe"
	case CharDevice, BlockDevice:
		return "device"
	default:
		return "unknown"
	}
}

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
	// ID identifies the content within one process without reading it (a file and
	// its stat data, or an archive's digest and an offset): entries of one ID have one content.
	ID string
	// Durable says that ID identifies the content in later processes too. It is
	// false for a file that was written so shortly before the tree was read that
	// another write could leave its times unchanged.
	Durable bool
}

// Tree is an ordered list of entries with unique paths. A tree that was read
// from a folder, and the result of Overlay, is in the order of filepath.Walk:
// byte-lexical within a directory, every directory before what it contains. A
// tree that was read from an archive keeps the archive's order and may lack
// entries for directories that are only implied. It is immutable; operations
// return new ones.
type Tree struct {
	// Name is what messages call the tree: the folder or archive as given.
	Name    string
	Entries []Entry
}

// Module is a tree that becomes one buildpack or extension in a layer.
type Module struct {
	// Kind is "buildpacks" or "extensions", as in the layer's paths.
	Kind string
	// ID and Version are as in the descriptor, unescaped.
	ID, Version string
	Tree        Tree
}
