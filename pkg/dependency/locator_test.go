package dependency_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/dependency"
	"github.com/multipack/multipack/pkg/reference"
)

// paths are what exists in these tests; a trailing slash makes a folder.
func paths(list ...string) reference.Stat {
	return func(p string) (exists, isDir bool) {
		for _, have := range list {
			if filepath.Clean(p) == strings.TrimSuffix(have, "/") {
				return true, strings.HasSuffix(have, "/")
			}
		}
		return false, false
	}
}

func TestLocators(t *testing.T) {
	t.Parallel()
	stat := paths("conf/bp/", "conf/bp/buildpack.toml", "conf/x.cnb", "conf/acme/one/", "conf/acme/one/buildpack.toml",
		"conf/out/", "conf/out/oci-layout", "conf/out/index.json", "conf/both/", "conf/both/index.json", "conf/both/buildpack.toml", "/abs/x.tgz")
	for given, want := range map[string]string{
		"bp":                                 "blob conf/bp",
		"./bp":                               "blob conf/bp",
		"../conf/bp":                         "blob conf/bp",
		"x.cnb":                              "blob conf/x.cnb",
		"/abs/x.tgz":                         "blob /abs/x.tgz",
		"acme/one":                           "blob conf/acme/one",
		"both":                               "blob conf/both",
		"out":                                "OCI layout conf/out",
		"./out:1.0":                          "OCI layout conf/out 1.0",
		"oci:out:1.0":                        "OCI layout conf/out 1.0",
		"oci-layout://out":                   "OCI layout conf/out",
		"oci-layout:///abs/layout:2":         "OCI layout /abs/layout 2",
		"oci-archive:x.tar:a/b:1":            "OCI archive conf/x.tar a/b:1",
		"docker-archive:x.tar":               "docker archive conf/x.tar",
		"docker://localhost:5000/acme/one:1": "registry localhost:5000/acme/one:1",
		"docker://acme/one":                  "registry index.docker.io/acme/one:latest",
		"localhost:5000/acme/one:1":          "registry localhost:5000/acme/one:1",
		"acme/one:1":                         "registry index.docker.io/acme/one:1",
		"ghcr.io/acme/one":                   "registry ghcr.io/acme/one:latest",
		"docker-daemon:acme/one":             "docker daemon index.docker.io/acme/one:latest",
		"local:mine":                         "local list index.docker.io/library/mine:latest",
		"https://example.test/bp.tgz":        "blob https://example.test/bp.tgz",
		"file:///abs/bp":                     "blob file:///abs/bp",
		"urn:cnb:registry:acme/one@1.2.3":    "id acme/one@1.2.3",
		"urn:cnb:registry:acme/one":          "id acme/one",
		"acme/other":                         "id acme/other",
		"acme/other@1.2.3-rc.1+b":            "id acme/other@1.2.3-rc.1+b",
		"acme/one@sha256:" + strings.Repeat("a", 64): "registry index.docker.io/acme/one@sha256:" + strings.Repeat("a", 64),
	} {
		l, err := dependency.Parse(buildpack.Dependency{URI: given}, "conf", stat)
		if err != nil {
			t.Errorf("%s: %v", given, err)
			continue
		}
		if got := show(l); got != want {
			t.Errorf("%s: got '%s', want '%s'", given, got, want)
		}
		if l.Given != given {
			t.Errorf("%s is called '%s'", given, l.Given)
		}
	}
}

func show(l dependency.Locator) string {
	switch l.Kind {
	case dependency.Blob:
		return "blob " + filepath.ToSlash(l.URI)
	case dependency.Registry:
		return "id " + l.ID.String()
	}
	s := l.Ref.Kind.String()
	if l.Ref.Path != "" {
		s += " " + filepath.ToSlash(l.Ref.Path)
		if l.Ref.Tag != "" {
			s += " " + l.Ref.Tag
		}
		return s
	}
	return s + " " + l.Ref.Name.Name()
}

func TestSecretsOfLocators(t *testing.T) {
	t.Parallel()
	l, err := dependency.Parse(buildpack.Dependency{URI: "https://user:hunter2@example.test/bp.tgz?token=hunter3"}, "conf", nil)
	if err != nil || l.Given != "https://example.test/bp.tgz" || !strings.Contains(l.URI, "hunter2") {
		t.Errorf("got %+v, %v", l, err)
	}
}

func TestLocatorOfTheImageKey(t *testing.T) {
	t.Parallel()
	for _, given := range []string{"acme/one", "docker://acme/one"} {
		l, err := dependency.Parse(buildpack.Dependency{Image: given}, "conf", paths("conf/acme/one/"))
		if err != nil || show(l) != "registry index.docker.io/acme/one:latest" || !l.Deprecated {
			t.Errorf("%s: got %+v, %v", given, l, err)
		}
	}
}

func TestBadLocators(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]struct {
		kind fault.Kind
		text string
	}{
		"from=builder":                {fault.Usage, "cannot take modules from a builder"},
		"from=builder:acme/one":       {fault.Usage, "cannot take modules from a builder"},
		"urn:cnb:builder:acme/one":    {fault.Usage, "cannot take modules from a builder"},
		"urn:cnb:registry:one":        {fault.Usage, "it is no id of a CNB registry"},
		"urn:cnb:registry:../one":     {fault.Usage, "it is no id of a CNB registry"},
		"urn:cnb:registry:a/b/c":      {fault.Usage, "it is no id of a CNB registry"},
		"./gone":                      {fault.NotFound, "there is no 'conf/gone'"},
		"../gone.cnb":                 {fault.NotFound, "there is no 'gone.cnb'"},
		"gone.tgz":                    {fault.NotFound, "there is no 'conf/gone.tgz'"},
		"/gone":                       {fault.NotFound, "there is no '/gone'"},
		"ftp://example.test/x.tgz":    {fault.Usage, "reading the dependency 'ftp://example.test/x.tgz'"},
		"docker://Acme/One":           {fault.Usage, "lower case"},
		"oci-layout:x.tar":            {fault.Usage, "an OCI layout is 'oci-layout://PATH'"},
		"acme/one:":                   {fault.Usage, "reading the dependency 'acme/one:'"},
		"docker://acme/one@sha256:ab": {fault.Usage, "is no digest"},
	} {
		_, err := dependency.Parse(buildpack.Dependency{URI: given}, "conf", paths())
		if !fault.Is(err, want.kind) || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%s: got %v", given, err)
		}
	}
}

func TestPullPolicies(t *testing.T) {
	t.Parallel()
	for _, given := range []string{"", "always", "if-not-present", "never"} {
		if p, err := dependency.ParsePull(given); err != nil || string(p) != given {
			t.Errorf("%s: %v", given, err)
		}
	}
	if _, err := dependency.ParsePull("sometimes"); !fault.Is(err, fault.Usage) {
		t.Errorf("got %v", err)
	}
}
