package ui_test

import (
	"math"
	"testing"

	"github.com/multipack/multipack/internal/ui"
)

func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 999: "999 B", 1000: "1.0 kB", 1049: "1.0 kB", 1050: "1.1 kB",
		999_949: "999.9 kB", 999_950: "1.0 MB", 12_345_678: "12.3 MB", 1_000_000_000: "1.0 GB",
		math.MaxInt64: "9.2 EB", -1: "-1 B",
	} {
		if got := ui.Size(n); got != want {
			t.Errorf("Size(%d) = %s, want %s", n, got, want)
		}
	}
}
