//go:build unix

package layer_test

import (
	"fmt"
	"testing"

	"github.com/multipack/multipack/pkg/layer"
	"github.com/multipack/multipack/pkg/tree"
)

// files is a tree of n files of size bytes each, none like another.
func files(n, size int) tree.Tree {
	t := tree.Tree{Name: "bench"}
	for i := range n {
		t.Entries = append(t.Entries, memory(fmt.Sprintf("f%06d", i), bulk(uint64(i), size), nil))
	}
	return t
}

// BenchmarkLayer is the whole way: tar, hash, compress, hash, spool.
func BenchmarkLayer(b *testing.B) {
	for _, c := range []struct{ n, size int }{{4, 16 << 20}, {8192, 8 << 10}} {
		tr := files(c.n, c.size)
		for _, workers := range []int{1, 2, 4} {
			b.Run(fmt.Sprintf("files=%dx%d/workers=%d", c.n, c.size, workers), func(b *testing.B) {
				b.SetBytes(tr.Size())
				b.ReportAllocs()
				for b.Loop() {
					m := layer.NewMaker(layer.Options{Dir: b.TempDir(), Workers: workers})
					digest(b, layerOf(b, m, tr))
					must(b, m.Close())
				}
			})
		}
	}
}

// BenchmarkPlatforms is eight platforms that differ in a tenth of their files.
func BenchmarkPlatforms(b *testing.B) {
	shared := files(9, 2<<20)
	var trees []tree.Tree
	for i := range 8 {
		own := memory("own", bulk(uint64(1000+i), 2<<20), nil)
		trees = append(trees, tree.Overlay(shared, tree.Tree{Entries: []tree.Entry{own}}))
	}
	b.SetBytes(8 * trees[0].Size())
	for b.Loop() {
		m := layer.NewMaker(layer.Options{Dir: b.TempDir()})
		for _, tr := range trees {
			layerOf(b, m, tr) // all at once
		}
		for _, tr := range trees {
			digest(b, layerOf(b, m, tr))
		}
		must(b, m.Close())
	}
}
