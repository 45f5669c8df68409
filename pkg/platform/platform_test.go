package platform_test

import (
	"strings"
	"testing"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"linux/amd64":                   "linux/amd64",
		"linux/x86_64":                  "linux/amd64",
		"Linux/AARCH64":                 "linux/arm64",
		"linux/arm64/v8":                "linux/arm64",
		"linux/arm64/v9":                "linux/arm64/v9",
		"linux/arm":                     "linux/arm/v7",
		"linux/arm/v6":                  "linux/arm/v6",
		"linux/armhf":                   "linux/arm/v7",
		"macos/arm64":                   "darwin/arm64",
		"windows/amd64:10.0.20348.1970": "windows/amd64:10.0.20348.1970",
		"linux/amd64/v3":                "linux/amd64/v3",
		`{"os":"linux","architecture":"arm","variant":"v6"}`:                                              "linux/arm/v6",
		`{"os":"windows","architecture":"amd64","os.version":"10.0.14393.1066","os.features":["win32k"]}`: "windows/amd64:10.0.14393.1066",
	} {
		got, err := platform.Parse(in)
		if err != nil {
			t.Errorf("Parse(%q): %v", in, err)
			continue
		}
		if got.String() != want {
			t.Errorf("Parse(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for in, says := range map[string]string{
		"":                              "os/arch",
		"linux":                         "os/arch",
		"linux/":                        "os/arch",
		"linux/amd64/v1/x":              "os/arch",
		"linux/amd46":                   "did you mean 'amd64'?",
		"linux/arm46":                   "did you mean 'arm64'?",
		"linus/amd64":                   "did you mean 'linux'?",
		"linux/arm/v9":                  "unknown variant 'v9'",
		"linux/s390x/v1":                "'s390x' has none",
		"windows/amd64:":                "nothing follows",
		"local":                         "os/arch",
		" linux/amd64":                  "unknown os",
		`{"os":"linux"}`:                "os and architecture have to be named",
		`{"os":"linux","arch":"amd64"}`: "unknown field",
		`{"os":"linux","architecture":"amd64"} x`: "text follows",
	} {
		_, err := platform.Parse(in)
		if err == nil {
			t.Errorf("Parse(%q) gave no error", in)
			continue
		}
		if !fault.Is(err, fault.Usage) {
			t.Errorf("Parse(%q): kind is not usage: %v", in, err)
		}
		if !strings.Contains(err.Error(), says) {
			t.Errorf("Parse(%q) says %q, want %q in it", in, err, says)
		}
	}
}

func TestParseList(t *testing.T) {
	t.Parallel()
	local := platform.Platform{OS: "linux", Arch: "riscv64"}
	l, err := platform.ParseList([]string{
		"linux/amd64, linux/arm64/v8", "local",
		`{"os":"windows","architecture":"amd64","os.features":["a","b"]},linux/x86_64`, "linux/arm*",
	}, local)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range l.Filters {
		got = append(got, f.String())
	}
	want := "linux/amd64 linux/arm64 linux/riscv64 windows/amd64 linux/arm*"
	if strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", strings.Join(got, " "), want)
	}
	if _, err := l.Platforms(); !fault.Is(err, fault.Usage) {
		t.Errorf("a pattern where platforms are built: %v", err)
	}
	all, err := platform.ParseList([]string{"all"}, local)
	if err != nil || !all.All {
		t.Errorf("all: %v, %v", all, err)
	}
	for _, bad := range []string{"linux/[", "linux/amd64,", "linux/amd46"} {
		if _, err := platform.ParseList([]string{bad}, local); !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestFilterMatch(t *testing.T) {
	t.Parallel()
	p := func(s string) platform.Platform {
		v, err := platform.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		filter, have string
		want         bool
	}{
		{"linux/arm64", "linux/arm64", true},
		{"linux/arm64", "linux/arm64/v9", false},
		{"linux/arm", "linux/arm/v7", true},
		{"linux/arm", "linux/arm/v6", false},
		{"linux/arm*", "linux/arm/v6", true},
		{"linux/arm*", "linux/arm64", true},
		{"linux/*", "linux/arm/v6", true},
		{"linux/*", "windows/amd64", false},
		{"linux/arm/*", "linux/arm64", false},
		{"windows/amd64", "windows/amd64:10.0.1", true},
		{"windows/amd64:10.0.2", "windows/amd64:10.0.1", false},
	} {
		l, err := platform.ParseList([]string{c.filter}, platform.Platform{})
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Filters[0].Match(p(c.have)); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.filter, c.have, got, c.want)
		}
	}
}

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"linux/amd64":                           "linux/amd64",
		"linux/arm/v6:ubuntu@14.04":             "linux/arm/v6:ubuntu@14.04",
		"linux/amd64:ubuntu@20.04;ubuntu@22.04": "linux/amd64:ubuntu@20.04 linux/amd64:ubuntu@22.04",
		"linux/amd64:ubuntu@20.04@22.04;rhel@9": "linux/amd64:ubuntu@20.04 linux/amd64:ubuntu@22.04 linux/amd64:rhel@9",
		"linux/arm64/v8:alpine":                 "linux/arm64:alpine",
	} {
		targets, err := platform.ParseTarget(in)
		if err != nil {
			t.Errorf("ParseTarget(%q): %v", in, err)
			continue
		}
		var got []string
		for _, x := range targets {
			got = append(got, x.String())
			if x.Distro.Version != x.Platform.OSVersion {
				t.Errorf("%q: os.version %q is not the distribution's %q", in, x.Platform.OSVersion, x.Distro.Version)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("ParseTarget(%q) = %q, want %q", in, got, want)
		}
	}
	for _, bad := range []string{"", "linux", "linux/amd64:", "linux/amd64:@1", "linux/amd64:u@1;", "linux/amd64:u@1@", "linux/amd46:u@1"} {
		if _, err := platform.ParseTarget(bad); !fault.Is(err, fault.Usage) {
			t.Errorf("ParseTarget(%q): %v", bad, err)
		}
	}
}

func TestSuffix(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"linux/amd64": "linux-amd64", "linux/arm64/v8": "linux-arm64", "linux/arm/v6": "linux-arm-v6",
		"windows/amd64:10.0.1+x": "windows-amd64-10.0.1-x",
	} {
		p, err := platform.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if p.Suffix() != want {
			t.Errorf("%q: %q, want %q", in, p.Suffix(), want)
		}
	}
	targets, _ := platform.ParseTarget("linux/amd64:ubuntu@24.04")
	if got := targets[0].Suffix(); got != "linux-amd64-ubuntu-24.04" {
		t.Errorf("target: %q", got)
	}
}

// FuzzParse holds what every caller relies on: a parsed platform prints as a
// text that parses to the same platform, and errors are usage errors.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"linux/amd64", "linux/arm/v6", "windows/amd64:10.0.1", `{"os":"linux","architecture":"arm"}`, "a/b", "//", "{"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := platform.Parse(s)
		if err != nil {
			if !fault.Is(err, fault.Usage) {
				t.Fatalf("Parse(%q): %v is no usage error", s, err)
			}
			return
		}
		if p != p.Normalize() {
			t.Fatalf("Parse(%q) = %+v is not normalised", s, p)
		}
		if strings.HasPrefix(s, "{") {
			return
		}
		again, err := platform.Parse(p.String())
		if err != nil || again != p {
			t.Fatalf("Parse(%q) = %q parses to %q, %v", s, p, again, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := platform.Parse("linux/arm64/v8"); err != nil {
			b.Fatal(err)
		}
	}
}
