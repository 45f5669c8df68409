package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Every byte of every folder is read and compressed, across block limits.
func TestRun(t *testing.T) {
	t.Parallel()
	one, two := t.TempDir(), t.TempDir()
	for path, size := range map[string]int{
		filepath.Join(one, "exact"): blockSize, filepath.Join(one, "more"): 2*blockSize + 17, filepath.Join(two, "small"): 5,
	} {
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read, written, err := run(t.Context(), []string{one, two}, 2)
	if err != nil || read != 3*blockSize+22 || written == 0 || written > read/50 {
		t.Errorf("read %d, written %d, %v", read, written, err)
	}
	if _, _, err := run(t.Context(), []string{one, filepath.Join(two, "nothing")}, 2); err == nil {
		t.Error("a missing folder was taken")
	}
}
