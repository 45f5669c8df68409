package inspect_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/buildpack/inspect"
)

// on is a package of modules for a platform; every module has a layer of its own.
func on(platform string, modules ...inspect.Module) inspect.Info {
	info := inspect.Info{Kind: buildpack.KindBuildpack, ID: "a", Version: "1", Platform: platform}
	for _, m := range modules {
		m.Layer = "sha256:" + m.ID + platform
		m.Size = 10
		info.Modules = append(info.Modules, m)
		info.Layers = append(info.Layers, inspect.Layer{Digest: m.Layer, Size: m.Size})
	}
	return info
}

// What differs among the platforms that have a module is found though another
// lacks it.
func TestMatrixComparesModulesThatAreMissingElsewhere(t *testing.T) {
	t.Parallel()
	m := inspect.NewMatrix([]inspect.Info{
		on("linux/amd64", inspect.Module{ID: "a", Version: "1", API: "0.10"}),
		on("linux/arm64"),
		on("linux/s390x", inspect.Module{ID: "a", Version: "1", API: "0.9"}),
	})
	want := []inspect.Difference{
		{What: "module", Module: "a@1", Values: []string{"1", "", "1"}},
		{What: "api", Module: "a@1", Values: []string{"0.10", "", "0.9"}},
	}
	if diff := cmp.Diff(want, m.Differences); diff != "" {
		t.Error(diff)
	}
	if !m.Rows[0].Skew || m.Rows[0].Cells[1].Present {
		t.Errorf("got %+v", m.Rows[0])
	}
}

func TestMatrixCountsLayersOnce(t *testing.T) {
	t.Parallel()
	amd := on("linux/amd64", inspect.Module{ID: "a", Version: "1"}, inspect.Module{ID: "b", Version: "1"})
	arm := on("linux/arm64", inspect.Module{ID: "a", Version: "1"}, inspect.Module{ID: "b", Version: "1"})
	shared := inspect.Layer{Digest: "sha256:shared", Size: 100}
	amd.Layers = append(amd.Layers, shared, shared)
	arm.Layers = append(arm.Layers, shared)
	m := inspect.NewMatrix([]inspect.Info{amd, arm})
	want := []inspect.Total{{Modules: 2, Layers: 4, Size: 120}, {Modules: 2, Layers: 3, Size: 120}}
	if diff := cmp.Diff(want, m.Totals); diff != "" {
		t.Error(diff)
	}
	if m.UniqueSize != 140 {
		t.Errorf("%d unique bytes, want 140", m.UniqueSize)
	}
}

func TestMatrixOfNothing(t *testing.T) {
	t.Parallel()
	if m := inspect.NewMatrix(nil); m.Skew() || m.Platforms == nil || m.Rows == nil || m.Totals == nil || m.Differences == nil {
		t.Errorf("got %+v: a document would say null", m)
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		difference inspect.Difference
		want       []inspect.Group
	}{
		"value": {inspect.Difference{What: "api", Values: []string{"0.9", "", "0.9"}}, []inspect.Group{
			{Columns: []int{0, 2}, Value: "0.9", Lines: []string{"0.9"}},
			{Columns: []int{1}, Lines: []string{"(none)"}},
		}},
		"order": {inspect.Difference{What: "order", Values: []string{"a@1, b@1? | c@1", "a@1"}}, []inspect.Group{
			{Columns: []int{0}, Value: "a@1, b@1? | c@1", Lines: []string{"Group #1: a@1, b@1?", "Group #2: c@1"}},
			{Columns: []int{1}, Value: "a@1", Lines: []string{"Group #1: a@1"}},
		}},
		"label": {inspect.Difference{What: "label", Label: "l", Values: []string{"x | y", "z"}}, []inspect.Group{
			{Columns: []int{0}, Value: "x | y", Lines: []string{"x | y"}},
			{Columns: []int{1}, Value: "z", Lines: []string{"z"}},
		}},
	} {
		if diff := cmp.Diff(c.want, inspect.Groups(c.difference)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
