package dependency_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/dependency"
)

const hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// line is one line of an index.
func line(id, version string, yanked bool) string {
	ns, name, _ := strings.Cut(id, "/")
	return fmt.Sprintf("{\"ns\":%q,\"name\":%q,\"version\":%q,\"yanked\":%t,\"addr\":\"ghcr.io/%s@sha256:%s\"}\n", ns, name, version, yanked, id, version2hex(version))
}

// version2hex makes addresses of versions differ.
func version2hex(version string) string { return fmt.Sprintf("%x", version+hex)[:64] }

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// sampleIndex is an index with the layout of registry-index.
func sampleIndex(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for file, text := range map[string]string{
		"no/de/acme_nodejs": line("acme/nodejs", "1.9.0", false) + line("acme/nodejs", "1.10.0", false) + line("acme/nodejs", "2.0.0", true) + line("acme/nodejs", "1.2.0", false),
		"3/fo/acme_foo":     line("acme/foo", "0.0.1", false),
		"2/acme_ab":         line("acme/ab", "1.0.0", false),
		"1/acme_a":          line("acme/a", "1.0.0", false),
		"ya/nk/acme_yanked": line("acme/yanked", "1.0.0", false) + line("acme/yanked", "1.0.0", true),
		"br/ok/acme_broken": "{\"ns\":\"acme\"\n",
		"un/di/acme_undigested": `{"ns":"acme","name":"undigested","version":"1.0.0","yanked":false,"addr":"ghcr.io/acme/undigested:1"}
`,
	} {
		writeFile(t, filepath.Join(dir, filepath.FromSlash(file)), text)
	}
	return dir
}

func locate(t *testing.T, x *dependency.Index, s string) (dependency.Location, error) {
	t.Helper()
	id, err := dependency.ParseID(s)
	if err != nil {
		t.Fatal(err)
	}
	return x.Locate(t.Context(), id)
}

func checkSample(t *testing.T, x *dependency.Index) {
	t.Helper()
	for id, version := range map[string]string{
		"acme/nodejs": "1.10.0", "acme/nodejs@1.9.0": "1.9.0", "acme/nodejs@2.0.0": "2.0.0",
		"acme/foo": "0.0.1", "acme/ab": "1.0.0", "acme/a": "1.0.0", "acme/yanked@1.0.0": "1.0.0",
	} {
		name, _, _ := strings.Cut(id, "@")
		at, err := locate(t, x, id)
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		if want := "ghcr.io/" + name + "@sha256:" + version2hex(version); at.Ref.Name.Name() != want {
			t.Errorf("%s is at '%s', want '%s'", id, at.Ref.Name.Name(), want)
		}
		if yanked := id == "acme/nodejs@2.0.0" || id == "acme/yanked@1.0.0"; yanked != (len(at.Warnings) == 1) {
			t.Errorf("%s: warnings %q", id, at.Warnings)
		}
	}
	for id, want := range map[string]string{
		"acme/gone":         "has no buildpack 'acme/gone'",
		"acme/nodejs@3.0.0": "has no version '3.0.0' of 'acme/nodejs' (versions found: 1.2.0, 2.0.0 (yanked), 1.10.0, 1.9.0)",
		"acme/yanked":       "has no version of 'acme/yanked' that is not yanked",
	} {
		if _, err := locate(t, x, id); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", id, err)
		}
	}
	for id, want := range map[string]string{
		"acme/broken":     "reading 'br/ok/acme_broken' of CNB registry",
		"acme/undigested": "the address 'ghcr.io/acme/undigested:1' is no image name with a digest",
	} {
		if _, err := locate(t, x, id); !fault.Is(err, fault.Failed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", id, err)
		}
	}
}

func open(t *testing.T, o dependency.IndexOptions) *dependency.Index {
	t.Helper()
	x, err := dependency.OpenIndex(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestIndexInAFolder(t *testing.T) {
	t.Parallel()
	checkSample(t, open(t, dependency.IndexOptions{Registry: sampleIndex(t)}))
}

// The newest version is that of semantic versioning; what is none is skipped.
func TestNewestVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		versions, newest string
	}{
		{"1.9.0 1.10.0 1.2.0", "1.10.0"},
		{"1.2.3-rc.1 1.2.3 1.2.3-rc.2", "1.2.3"},
		{"1.2.3-rc.10 1.2.3-rc.9", "1.2.3-rc.10"},
		{"1.2.3-alpha 1.2.3-1", "1.2.3-alpha"},
		{"1.2.3-rc.1 1.2.3-rc", "1.2.3-rc.1"},
		{"0.9.9 1.0.0-rc.1", "1.0.0-rc.1"},
		{"1.0.0 18446744073709551615.0.0", "18446744073709551615.0.0"},
		// Build metadata decides nothing: the first of equals stays.
		{"1.2.3+a 1.2.3+b 1.2.3", "1.2.3+a"},
		{"1.2.3-rc.1+b.2 1.2.3-rc.0+z", "1.2.3-rc.1+b.2"},
		{"0.1.0 9 9.9 v9.0.0 V9.0.0 09.0.0 9.00.0 9.0.0.0 9.0.0-01 9.0.0- 9.0.0+ 9.0.0-a..b 9.0.0-a_b 9.0.0+a_b 9.x.0 -9.0.0 latest ~9.0.0", "0.1.0"},
		{"9 9.9 v9.0.0 09.0.0 latest", ""},
	} {
		dir, text := t.TempDir(), ""
		for v := range strings.FieldsSeq(c.versions) {
			text += line("acme/foo", v, false)
		}
		writeFile(t, filepath.Join(dir, "3", "fo", "acme_foo"), text)
		at, err := locate(t, open(t, dependency.IndexOptions{Registry: dir}), "acme/foo")
		if c.newest == "" {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: got %v, %v", c.versions, at, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.versions, err)
		} else if want := version2hex(c.newest); !strings.HasSuffix(at.Ref.Name.Name(), want) {
			t.Errorf("%s: got '%s', want the one of '%s'", c.versions, at.Ref.Name.Name(), c.newest)
		}
	}
}

// git runs git without the machine's configuration.
func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.test", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.test")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// sampleRepository is the sample index in a git repository.
func sampleRepository(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git program")
	}
	dir := sampleIndex(t)
	git(t, dir, "init", "-q", "-b", "main")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "index")
	return dir
}

func TestIndexInARepository(t *testing.T) {
	t.Parallel()
	dir := sampleRepository(t)
	url := "file://" + filepath.ToSlash(dir)
	cache := t.TempDir()
	x := open(t, dependency.IndexOptions{Registry: url, CacheDir: cache})
	checkSample(t, x)

	// What is committed later is seen by who opens the index later, and by nobody else.
	writeFile(t, filepath.Join(dir, "ne", "we", "acme_newer"), line("acme/newer", "1.0.0", false))
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "more")
	again := open(t, dependency.IndexOptions{Registry: url, CacheDir: cache})
	if _, err := locate(t, again, "acme/newer"); err != nil {
		t.Error(err)
	}
	if _, err := locate(t, x, "acme/newer"); !fault.Is(err, fault.NotFound) {
		t.Errorf("the index changed under its reader: %v", err)
	}

	// A branch that was rewritten is followed.
	git(t, dir, "commit", "-q", "--amend", "-m", "rewritten")
	checkSample(t, open(t, dependency.IndexOptions{Registry: url, CacheDir: cache}))

	// A bare repository is read where it is.
	bare := filepath.Join(t.TempDir(), "bare.git")
	git(t, dir, "clone", "-q", "--bare", dir, bare)
	checkSample(t, open(t, dependency.IndexOptions{Registry: bare}))
}

// Versions that are named can be had from the clone when its origin is gone; the
// newest cannot, for nobody knows which it is.
func TestIndexWhoseOriginIsGone(t *testing.T) {
	t.Parallel()
	dir := sampleRepository(t)
	o := dependency.IndexOptions{Registry: "file://" + filepath.ToSlash(dir), CacheDir: t.TempDir()}
	open(t, o)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	x := open(t, o)
	at, err := locate(t, x, "acme/nodejs@1.9.0")
	if err != nil || len(at.Warnings) != 1 || !strings.Contains(at.Warnings[0], "an older copy of CNB registry") {
		t.Errorf("got %v, %v", at, err)
	}
	if _, err := locate(t, x, "acme/nodejs"); !fault.Is(err, fault.Failed) || !strings.Contains(err.Error(), "looking up the newest version of 'acme/nodejs': updating CNB registry") {
		t.Errorf("got %v", err)
	}
	o.CacheDir = t.TempDir()
	if _, err := dependency.OpenIndex(t.Context(), o); !fault.Is(err, fault.Failed) || !strings.Contains(err.Error(), "git says: ") {
		t.Errorf("got %v", err)
	}
}

// A clone that is damaged is made anew.
func TestDamagedCloneIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := sampleRepository(t)
	o := dependency.IndexOptions{Registry: "file://" + filepath.ToSlash(dir), CacheDir: t.TempDir()}
	open(t, o)
	packs, err := filepath.Glob(filepath.Join(o.CacheDir, "registries", "*.git", "objects"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("got %v, %v", packs, err)
	}
	if err := os.RemoveAll(packs[0]); err != nil {
		t.Fatal(err)
	}
	checkSample(t, open(t, o))
}

func TestCloneIsSharedByProcesses(t *testing.T) {
	t.Parallel()
	o := dependency.IndexOptions{Registry: "file://" + filepath.ToSlash(sampleRepository(t)), CacheDir: t.TempDir()}
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			x, err := dependency.OpenIndex(t.Context(), o)
			if err == nil {
				_, err = x.Locate(t.Context(), dependency.ID{Namespace: "acme", Name: "foo"})
			}
			errs[i] = err
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestRegistriesOfPacksConfiguration(t *testing.T) {
	t.Parallel()
	home, dir := t.TempDir(), sampleIndex(t)
	writeFile(t, filepath.Join(home, "config.toml"), fmt.Sprintf(`experimental = true
default-registry = "ours"
[[registries]]
name = "ours"
type = "git"
url = %q
[[registries]]
name = "theirs"
type = "github"
url = "/gone"
`, filepath.ToSlash(dir)))
	checkSample(t, open(t, dependency.IndexOptions{PackHome: home}))
	checkSample(t, open(t, dependency.IndexOptions{PackHome: home, Registry: "ours"}))
	for registry, want := range map[string]string{
		"theirs": "opening CNB registry 'theirs': there is no such folder",
		"nobody": "opening CNB registry 'nobody': pack's configuration names no such registry (names found: ours, theirs, official)",
		"./gone": "opening CNB registry './gone': there is no such folder",
	} {
		if _, err := dependency.OpenIndex(t.Context(), dependency.IndexOptions{PackHome: home, Registry: registry}); !fault.Is(err, fault.NotFound) || err.Error() != want {
			t.Errorf("%s: got %v", registry, err)
		}
	}
	file := filepath.Join(home, "config.toml")
	if _, err := dependency.OpenIndex(t.Context(), dependency.IndexOptions{Registry: file}); !fault.Is(err, fault.Usage) {
		t.Errorf("got %v", err)
	}
	writeFile(t, file, "registries = 1\n")
	if _, err := dependency.OpenIndex(t.Context(), dependency.IndexOptions{PackHome: home}); err == nil || !strings.Contains(err.Error(), "reading pack's configuration") {
		t.Errorf("got %v", err)
	}
}

// What is secret in a URL is in no message.
func TestSecretsOfURLs(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git program")
	}
	_, err := dependency.OpenIndex(t.Context(), dependency.IndexOptions{Registry: "http://user:hunter2@127.0.0.1:1/index.git", CacheDir: t.TempDir()})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}
