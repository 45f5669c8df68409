//go:build unix

package load

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openPlain opens a file that was listed as a regular one: should a link or a
// pipe have taken its place, it is neither followed nor waited for.
func openPlain(file string) (*os.File, error) {
	return os.OpenFile(file, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}

func statOf(info fs.FileInfo) stat {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stat{}
	}
	dev := uint64(s.Rdev) //nolint:unconvert // its type differs between systems
	return stat{
		inode: inode{dev: uint64(s.Dev), ino: uint64(s.Ino)}, //nolint:unconvert // as above
		links: uint64(s.Nlink),                               //nolint:unconvert // as above
		ctime: changeTime(s),
		major: int64(unix.Major(dev)),
		minor: int64(unix.Minor(dev)),
	}
}
