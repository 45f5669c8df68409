package buildpack_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/tree"
)

func plan(t *testing.T, root tree.Tree, shared []string, targets ...string) (buildpack.Plan, error) {
	t.Helper()
	var all []platform.Target
	for _, s := range targets {
		all = append(all, target(t, s))
	}
	return buildpack.NewPlan(descriptor(t, minimal), root, all, shared)
}

func TestFolders(t *testing.T) {
	t.Parallel()
	split := memTree("buildpack.toml", "linux/", "linux/amd64/", "linux/amd64/bin/", "linux/amd64/bin/build", "linux/arm64/", "linux/arm64/bin/build")
	for name, c := range map[string]struct {
		root   tree.Tree
		target string
		want   string // "" is not found
	}{
		"no folders":               {memTree("buildpack.toml", "bin/build"), "linux/amd64", "."},
		"its own":                  {split, "linux/arm64", "linux/arm64"},
		"other arch":               {split, "linux/s390x", ""},
		"other os":                 {split, "windows/amd64", ""},
		"v8 is plain":              {split, "linux/arm64/v8", "linux/arm64"},
		"distro without folder":    {split, "linux/arm64:ubuntu@22.04", "linux/arm64"},
		"linux is content":         {memTree("buildpack.toml", "linux/tools/x", "bin/build"), "linux/amd64", "."},
		"arch at the root":         {memTree("buildpack.toml", "amd64/x"), "linux/amd64", "."},
		"file of that name":        {memTree("buildpack.toml", "linux/amd64"), "linux/amd64", "."},
		"folder spells v8":         {memTree("linux/arm64/v8/bin/build"), "linux/arm64", "linux/arm64/v8"},
		"folder spells v7":         {memTree("linux/arm/v7/bin/build"), "linux/arm", "linux/arm/v7"},
		"folder omits v7":          {memTree("linux/arm/bin/build"), "linux/arm/v7", "linux/arm"},
		"folder for all variants":  {memTree("linux/arm/bin/build"), "linux/arm/v6", "linux/arm"},
		"other variant only":       {memTree("linux/arm/v7/bin/build"), "linux/arm/v6", ""},
		"variant beside content":   {memTree("linux/arm/bin/build", "linux/arm/v6/bin/build"), "linux/arm/v7", "linux/arm"},
		"only variants":            {memTree("linux/amd64/v3/bin/build"), "linux/amd64", ""},
		"another's variant":        {memTree("linux/amd64/bin/build", "linux/amd64/v3/bin/build"), "linux/amd64/v2", ""},
		"aliases":                  {memTree("linux/x86_64/bin/build"), "linux/amd64", "linux/x86_64"},
		"distro":                   {memTree("linux/amd64/ubuntu@22.04/bin/build", "linux/amd64/ubuntu@24.04/bin/build"), "linux/amd64:ubuntu@24.04", "linux/amd64/ubuntu@24.04"},
		"distro below the variant": {memTree("linux/arm64/v8/ubuntu@22.04/bin/build"), "linux/arm64:ubuntu@22.04", "linux/arm64/v8/ubuntu@22.04"},
		"other distro":             {memTree("linux/amd64/ubuntu@22.04/bin/build"), "linux/amd64:debian@12", ""},
		"only distros":             {memTree("linux/amd64/ubuntu@22.04/bin/build"), "linux/amd64", ""},
		"distro by os version":     {memTree("linux/amd64/ubuntu@22.04/bin/build"), "linux/amd64:ubuntu@22.04", "linux/amd64/ubuntu@22.04"},
		"link to a folder":         {memTree("linux/amd64/bin/build", "linux/arm64 -> amd64"), "linux/arm64", "linux/arm64"},
		"link out":                 {memTree("linux/amd64/bin/build", "linux/arm64 -> ../../x"), "linux/arm64", ""},
		"upper case is content":    {memTree("Linux/AMD64/x", "bin/build"), "linux/amd64", "."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !c.root.Has("buildpack.toml") {
				c.root = tree.Overlay(c.root, memTree("buildpack.toml"))
			}
			p, err := plan(t, c.root, nil, c.target)
			if c.want == "" {
				if !fault.Is(err, fault.NotFound) {
					t.Fatalf("got %+v, %v", p.Items, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.Items[0].Folder != c.want {
				t.Errorf("got %q, want %q", p.Items[0].Folder, c.want)
			}
		})
	}
}

func TestMissingFoldersAreAllNamed(t *testing.T) {
	t.Parallel()
	root := memTree("buildpack.toml", "linux/amd64/bin/build", "linux/arm64/v8/x", "linux/arm64/v9/ubuntu@22.04/x")
	_, err := plan(t, root, nil, "linux/s390x", "linux/amd64", "linux/arm64:debian@12", "windows/amd64")
	want := "finding the platform folders of 'app': no folder for 'linux/s390x', 'windows/amd64' (folders found: linux/amd64, linux/arm64/v8, linux/arm64/v9/ubuntu@22.04)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if fault.HintOf(err) == "" {
		t.Error("there is no hint")
	}
}

func TestTargetsOwnPath(t *testing.T) {
	t.Parallel()
	root := memTree("buildpack.toml", "built/x/bin/build", "linux/amd64/bin/build")
	own := target(t, "linux/s390x")
	own.Path = "built/x"
	p, err := buildpack.NewPlan(descriptor(t, minimal), root, []platform.Target{own, target(t, "linux/amd64")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.Items[0].Folder != "built/x" || p.Items[1].Folder != "linux/amd64" {
		t.Errorf("got %+v", p.Items)
	}
	gone := own
	gone.Path = "built/gone"
	if _, err := buildpack.NewPlan(descriptor(t, minimal), root, []platform.Target{gone}, nil); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "no folder for 'built/gone'") {
		t.Errorf("got %v", err)
	}
	// One target's own folder splits the tree for the others too.
	if _, err := buildpack.NewPlan(descriptor(t, minimal), memTree("buildpack.toml", "built/x/bin/build"), []platform.Target{own, target(t, "linux/amd64")}, nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
}

func paths(t tree.Tree) []string {
	var out []string
	for _, e := range t.Entries {
		out = append(out, e.Path)
	}
	return out
}

func content(t *testing.T, e tree.Entry) string {
	t.Helper()
	rc, err := e.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rc.Close() }()
	raw, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestContentOfAFolder(t *testing.T) {
	t.Parallel()
	root := memTree("LICENSE", "README.md", "buildpack.toml", "lib/", "lib/a", "lib/deep/", "lib/deep/b",
		"linux/", "linux/amd64/", "linux/amd64/LICENSE", "linux/amd64/bin/", "linux/amd64/bin/build", "linux/amd64/zoo",
		"linux/arm64/", "linux/arm64/bin/", "linux/arm64/bin/build", "linux/arm64/buildpack.toml -> ../../buildpack.toml")
	p, err := plan(t, root, []string{"lib/**", "LICENSE"}, "linux/amd64", "linux/arm64")
	if err != nil {
		t.Fatal(err)
	}
	amd64 := []string{"LICENSE", "bin", "bin/build", "buildpack.toml", "lib", "lib/a", "lib/deep", "lib/deep/b", "zoo"}
	if got := paths(p.Items[0].Tree); !slices.Equal(got, amd64) {
		t.Errorf("got  %v\nwant %v", got, amd64)
	}
	license, _ := p.Items[0].Tree.Lookup("LICENSE")
	if got := content(t, license); got != "content of linux/amd64/LICENSE" {
		t.Errorf("the platform's own file does not win: %s", got)
	}
	arm64 := []string{"LICENSE", "bin", "bin/build", "buildpack.toml", "lib", "lib/a", "lib/deep", "lib/deep/b"}
	if got := paths(p.Items[1].Tree); !slices.Equal(got, arm64) {
		t.Errorf("got  %v\nwant %v", got, arm64)
	}
	toml, _ := p.Items[1].Tree.Lookup("buildpack.toml")
	if toml.Type != tree.Regular || content(t, toml) != minimal {
		t.Errorf("the link to the root's file was not resolved: %+v", toml)
	}
}

func TestSharedTakesNothingOfOtherPlatforms(t *testing.T) {
	t.Parallel()
	root := memTree("a", "buildpack.toml", "linux/", "linux/amd64/", "linux/amd64/x", "linux/arm64/", "linux/arm64/y")
	p, err := plan(t, root, []string{"**"}, "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := paths(p.Items[0].Tree), []string{"a", "buildpack.toml", "x"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSharedPatternsAreChecked(t *testing.T) {
	t.Parallel()
	root := memTree("buildpack.toml", "linux/amd64/x")
	if _, err := plan(t, root, []string{"lib/**"}, "linux/amd64"); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "the pattern 'lib/**' selects nothing") {
		t.Errorf("got %v", err)
	}
	if _, err := plan(t, root, []string{"../x"}, "linux/amd64"); !fault.Is(err, fault.Usage) {
		t.Errorf("got %v", err)
	}
}

func TestAFoldersOwnDescriptor(t *testing.T) {
	t.Parallel()
	root := memTree("buildpack.toml", "linux/amd64/buildpack.toml", "linux/amd64/x")
	p, err := plan(t, root, nil, "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	if p.Items[0].Descriptor.File != "linux/amd64/buildpack.toml" {
		t.Errorf("got %+v", p.Items[0].Descriptor)
	}
	d := descriptor(t, component("acme/other", "1"))
	_, err = buildpack.NewPlan(d, root, []platform.Target{target(t, "linux/amd64")}, nil)
	if err == nil || !strings.Contains(err.Error(), "it describes 'acme/a@1.0.0', but the root's file describes 'acme/other@1'") {
		t.Errorf("got %v", err)
	}
}

func TestLoadFindsEitherDescriptor(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{".": "buildpack.toml", "app": "app/buildpack.toml", "sub/app/": "sub/app/buildpack.toml", "https://x/y.tgz": "https://x/y.tgz/buildpack.toml"} {
		root := memTree("buildpack.toml")
		root.Name = name
		if d, err := buildpack.Load(root); err != nil || d.File != want {
			t.Errorf("%s: got %q, %v", name, d.File, err)
		}
	}
	if d := loadModule(t, "ext").Descriptor; d.Kind != buildpack.KindExtension {
		t.Errorf("got %+v", d)
	}
	if _, err := buildpack.Load(memTree("x")); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
}
