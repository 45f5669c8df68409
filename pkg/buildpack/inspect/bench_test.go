package inspect_test

import (
	"fmt"
	"testing"

	"github.com/multipack/multipack/pkg/buildpack/inspect"
)

// BenchmarkMatrix compares 50 platforms of 20 modules, one of which differs.
func BenchmarkMatrix(b *testing.B) {
	var infos []inspect.Info
	for p := range 50 {
		var modules []inspect.Module
		for m := range 20 {
			api := "0.10"
			if p == 7 && m == 3 {
				api = "0.9"
			}
			modules = append(modules, inspect.Module{ID: fmt.Sprint("acme/m", m), Version: "1.0.0", API: api})
		}
		infos = append(infos, on(fmt.Sprint("linux/amd64:", p), modules...))
	}
	b.ReportAllocs()
	for b.Loop() {
		if m := inspect.NewMatrix(infos); len(m.Differences) != 1 {
			b.Fatalf("%d differences", len(m.Differences))
		}
	}
}
