package announce

import (
	"strings"
	"testing"
)

func TestCandidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ tag, name, want string }{
		{"1.0", "1.0-linux-amd64", "linux/amd64"},
		{"1.0", "1.0-linux-arm64-v9", "linux/arm64/v9"},
		{"1.0", "1.0-linux-arm-v7", "linux/arm/v7"},
		{"1.0", "1.0-linux-arm", ""}, // a normalised arm has a variant
		{"1.0", "1.0-linux-x86_64", ""},
		{"1.0", "1.0-windows-amd64-10.0.20348.1970", "windows/amd64:10.0.20348.1970"},
		{"1.0", "1.0-linux-notes", ""},
		{"1.0", "1.0-linux", ""},
		{"1.0", "1.0-", ""},
		{"1.0", "1.0", ""},
		{"1.0", "1.01-linux-amd64", ""},
		{"1.0", "1.0-rc1-linux-amd64", ""},
		{"1", "1-2-linux-amd64", ""},
		{"1", "1.0-linux-amd64", ""},
		{"1-2", "1-2-linux-amd64", "linux/amd64"},
	} {
		p, ok := candidate(tt.tag, tt.name)
		if got := p.String(); ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("tag %q: %q is %q, %v; want %q", tt.tag, tt.name, got, ok, tt.want)
		}
	}
}

// FuzzCandidate: what is taken for a platform makes exactly that name.
func FuzzCandidate(f *testing.F) {
	f.Add("linux-amd64")
	f.Add("windows-amd64-10.0-a-b")
	f.Add("linux-arm64-v9-x")
	f.Fuzz(func(t *testing.T, suffix string) {
		p, ok := suffixPlatform(suffix)
		if !ok {
			return
		}
		name, err := Tag("1", p)
		if err != nil && !strings.Contains(err.Error(), "characters") {
			t.Fatal(err)
		}
		if err == nil && name != "1-"+suffix {
			t.Errorf("%q became %q", suffix, name)
		}
	})
}
