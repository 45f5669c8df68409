package commands_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/commands"
	"github.com/multipack/multipack/pkg/layer"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// machine is where the program runs: a home of its own.
type machine struct {
	t    *testing.T
	home string
}

func newMachine(t *testing.T) machine { return machine{t, t.TempDir()} }

func (m machine) layers() string { return filepath.Join(m.home, "cache", "layers") }

// run runs the program in this process.
func (m machine) run(args ...string) (code int, stdout, stderr string) {
	m.t.Helper()
	var out, errs bytes.Buffer
	env := map[string]string{"HOME": m.home, "MULTIPACK_CACHE": filepath.Join(m.home, "cache"), "TMPDIR": m.t.TempDir()}
	app := &commands.App{
		In: strings.NewReader(""), Out: &out, Err: &errs, Now: time.Now, Version: "test",
		Getenv: func(key string) string { return env[key] },
	}
	code = app.Run(m.t.Context(), append([]string{"multipack"}, args...))
	if left, err := os.ReadDir(env["TMPDIR"]); err != nil || len(left) != 0 {
		m.t.Errorf("temporary files are left: %v, %v", left, err)
	}
	return code, out.String(), errs.String()
}

// digest is what a run printed behind the name that it wrote.
func (m machine) digest(args ...string) (digest, stderr string) {
	m.t.Helper()
	code, stdout, stderr := m.run(args...)
	_, digest, ok := strings.Cut(strings.TrimSpace(stdout), "@")
	if code != 0 || !ok || strings.Contains(digest, "\n") {
		m.t.Fatalf("%v: exit code %d, stdout %q, stderr %q", args, code, stdout, stderr)
	}
	return digest, stderr
}

// archive is a buildpack as an archive, whose content is its identity: the cache
// knows it from the first time on.
func archive(t *testing.T, content string) string {
	t.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	for _, f := range []struct{ name, text string }{
		{"buildpack.toml", "api = \"0.10\"\n[buildpack]\nid = \"acme/cached\"\nversion = \"1.0.0\"\n[[targets]]\nos = \"linux\"\narch = \"amd64\"\n"},
		{"bin/build", "#!/bin/sh\n" + content}, {"bin/detect", "#!/bin/sh\n"},
	} {
		if err := tw.WriteHeader(&tar.Header{Name: f.name, Mode: 0o755, Size: int64(len(f.text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, f.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bp.tgz")
	if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// poison makes every entry of the cache a wrong one, of the right form.
func (m machine) poison() {
	m.t.Helper()
	files, err := os.ReadDir(m.layers())
	if err != nil || len(files) == 0 {
		m.t.Fatalf("the cache holds %v, %v", files, err)
	}
	cache := layer.NewFileCache(m.layers(), 100)
	for _, f := range files {
		key := strings.TrimSuffix(f.Name(), ".json")
		h := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("ab", 32)}
		cache.Put(key, layer.Known{DiffID: h, Digest: h, Size: 7})
		if got, ok := cache.Get(key); !ok || got.Digest != h {
			m.t.Fatalf("'%s' is still right: %v", key, got)
		}
	}
}

const compressed = "Compressed "

// What was packaged before is neither read nor compressed again, where the
// destination has it.
func TestPackagingAgainCompressesNothing(t *testing.T) {
	t.Parallel()
	m, r, bp := newMachine(t), regtest.New(t), archive(t, "one")
	publish := []string{"buildpack", "package", r.Host() + "/acme/bp:1", "--path", bp, "--publish"}
	first, stderr := m.digest(publish...)
	if strings.Count(stderr, compressed) != 1 {
		t.Errorf("the first time said %q", stderr)
	}
	for _, args := range [][]string{publish, append(publish, "--dry-run"), append(publish, "--append")} {
		again, stderr := m.digest(args...)
		if again != first && args[len(args)-1] != "--append" {
			t.Errorf("%v: digest %s, want %s", args, again, first)
		}
		if strings.Contains(stderr, compressed) {
			t.Errorf("%v compressed again: %q", args, stderr)
		}
	}
	// Elsewhere the content is needed, and is the same.
	elsewhere, stderr := m.digest("buildpack", "package", r.Host()+"/other/bp:1", "--path", bp, "--publish")
	if elsewhere != first || strings.Count(stderr, compressed) != 1 {
		t.Errorf("digest %s, want %s; stderr %q", elsewhere, first, stderr)
	}
	// Other content is another key.
	changed, stderr := m.digest("buildpack", "package", r.Host()+"/acme/bp:2", "--path", archive(t, "two"), "--publish")
	if changed == first || strings.Count(stderr, compressed) != 1 {
		t.Errorf("digest %s for other content; stderr %q", changed, stderr)
	}
	// Without the cache it is the same digest again.
	if err := os.RemoveAll(m.layers()); err != nil {
		t.Fatal(err)
	}
	if fresh, stderr := m.digest(publish...); fresh != first || strings.Count(stderr, compressed) != 1 {
		t.Errorf("digest %s, want %s; stderr %q", fresh, first, stderr)
	}
}

// A wrong cache costs time and nothing else, whatever the destination.
func TestPackagingHealsAWrongCache(t *testing.T) {
	t.Parallel()
	m, r, bp := newMachine(t), regtest.New(t), archive(t, "one")
	want, _ := m.digest("buildpack", "package", "oci-layout://"+filepath.Join(t.TempDir(), "first:x"), "--path", bp)
	for name, args := range map[string][]string{
		"registry": {r.Host() + "/acme/bp:1", "--publish"},
		"append":   {r.Host() + "/acme/appended:1", "--publish", "--append"},
		"layout":   {"oci-layout://" + filepath.Join(t.TempDir(), "layout:x")},
		"archive":  {"oci-archive:" + filepath.Join(t.TempDir(), "archive.tar")},
		"file":     {filepath.Join(t.TempDir(), "bp.cnb")},
	} {
		m.poison()
		got, stderr := m.digest(append([]string{"buildpack", "package", "--path", bp}, args...)...)
		if got != want && name != "append" {
			t.Errorf("%s: digest %s, want %s", name, got, want)
		}
		if strings.Count(stderr, compressed) != 1 || strings.Contains(stderr, "ERROR") {
			t.Errorf("%s: stderr %q", name, stderr)
		}
		if again, stderr := m.digest("buildpack", "package", "--dry-run", "--publish", "--path", bp, args[0]); strings.Contains(stderr, compressed) || again != want && name != "append" {
			t.Errorf("%s: it did not heal: digest %s, stderr %q", name, again, stderr)
		}
	}
	if r.Count("PUT", "/manifests/1$") != 2 {
		t.Errorf("%d tags were written, want 2", r.Count("PUT", "/manifests/1$"))
	}
}

// What goes to standard output cannot be taken back, so the cache is not asked.
func TestStandardOutputNeedsNoCache(t *testing.T) {
	t.Parallel()
	m, bp := newMachine(t), archive(t, "one")
	m.digest("buildpack", "package", "oci-layout://"+filepath.Join(t.TempDir(), "first:x"), "--path", bp)
	m.poison()
	code, stdout, stderr := m.run("buildpack", "package", "-", "--path", bp)
	if code != 0 || !strings.Contains(stdout, "oci-layout") || strings.Count(stderr, compressed) != 1 {
		t.Errorf("exit code %d, %d bytes, stderr %q", code, len(stdout), stderr)
	}
}
