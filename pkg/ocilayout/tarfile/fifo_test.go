//go:build unix

package tarfile_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/multipack/multipack/pkg/ocilayout/tarfile"
)

func TestFIFO(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skipf("no FIFO: %v", err)
	}
	go func() {
		w, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err == nil {
			_, _ = w.Write(archive(t, sample...))
			w.Close()
		}
	}()
	f, err := tarfile.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !f.Has("slash") {
		t.Error("the content is missing")
	}
}
