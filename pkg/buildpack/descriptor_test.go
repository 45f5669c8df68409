package buildpack_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/platform"
)

func TestParseBuildpackErrorsNamePlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text, want string
		kind       fault.Kind
	}{
		"syntax":             {"api = \"0.10\"\n[buildpack\n", "reading buildpack.toml:3: ", fault.Failed},
		"wrong type":         {"[buildpack]\nid = \"a\"\nversion = 1\n", "reading buildpack.toml:3: key 'buildpack.version': incompatible types", fault.Failed},
		"no id":              {"[buildpack]\nversion = \"1\"\n", "reading buildpack.toml:1: 'buildpack.id' is required", fault.Failed},
		"no version":         {"\n[buildpack]\nid = \"a\"\n", "reading buildpack.toml:2: 'buildpack.version' is required", fault.Failed},
		"nothing":            {"", "reading buildpack.toml: 'buildpack.id' is required", fault.Failed},
		"api":                {"api = \"x\"\n" + component("a", "1")[len("api = \"0.10\"\n"):], "reading buildpack.toml:1: key 'api': invalid api version 'x': could not parse 'x' as version", fault.Failed},
		"version up":         {component("a", ".."), "reading buildpack.toml:4: key 'buildpack.version': '..' cannot be part of a path: it has the element '..'", fault.Failed},
		"version slash":      {component("a", "1/2"), "key 'buildpack.version': '1/2' cannot be part of a path: it contains a '/'", fault.Failed},
		"id up":              {component("a/../b", "1"), "key 'buildpack.id': 'a/../b' cannot be part of a path", fault.Failed},
		"id empty element":   {component("a//b", "1"), "'a//b' cannot be part of a path: it has an empty element", fault.Failed},
		"id absolute":        {component("/a", "1"), "'/a' cannot be part of a path: it has an empty element", fault.Failed},
		"id backslash":       {component(`a\\b`, "1"), `'a\b' cannot be part of a path: it contains a backslash`, fault.Failed},
		"id control":         {component(`a\u0007`, "1"), `"a\a" cannot be part of a path: it contains a control character`, fault.Failed},
		"unknown arch":       {minimal + "[[targets]]\nos = \"linux\"\narch = \"amd64\"\n[[targets]]\nos = \"linux\"\narch = \"armm64\"\n", "reading buildpack.toml:10: key 'targets.arch': unknown architecture 'armm64', did you mean 'arm64'?", fault.Usage},
		"unknown os":         {minimal + "[[targets]]\nos = \"linus\"\n", "reading buildpack.toml:6: key 'targets.os': unknown os 'linus', did you mean 'linux'?", fault.Usage},
		"unknown variant":    {minimal + "[[targets]]\narch = \"arm\"\nvariant = \"v77\"\n", "reading buildpack.toml:7: key 'targets.variant': unknown variant 'v77' of 'arm', did you mean 'v7'?", fault.Usage},
		"variant alone":      {minimal + "[[targets]]\nvariant = \"v7\"\n", "key 'targets.variant': a variant needs an 'arch'", fault.Usage},
		"path out":           {minimal + "[[targets]]\npath = \"../x\"\n", "reading buildpack.toml:6: key 'targets.path': '../x' is no folder below the buildpack's root", fault.Usage},
		"order and targets":  {composite("a", "1", "b@1") + "[[targets]]\nos = \"linux\"\n", "buildpack 'a@1': cannot have both 'targets'/'stacks' and an 'order' defined", fault.Failed},
		"order and stacks":   {composite("a", "1", "b@1") + "[[stacks]]\nid = \"x\"\n", "buildpack 'a@1': cannot have both 'targets'/'stacks' and an 'order' defined", fault.Failed},
		"exec-env of tables": {component("a", "1") + "[[buildpack.exec-env]]\nid = 1\n", "a table of the array has no 'name'", fault.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := buildpack.ParseBuildpack("buildpack.toml", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got  %v\nwant %s", err, c.want)
			}
			if !fault.Is(err, c.kind) {
				t.Errorf("the kind is not %v: %v", c.kind, err)
			}
		})
	}
}

func TestParseBuildpackReadsEverything(t *testing.T) {
	t.Parallel()
	d := loadModule(t, "a").Descriptor
	if d.API != "0.10" || d.Info.FullName() != "acme/a@1.0.0" || d.Kind != buildpack.KindBuildpack {
		t.Errorf("got %+v", d)
	}
	if diff := cmp.Diff([]string{"LICENSE"}, d.Shared); diff != "" {
		t.Error(diff)
	}
	if len(d.Unknown) != 0 {
		t.Errorf("unknown keys: %v", d.Unknown)
	}
}

func TestExecEnvMayBeNamesOrTables(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		component("a", "1") + "exec-env = [\"production\", \"test\"]\n",
		component("a", "1") + "[[buildpack.exec-env]]\nname = \"production\"\n[[buildpack.exec-env]]\nname = \"test\"\n",
		component("a", "1") + "exec-env = [{name = \"production\"}, \"test\"]\n",
	} {
		d := descriptor(t, text)
		if diff := cmp.Diff(buildpack.ExecEnv{"production", "test"}, d.Info.ExecEnv); diff != "" {
			t.Errorf("%s\n%s", text, diff)
		}
		if len(d.Unknown) != 0 {
			t.Errorf("unknown keys: %v", d.Unknown)
		}
	}
}

func TestUnknownKeysAreSortedAndPlaced(t *testing.T) {
	t.Parallel()
	d := descriptor(t, `api = "0.10"
zebra = 1
[buildpack]
id = "a"
version = "1"
colour = "red"
[[targets]]
os = "linux"
arch-variant = "v8"
path = "x"
[[targets]]
arch-variant = "v9"
[metadata]
free = true
[metadata.deep]
free = true
[metadata.multipack]
shared = ["a"]
shred = ["b"]
[extension]
id = "e"
[table]
[table.sub]
key = 1
`)
	want := []buildpack.UnknownKey{
		{Key: "buildpack.colour", Line: 6}, {Key: "extension", Line: 20}, {Key: "metadata.multipack.shred", Line: 19},
		{Key: "table", Line: 22}, {Key: "targets.arch-variant", Line: 9}, {Key: "zebra", Line: 2},
	}
	if diff := cmp.Diff(want, d.Unknown); diff != "" {
		t.Error(diff)
	}
}

func TestParseExtension(t *testing.T) {
	t.Parallel()
	d, err := buildpack.ParseExtension("extension.toml", []byte("[extension]\nid = \"e\"\nversion = \"1\"\n[[order]]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if d.Kind != buildpack.KindExtension || d.API != "0.1" || d.IsComposite() {
		t.Errorf("got %+v", d)
	}
	if diff := cmp.Diff([]buildpack.UnknownKey{{Key: "order", Line: 4}}, d.Unknown); diff != "" {
		t.Error(diff)
	}
	_, err = buildpack.ParseExtension("extension.toml", []byte("[buildpack]\nid = \"e\"\nversion = \"1\"\n"))
	if err == nil || !strings.Contains(err.Error(), "'extension.id' is required") {
		t.Errorf("got %v", err)
	}
}

func TestParsePackage(t *testing.T) {
	t.Parallel()
	p, err := buildpack.ParsePackage("package.toml", []byte("[buildpack]\nuri = \".\"\n[[dependencies]]\nuri = \"../a\"\n[[dependencies]]\nimage = \"x/y\"\n[[targets]]\nos = \"linux\"\narch = \"arm64\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if p.URI != "." || p.OS != "linux" || p.Kind != buildpack.KindBuildpack || len(p.Targets) != 1 {
		t.Errorf("got %+v", p)
	}
	if p.Dependencies[0].String() != "../a" || p.Dependencies[1].String() != "x/y" {
		t.Errorf("got %+v", p.Dependencies)
	}
	ext, err := buildpack.ParsePackage("package.toml", []byte("[extension]\nuri = \"x\"\n"))
	if err != nil || ext.Kind != buildpack.KindExtension || ext.URI != "x" {
		t.Errorf("got %+v, %v", ext, err)
	}
}

func TestParsePackageErrors(t *testing.T) {
	t.Parallel()
	const head = "[buildpack]\nuri = \".\"\n"
	for name, c := range map[string]struct{ text, want string }{
		"one unknown":  {head + "[platform]\nos = \"linux\"\nfoo = 1\n", "unknown configuration element 'platform.foo' in 'package.toml'"},
		"two unknown":  {"zoo = 1\n" + head + "[alpha]\nb = 1\n", "unknown configuration elements 'alpha', 'zoo' in 'package.toml'"},
		"no uri":       {"[buildpack]\n", "missing 'buildpack.uri' configuration"},
		"no ext uri":   {"[extension]\n", "missing 'extension.uri' configuration"},
		"both":         {head + "[extension]\nuri = \"x\"\n", "only one of 'buildpack.uri' and 'extension.uri' is possible"},
		"os":           {head + "[platform]\nos = \"darwin\"\n", "package.toml:4: key 'platform.os': invalid 'platform.os' configuration: only ['linux', 'windows'] is permitted, found 'darwin'"},
		"both kinds":   {head + "[[dependencies]]\nuri = \"a\"\nimage = \"b\"\n", "package.toml:3: key 'dependencies': dependency configured with both 'uri' and 'image'"},
		"neither kind": {head + "[[dependencies]]\nuri = \"a\"\n[[dependencies]]\n", "package.toml:5: key 'dependencies': dependency configured with neither 'uri' nor 'image'"},
		"target":       {head + "[[targets]]\nos = \"linux\"\narch = \"x86\"\n", "package.toml:5: key 'targets.arch': unknown architecture 'x86'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := buildpack.ParsePackage("package.toml", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	d := descriptor(t, minimal+`
[[targets]]
os = "linux"
arch = "arm64"
variant = "v8"
[[targets.distros]]
name = "ubuntu"
version = "24.04"
[[targets.distros]]
name = "ubuntu"
version = "22.04"
[[targets]]
os = "linux"
arch = "x86_64"
path = "./built/amd64/"
[[targets]]
os = "linux"
arch = "amd64"
[[targets]]
arch = "arm"
[[targets]]
`)
	var got []string
	for _, target := range buildpack.Targets(d.Targets) {
		got = append(got, target.String()+" "+target.Path)
	}
	want := []string{"linux/arm64:ubuntu@24.04 ", "linux/arm64:ubuntu@22.04 ", "linux/amd64 built/amd64", "linux/arm/v7 ", "linux "}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if v := buildpack.Targets(d.Targets)[0].Platform.OSVersion; v != "24.04" {
		t.Errorf("the distribution's version is not the os version: %q", v)
	}
}

func TestDedupe(t *testing.T) {
	t.Parallel()
	got := buildpack.Dedupe([]platform.Target{
		{Platform: platform.Platform{OS: "linux", Arch: "arm64", Variant: "v8"}},
		{Platform: platform.Platform{OS: "linux", Arch: "arm64"}, Path: "x"},
		{Platform: platform.Platform{OS: "linux", Arch: "arm64", Variant: "v9"}},
	})
	if len(got) != 2 || got[0].Path != "" || got[1].Platform.Variant != "v9" {
		t.Errorf("got %+v", got)
	}
}

func TestCompareAPI(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"0.9", "0.10", -1}, {"0.10", "0.10", 0}, {"1.0", "0.12", 1}, {"", "0.1", -1}} {
		if got := buildpack.CompareAPI(c.a, c.b); got != c.want {
			t.Errorf("CompareAPI(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func FuzzParseBuildpack(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(composite("a", "1", "b@1", "c")))
	f.Add([]byte("[[targets]]\n[[targets.distros]]\nname = \"\"\"\na\"\"\"\n[[[\n]]"))
	f.Add([]byte("a.b.\"c = d\" = [{x=1},\n{y=''' '''}]\n[\"q.r\"]\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, parse := range []func(string, []byte) (buildpack.Descriptor, error){buildpack.ParseBuildpack, buildpack.ParseExtension} {
			d, err := parse("f.toml", raw)
			if err != nil {
				if !strings.HasPrefix(err.Error(), "reading f.toml") {
					t.Fatalf("the error does not name the file: %v", err)
				}
				continue
			}
			if d.Info.ID == "" || d.Info.Version == "" || strings.Contains(d.Info.Version, "/") {
				t.Fatalf("accepted %+v", d.Info)
			}
			if !slices.IsSortedFunc(d.Unknown, func(a, b buildpack.UnknownKey) int { return strings.Compare(a.Key, b.Key) }) {
				t.Fatalf("not sorted: %v", d.Unknown)
			}
			buildpack.Targets(d.Targets)
		}
		if _, err := buildpack.ParsePackage("f.toml", raw); err != nil && !strings.HasPrefix(err.Error(), "reading f.toml") {
			t.Fatalf("the error does not name the file: %v", err)
		}
	})
}
