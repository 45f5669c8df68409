package platform

import (
	"testing"

	"github.com/multipack/multipack/internal/fault"
)

func TestWith(t *testing.T) {
	t.Parallel()
	set := func(s string) *string { return &s }
	windows := Platform{OS: "windows", Arch: "amd64", OSVersion: "10.0.20348.1970", Features: "win32k"}
	for _, test := range []struct {
		name string
		from Platform
		c    Change
		want Platform
	}{
		{"nothing", Platform{OS: "linux", Arch: "arm64", Variant: "v8"}, Change{}, Platform{OS: "linux", Arch: "arm64", Variant: "v8"}},
		{"aliases", Platform{}, Change{OS: set("macOS"), Arch: set("x86_64")}, Platform{OS: "darwin", Arch: "amd64"}},
		{"alias that says a variant", Platform{}, Change{OS: set("linux"), Arch: set("armel")}, Platform{OS: "linux", Arch: "arm", Variant: "v6"}},
		{"no variant is said", Platform{}, Change{OS: set("linux"), Arch: set("arm")}, Platform{OS: "linux", Arch: "arm"}},
		{"a variant that is said stays", Platform{OS: "linux", Arch: "arm64"}, Change{Variant: set("v8")}, Platform{OS: "linux", Arch: "arm64", Variant: "v8"}},
		{"short variants", Platform{OS: "linux", Arch: "arm"}, Change{Variant: set("7")}, Platform{OS: "linux", Arch: "arm", Variant: "v7"}},
		{"variant goes with its architecture", Platform{OS: "linux", Arch: "arm", Variant: "v6"}, Change{Arch: set("arm64")}, Platform{OS: "linux", Arch: "arm64"}},
		{"the same architecture keeps it", Platform{OS: "linux", Arch: "arm", Variant: "v6"}, Change{Arch: set("arm")}, Platform{OS: "linux", Arch: "arm", Variant: "v6"}},
		{"version goes with its os", windows, Change{OS: set("linux")}, Platform{OS: "linux", Arch: "amd64"}},
		{"cleared", windows, Change{OSVersion: set(""), ClearFeatures: true}, Platform{OS: "windows", Arch: "amd64"}},
		{"features", windows, Change{Features: []string{"b,a", "b"}}, Platform{OS: "windows", Arch: "amd64", OSVersion: windows.OSVersion, Features: "a,b"}},
	} {
		got, err := test.from.With(test.c)
		if err != nil || got != test.want {
			t.Errorf("%s: %+v, %v; want %+v", test.name, got, err, test.want)
		}
	}
	for name, c := range map[string]Change{
		"unknown os":      {OS: set("lunix"), Arch: set("amd64")},
		"unknown variant": {OS: set("linux"), Arch: set("amd64"), Variant: set("v7")},
		"os alone":        {OS: set("linux")},
		"arch alone":      {Arch: set("amd64")},
		"nothing":         {Variant: set("v7")},
		"version":         {OS: set("windows"), Arch: set("amd64"), OSVersion: set("10 0")},
	} {
		if got, err := (Platform{}).With(c); !fault.Is(err, fault.Usage) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestContradicts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		p, q Platform
		want bool
	}{
		{Platform{OS: "linux", Arch: "amd64"}, Platform{OS: "linux", Arch: "x86_64"}, false},
		{Platform{OS: "linux", Arch: "arm64", Variant: "v8"}, Platform{OS: "linux", Arch: "arm64"}, false},
		{Platform{OS: "linux", Arch: "arm"}, Platform{OS: "linux", Arch: "arm", Variant: "v6"}, true},
		{Platform{OS: "linux", Arch: "arm64"}, Platform{OS: "linux", Arch: "amd64"}, true},
		{Platform{OS: "linux"}, Platform{Arch: "amd64"}, false},
		{Platform{OS: "windows", Arch: "amd64"}, Platform{OS: "windows", Arch: "amd64", OSVersion: "10.0.1"}, false},
		{Platform{OS: "windows", Arch: "amd64", OSVersion: "10.0.2"}, Platform{OS: "windows", Arch: "amd64", OSVersion: "10.0.1"}, true},
		{Platform{Features: "a"}, Platform{Features: "b"}, true},
	} {
		if test.p.Contradicts(test.q) != test.want || test.q.Contradicts(test.p) != test.want {
			t.Errorf("%+v and %+v: not %v", test.p, test.q, test.want)
		}
	}
}
