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

// What is not as on most platforms is found, and of several alike the first is the usual one.
func TestOdd(t *testing.T) {
	t.Parallel()
	with := func(api string) []inspect.Module { return []inspect.Module{{ID: "a", Version: "1", API: api}} }
	other := []inspect.Module{{ID: "a", Version: "2"}}
	for name, c := range map[string]struct {
		modules [][]inspect.Module
		want    [][]bool // for each row
	}{
		"same":             {[][]inspect.Module{with("0.9"), with("0.9")}, [][]bool{{false, false}}},
		"api":              {[][]inspect.Module{with("0.9"), with("0.10"), with("0.10")}, [][]bool{{true, false, false}}},
		"api of two":       {[][]inspect.Module{with("0.9"), with("0.10")}, [][]bool{{false, true}}},
		"missing":          {[][]inspect.Module{with("0.9"), nil, with("0.9")}, [][]bool{{false, true, false}}},
		"missing of two":   {[][]inspect.Module{nil, with("0.9")}, [][]bool{{true, false}}},
		"version":          {[][]inspect.Module{with(""), with(""), other}, [][]bool{{false, false, true}, {false, false, true}}},
		"missing and api":  {[][]inspect.Module{nil, with("0.9"), with("0.9"), with("0.10")}, [][]bool{{true, false, false, true}}},
		"without and none": {[][]inspect.Module{nil, nil, nil, with(""), with("0.9"), with("0.9")}, [][]bool{{true, true, true, true, false, false}}},
	} {
		var infos []inspect.Info
		for i, modules := range c.modules {
			infos = append(infos, on(string(rune('a'+i)), modules...))
		}
		m := inspect.NewMatrix(infos)
		var got [][]bool
		for _, row := range m.Rows {
			got = append(got, m.Odd(row))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestOrderChanges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		usual, value string
		want         []inspect.Change
	}{
		"another version":  {"a@1, b@1, c@1 | d@1", "a@1, b@2, c@1 | d@1", []inspect.Change{{Text: "Group #1:"}, {"-", "b@1"}, {"+", "b@2"}}},
		"optional":         {"a@1, b@1 | d@1", "a@1, b@1? | d@1", []inspect.Change{{Text: "Group #1:"}, {"-", "b@1"}, {"+", "b@1?"}}},
		"moved":            {"a@1, b@1, c@1", "b@1, c@1, a@1", []inspect.Change{{Text: "Group #1:"}, {"-", "a@1"}, {"+", "a@1"}}},
		"one group less":   {"a@1, b@1 | d@1", "a@1, b@1", []inspect.Change{{"-", "Group #2: d@1"}}},
		"one group more":   {"a@1, b@1", "a@1, b@1 | d@1, e@1", []inspect.Change{{"+", "Group #2: d@1, e@1"}}},
		"one module less":  {"a@1, b@1, c@1", "a@1, c@1", []inspect.Change{{Text: "Group #1:"}, {"-", "b@1"}}},
		"little in common": {"a@1, b@1", "a@1, b@2", nil},
		"nothing":          {"", "a@1", nil},
	} {
		if diff := cmp.Diff(c.want, inspect.OrderChanges(c.usual, c.value)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Of the package's own description only that is said which differs.
func TestDescriptionDiffersByKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ a, b, wantA, wantB string }{
		"name":        {`{"id":"a","version":"1","name":"x","homepage":"h","stacks":[]}`, `{"id":"a","version":"1","homepage":"h","name":"y","stacks":[{"id":"*"}]}`, `{"name":"x"}`, `{"name":"y"}`},
		"one lacks":   {`{"id":"a","keywords":["k"]}`, `{"id":"a"}`, `{"keywords":["k"]}`, ""},
		"unknown":     {`{"id":"a","new":1}`, `{"id":"a","new":2}`, `{"new":1}`, `{"new":2}`},
		"no object":   {`{"id":"a"}`, `[]`, `{"id":"a"}`, `[]`},
		"white space": {`{"id": "a", "name": "x", "keywords": [ "k" ]}`, `{"id":"a","name":"x","keywords":["k"]}`, "", ""},
		"no value":    {`{"id":"a","name":"","keywords":[],"licenses":null}`, `{"id":"a"}`, "", ""},
		"other words": {`{"id":"a","name":"\u00e9","licenses":[{"type":"t","uri":"u"}]}`, `{"id":"a","name":"é","licenses":[{"uri":"u","type":"t"}]}`, "", ""},
	} {
		infos := []inspect.Info{on("a"), on("b")}
		infos[0].Labels = map[string]string{buildpack.MetadataLabel: c.a}
		infos[1].Labels = map[string]string{buildpack.MetadataLabel: c.b}
		var got []string
		for _, d := range inspect.NewMatrix(infos).Differences {
			got = append(got, d.Values...)
		}
		want := []string{c.wantA, c.wantB}
		if c.wantA == "" && c.wantB == "" {
			want = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
