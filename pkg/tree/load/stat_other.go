//go:build !unix

package load

import (
	"io/fs"
	"os"
)

func openPlain(file string) (*os.File, error) { return os.Open(file) }

// statOf knows no more than the name: no hard links, and no identity that
// outlives the process.
func statOf(fs.FileInfo) stat { return stat{} }
