package lint_test

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/buildpack/lint"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/tree"
)

const component = "api = \"0.10\"\n[buildpack]\nid = \"acme/a\"\nversion = \"1\"\n"

func file(path, content string, mode uint32) tree.Entry {
	return tree.Entry{Path: path, Mode: os.FileMode(mode), Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}}
}

func link(path, to string) tree.Entry { return tree.Entry{Path: path, Type: tree.Symlink, Link: to} }

const script = "#!/bin/sh\nexit 0\n"

// sound is a buildpack without findings, with entries added or replaced.
func sound(over ...tree.Entry) []tree.Entry {
	base := []tree.Entry{file("bin/build", script, 0o755), file("bin/detect", script, 0o755)}
	for _, e := range over {
		base = slices.DeleteFunc(base, func(b tree.Entry) bool { return b.Path == e.Path })
	}
	return append(base, over...)
}

func without(path string) []tree.Entry {
	return slices.DeleteFunc(sound(), func(e tree.Entry) bool { return e.Path == path })
}

func targets(t *testing.T, all ...string) []platform.Target {
	t.Helper()
	var out []platform.Target
	for _, s := range all {
		one, err := platform.ParseTarget(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, one...)
	}
	return out
}

func run(t *testing.T, kind, text string, entries []tree.Entry, on []platform.Target) []string {
	t.Helper()
	d, err := buildpack.ParseDescriptor(kind, buildpack.FileName(kind), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	entries = append([]tree.Entry{file(buildpack.FileName(kind), text, 0o644)}, entries...)
	plan, err := buildpack.NewPlan(d, tree.Tree{Name: "app", Entries: entries}, on, nil)
	if err != nil {
		t.Fatal(err)
	}
	findings, err := lint.Plan(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range findings {
		out = append(out, f.String())
	}
	return out
}

func elfFile(machine elf.Machine, class elf.Class, data elf.Data, abi elf.OSABI) string {
	head := elf.Header64{Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(class), byte(data), 1, byte(abi)}, Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1}
	var order binary.ByteOrder = binary.LittleEndian
	if data == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	return encode(order, head)
}

func encode(order binary.ByteOrder, parts ...any) string {
	var b bytes.Buffer
	for _, p := range parts {
		if err := binary.Write(&b, order, p); err != nil {
			panic(err)
		}
	}
	return b.String()
}

func peFile(machine uint16) string {
	dos := make([]byte, 0x80)
	copy(dos, "MZ")
	dos[0x3c] = 0x80
	return string(dos) + "PE\x00\x00" + encode(binary.LittleEndian, pe.FileHeader{Machine: machine})
}

func machoFile(cpu macho.Cpu) string {
	return encode(binary.LittleEndian, macho.FileHeader{Magic: macho.Magic64, Cpu: cpu, Type: macho.TypeExec}, uint32(0))
}

func fatFile(cpus ...macho.Cpu) string {
	s := encode(binary.BigEndian, macho.MagicFat, uint32(len(cpus)))
	for _, c := range cpus {
		s += encode(binary.BigEndian, macho.FatArchHeader{Cpu: c})
	}
	return s
}

func TestBinaries(t *testing.T) {
	t.Parallel()
	amd64 := elfFile(elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB, elf.ELFOSABI_NONE)
	arm64 := elfFile(elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2LSB, elf.ELFOSABI_NONE)
	for name, c := range map[string]struct {
		content, path, target, want string // want "": no finding
	}{
		"right":             {amd64, "bin/main", "linux/amd64", ""},
		"wrong arch":        {arm64, "bin/main", "linux/amd64", "this ELF file is for arm64, not for linux/amd64"},
		"wrong os":          {amd64, "bin/main", "windows/amd64", "this ELF file is for amd64, not for windows/amd64"},
		"elf of freebsd":    {elfFile(elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB, elf.ELFOSABI_FREEBSD), "bin/x", "linux/amd64", "this ELF file is for freebsd/amd64, not for linux/amd64"},
		"elf of linux":      {elfFile(elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB, elf.ELFOSABI_LINUX), "bin/x", "linux/amd64", ""},
		"s390x":             {elfFile(elf.EM_S390, elf.ELFCLASS64, elf.ELFDATA2MSB, elf.ELFOSABI_NONE), "bin/x", "linux/s390x", ""},
		"ppc64le":           {elfFile(elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2LSB, elf.ELFOSABI_NONE), "bin/x", "linux/ppc64le", ""},
		"ppc64":             {elfFile(elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2MSB, elf.ELFOSABI_NONE), "bin/x", "linux/ppc64le", "this ELF file is for ppc64, not for linux/ppc64le"},
		"mipsle":            {elfFile(elf.EM_MIPS, elf.ELFCLASS32, elf.ELFDATA2LSB, elf.ELFOSABI_NONE), "bin/x", "linux/mips64", "this ELF file is for mipsle, not for linux/mips64"},
		"unheard of":        {elfFile(0x7777, elf.ELFCLASS64, elf.ELFDATA2LSB, elf.ELFOSABI_NONE), "bin/x", "linux/amd64", "this ELF file is for machine 0x7777, not for linux/amd64"},
		"cut elf":           {amd64[:10], "bin/x", "linux/arm64", ""},
		"elsewhere":         {arm64, "lib/x", "linux/amd64", ""},
		"deep in bin":       {arm64, "bin/deep/x", "linux/amd64", "this ELF file is for arm64, not for linux/amd64"},
		"pe":                {peFile(pe.IMAGE_FILE_MACHINE_AMD64), "bin/x.exe", "windows/amd64", ""},
		"pe wrong arch":     {peFile(pe.IMAGE_FILE_MACHINE_ARM64), "bin/x.exe", "windows/amd64", "this PE file is for windows/arm64, not for windows/amd64"},
		"pe on linux":       {peFile(pe.IMAGE_FILE_MACHINE_AMD64), "bin/x.exe", "linux/amd64", "this PE file is for windows/amd64, not for linux/amd64"},
		"managed code":      {peFile(pe.IMAGE_FILE_MACHINE_I386), "bin/x.dll", "linux/amd64", ""},
		"dos":               {"MZ" + strings.Repeat("\x00", 100), "bin/x", "linux/amd64", ""},
		"pe offset far out": {"MZ" + strings.Repeat("\xff", 100), "bin/x", "linux/amd64", ""},
		"macho":             {machoFile(macho.CpuArm64), "bin/x", "darwin/arm64", ""},
		"macho on linux":    {machoFile(macho.CpuArm64), "bin/x", "linux/arm64", "this Mach-O file is for darwin/arm64, not for linux/arm64"},
		"fat":               {fatFile(macho.CpuAmd64, macho.CpuArm64), "bin/x", "darwin/arm64", ""},
		"fat without":       {fatFile(macho.CpuAmd64, macho.CpuPpc), "bin/x", "darwin/arm64", "this Mach-O file is for darwin/amd64+ppc, not for darwin/arm64"},
		"fat on linux":      {fatFile(macho.CpuAmd64, macho.CpuArm64), "bin/x", "linux/arm64", "this Mach-O file is for darwin/amd64+arm64, not for linux/arm64"},
		"java class":        {"\xca\xfe\xba\xbe\x00\x00\x00\x41" + strings.Repeat("x", 2000), "bin/X.class", "linux/amd64", ""},
		"carriage return":   {"#!/usr/bin/env bash\r\necho\r\n", "bin/x", "linux/amd64", "its interpreter line ends in a carriage return"},
		"return elsewhere":  {"#!/usr/bin/env bash\necho\r\n", "bin/x", "linux/amd64", ""},
		"empty":             {"", "bin/x", "linux/amd64", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, buildpack.KindBuildpack, component, sound(file(c.path, c.content, 0o755)), targets(t, c.target))
			var want []string
			if c.want != "" {
				want = []string{c.target + ": " + c.path + ": " + c.want}
			}
			for i := range got {
				got[i], _, _ = strings.Cut(got[i], " (")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// This test's own program is a real binary of this machine.
func TestARealBinary(t *testing.T) {
	t.Parallel()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := tree.Entry{Path: "bin/program", Mode: 0o755, Open: func() (io.ReadCloser, error) { return os.Open(path) }}
	here := runtime.GOOS + "/" + runtime.GOARCH
	if got := run(t, buildpack.KindBuildpack, component, sound(program), targets(t, here)); len(got) != 0 {
		t.Errorf("on %s: %v", here, got)
	}
	if got := run(t, buildpack.KindBuildpack, component, sound(program), targets(t, runtime.GOOS+"/riscv64")); len(got) != 1 {
		t.Errorf("elsewhere: %v", got)
	}
}

func TestEntryPoints(t *testing.T) {
	t.Parallel()
	const linux = "linux/amd64: "
	for name, c := range map[string]struct {
		entries []tree.Entry
		target  string
		want    []string
	}{
		"sound":             {sound(), "linux/amd64", nil},
		"no build":          {without("bin/build"), "linux/amd64", []string{linux + "bin/build: it does not exist (missing-entry-point)"}},
		"no detect":         {without("bin/detect"), "linux/amd64", []string{linux + "bin/detect: it does not exist (missing-entry-point)"}},
		"not executable":    {sound(file("bin/build", script, 0o644)), "linux/amd64", []string{linux + "bin/build: it is not executable (not-executable)"}},
		"a folder":          {sound(tree.Entry{Path: "bin/build", Type: tree.Dir}), "linux/amd64", []string{linux + "bin/build: it is a directory, not a program (missing-entry-point)"}},
		"a link":            {sound(file("libexec/run", script, 0o755), link("bin/build", "../libexec/run")), "linux/amd64", nil},
		"a link to nothing": {sound(link("bin/build", "gone")), "linux/amd64", []string{linux + "bin/build: it does not exist (missing-entry-point)"}},
		"a link out":        {sound(link("bin/build", "/usr/bin/true")), "linux/amd64", nil},
		"a linked binary": {sound(file("libexec/run", elfFile(elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2LSB, 0), 0o755), link("bin/build", "../libexec/run")), "linux/amd64",
			[]string{linux + "bin/build: this ELF file is for arm64, not for linux/amd64 (foreign-binary)"}},
		"windows": {[]tree.Entry{file("bin/build.bat", "x", 0o644), file("bin/detect.exe", "x", 0o644)}, "windows/amd64", nil},
		"windows without": {[]tree.Entry{file("bin/build.ps1", "x", 0o644)}, "windows/amd64",
			[]string{"windows/amd64: bin/detect: it does not exist (missing-entry-point)"}},
		"linux with .bat": {[]tree.Entry{file("bin/build.bat", "x", 0o755), file("bin/detect", script, 0o755)}, "linux/amd64",
			[]string{linux + "bin/build: it does not exist (missing-entry-point)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, run(t, buildpack.KindBuildpack, component, c.entries, targets(t, c.target))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExtensionsAndComposites(t *testing.T) {
	t.Parallel()
	on := targets(t, "linux/amd64")
	const extension = "[extension]\nid = \"e\"\nversion = \"1\"\n"
	if got := run(t, buildpack.KindExtension, extension, []tree.Entry{file("bin/generate", script, 0o755)}, on); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	if got := run(t, buildpack.KindExtension, extension, nil, on); len(got) != 1 || !strings.Contains(got[0], "neither a 'bin/detect' nor a 'bin/generate'") {
		t.Errorf("got %v", got)
	}
	const composite = "[buildpack]\nid = \"c\"\nversion = \"1\"\n[[order]]\n[[order.group]]\nid = \"a\"\nversion = \"1\"\n"
	if got := run(t, buildpack.KindBuildpack, composite, nil, on); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestFindingsAreInOrder(t *testing.T) {
	t.Parallel()
	text := "zoo = 1\n" + component + "[[targets]]\nos = \"linux\"\narch-variant = \"v8\"\n"
	arm64 := elfFile(elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2LSB, elf.ELFOSABI_NONE)
	entries := []tree.Entry{
		file("linux/amd64/bin/detect", arm64, 0o644), file("linux/arm64/bin/build", script, 0o755),
		file("linux/arm64/bin/detect", arm64, 0o755), file("linux/arm64/bin/a", "#!x\r\n", 0o755),
	}
	got := run(t, buildpack.KindBuildpack, text, entries, targets(t, "linux/arm64:ubuntu@22.04", "linux/arm64:debian@22.04", "linux/amd64"))
	want := []string{
		"buildpack.toml:8: nothing reads the key 'targets.arch-variant' (unknown-key)",
		"buildpack.toml:1: nothing reads the key 'zoo' (unknown-key)",
		"linux/arm64:debian@22.04: its image is of the same platform as that of 'linux/arm64:ubuntu@22.04' (same-platform)",
		"linux/arm64:ubuntu@22.04: linux/arm64/bin/a: its interpreter line ends in a carriage return (carriage-return)",
		"linux/arm64:debian@22.04: linux/arm64/bin/a: its interpreter line ends in a carriage return (carriage-return)",
		"linux/amd64: linux/amd64/bin/build: it does not exist (missing-entry-point)",
		"linux/amd64: linux/amd64/bin/detect: this ELF file is for arm64, not for linux/amd64 (foreign-binary)",
		"linux/amd64: linux/amd64/bin/detect: it is not executable (not-executable)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestKeysOfAFoldersOwnDescriptor(t *testing.T) {
	t.Parallel()
	entries := []tree.Entry{
		file("linux/amd64/bin/build", script, 0o755), file("linux/amd64/bin/detect", script, 0o755), file("linux/amd64/buildpack.toml", "zoo = 1\n"+component, 0o644),
		file("linux/arm64/bin/build", script, 0o755), file("linux/arm64/bin/detect", script, 0o755), file("linux/arm64/buildpack.toml", "ark = 1\n"+component, 0o644),
	}
	got := run(t, buildpack.KindBuildpack, "zoo = 1\n"+component, entries, targets(t, "linux/amd64", "linux/arm64"))
	want := []string{
		"buildpack.toml:1: nothing reads the key 'zoo' (unknown-key)",
		"linux/arm64: linux/arm64/buildpack.toml:1: nothing reads the key 'ark' (unknown-key)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEmptyArchitecture(t *testing.T) {
	t.Parallel()
	got := run(t, buildpack.KindBuildpack, component, sound(), []platform.Target{buildpack.DefaultTarget("")})
	if len(got) != 1 || !strings.HasPrefix(got[0], "linux: no architecture is said") {
		t.Errorf("got %v", got)
	}
}

func TestAFileThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	broken := file("bin/x", "", 0o755)
	why := errors.New("no luck")
	broken.Open = func() (io.ReadCloser, error) { return nil, why }
	d, err := buildpack.ParseBuildpack("buildpack.toml", []byte(component))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := buildpack.NewPlan(d, tree.Tree{Name: "app", Entries: sound(broken)}, targets(t, "linux/amd64"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lint.Plan(t.Context(), plan); !errors.Is(err, why) || !strings.Contains(err.Error(), "reading 'bin/x' of 'app'") {
		t.Errorf("got %v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	if err := lint.Check(nil); err != nil {
		t.Errorf("got %v", err)
	}
	err := lint.Check([]lint.Finding{{Rule: "r", Platform: "linux/amd64", Path: "bin/x", Message: "is bad"}})
	if !fault.Is(err, fault.Check) || err.Error() != "linting the buildpack: 1 finding:\nlinux/amd64: bin/x: is bad (r)" {
		t.Errorf("got %v", err)
	}
}

func module(t *testing.T, api, id, version string, refs ...string) buildpack.Module {
	t.Helper()
	text := "api = \"" + api + "\"\n[buildpack]\nid = \"" + id + "\"\nversion = \"" + version + "\"\n"
	for _, ref := range refs {
		name, v, _ := strings.Cut(ref, "@")
		text += "[[order]]\n[[order.group]]\nid = \"" + name + "\"\nversion = \"" + v + "\"\n"
	}
	d, err := buildpack.ParseBuildpack("buildpack.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return buildpack.Module{Descriptor: d}
}

func TestComposite(t *testing.T) {
	t.Parallel()
	main := module(t, "0.10", "main", "1", "a@1", "a@2")
	deps := []buildpack.Module{module(t, "0.12", "a", "2"), module(t, "0.9", "a", "1"), module(t, "0.9", "spare", "1"), module(t, "0.9", "a", "1")}
	var got []string
	for _, f := range lint.Composite(main, deps, lint.APIs{Newest: "0.11", Oldest: "0.9"}) {
		got = append(got, f.String())
	}
	want := []string{
		"'a@2' needs Buildpack API 0.12, newer than 0.11 (api-too-new)",
		"'a' is there in several versions: 1, 2 (two-versions)",
		"no order names the dependency 'spare@1' (unused-dependency)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if f := lint.Composite(module(t, "0.12", "m", "1"), nil, lint.APIs{}); len(f) != 0 {
		t.Errorf("got %v", f)
	}
}

func TestParseAPIs(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]lint.APIs{"": {}, "0.12": {Newest: "0.12"}, "0.7-0.12": {Oldest: "0.7", Newest: "0.12"}} {
		if got, err := lint.ParseAPIs(given); err != nil || got != want {
			t.Errorf("%s: got %v, %v", given, got, err)
		}
	}
	for _, given := range []string{"new", "0.12-0.7", "-0.7", "0.7-", "0.7-0.8-0.9"} {
		if _, err := lint.ParseAPIs(given); !fault.Is(err, fault.Usage) {
			t.Errorf("%s: got %v", given, err)
		}
	}
}

// What is found for every platform is told once; what is found for some names these.
func TestBuilds(t *testing.T) {
	t.Parallel()
	main := module(t, "0.10", "main", "1", "a@1")
	a := module(t, "0.6", "a", "1")
	a.Descriptor.Targets = []buildpack.Target{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm64", Variant: "v8", Distros: []buildpack.Distro{{Name: "ubuntu", Version: "24.04"}}}}
	var builds []buildpack.PlatformBuild
	for _, target := range targets(t, "linux/amd64", "linux/arm64:ubuntu@24.04", "linux/arm64:ubuntu@22.04", "linux/s390x") {
		builds = append(builds, buildpack.PlatformBuild{Target: target, Main: main, Deps: []buildpack.Module{a}})
	}
	var got []string
	for _, f := range lint.Builds(builds, lint.APIs{Oldest: "0.7"}) {
		got = append(got, f.String())
	}
	want := []string{
		"'a@1' needs Buildpack API 0.6, older than 0.7 (api-too-old)",
		"linux/arm64:ubuntu@22.04: the targets of 'a@1' are others: linux/amd64, linux/arm64/v8:ubuntu@24.04 (undeclared-platform)",
		"linux/s390x: the targets of 'a@1' are others: linux/amd64, linux/arm64/v8:ubuntu@24.04 (undeclared-platform)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
