package acceptance

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/multipack/multipack/testhelpers/regtest"
)

// outcome is how one run of the program ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// home is shared by all runs of these tests, so that a layer is made once.
func home(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(filepath.Dir(binary), "home")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// publishTo publishes the sample under acme/bp:1 with a label that makes it
// another index, and answers how that ended.
func publishTo(t *testing.T, r *regtest.Registry, label string, flags ...string) outcome {
	t.Helper()
	args := append([]string{
		"buildpack", "package", r.Host() + "/acme/bp:1", "--path", filepath.Join("..", "samples", "hello-shell"), "--publish", "--label", "is=" + label,
	}, flags...)
	cmd := command(t.Context(), home(t), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

// mustPublish is publishTo that has to work; it answers the digest.
func mustPublish(t *testing.T, r *regtest.Registry, label string) string {
	t.Helper()
	o := publishTo(t, r, label)
	_, digest, ok := strings.Cut(strings.TrimSpace(o.stdout), "@")
	if o.code != 0 || !ok {
		t.Fatalf("exit code %d: %s%s", o.code, o.stdout, o.stderr)
	}
	return digest
}

// tagged is the digest of acme/bp:1. Everything below it has to be there.
func tagged(t *testing.T, r *regtest.Registry) string {
	t.Helper()
	d, err := remote.Get(r.Repo("acme/bp").Tag("1"))
	if err != nil {
		t.Fatal(err)
	}
	idx := remoteIndex(t, r.Host()+"/acme/bp@"+d.Digest.String())
	if n := len(held(t, idx)); n != 2 {
		t.Fatalf("the index holds %d images", n)
	}
	return d.Digest.String()
}

// ways are the ways in which one request may fail.
var ways = map[string]regtest.Fault{
	"refused":     {Status: http.StatusForbidden},
	"broken":      {Status: http.StatusInternalServerError},
	"busy":        {Status: http.StatusTooManyRequests, RetryAfter: "0"},
	"cut":         {CutUpload: -1},
	"cut upload":  {CutUpload: 100},
	"lost answer": {CutDownload: -1},
	"strange":     {Status: http.StatusOK, Body: "<html>captive portal</html>"},
	// From one request on: a single answer of this kind only makes the program ask
	// for the way to authenticate.
	"unauthorised": {Status: http.StatusUnauthorized, Times: -1},
}

// codes are the exit codes that a failure may end in. Where the registry's
// answers are strange, it may be told that what was believed is not there.
func codes(way string) []int {
	if way == "strange" {
		return []int{1, 3, 4}
	}
	return []int{1, 4}
}

// passing are those that a further try may mend.
var passing = []string{"broken", "busy", "cut", "cut upload", "lost answer"}

// TestAnyRequestMayFail fails each request of a publish in each way, without
// further tries. Either the program says that it failed, and the tag is what it
// was, or it says that it worked, and the tag is the new index; whole in any case.
func TestAnyRequestMayFail(t *testing.T) {
	t.Parallel()
	clean := regtest.New(t)
	before := mustPublish(t, clean, "old")
	clean.Reset()
	after := mustPublish(t, clean, "new")
	logged(clean)
	requests := len(clean.Requests())
	if requests < 10 || before == after {
		t.Fatalf("%d requests, '%s' and '%s'", requests, before, after)
	}
	for way, f := range ways {
		if way == "busy" {
			continue // without further tries it is as good as broken
		}
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			failed := 0
			for n := range requests {
				r := regtest.New(t)
				mustPublish(t, r, "old")
				f.Skip = n
				r.Inject(f)
				o := publishTo(t, r, "new", "--retries", "0")
				r.Heal()
				switch now := tagged(t, r); {
				case o.code == 0 && now != after:
					t.Errorf("request %d: it says that it worked, and the tag is '%s'", n, now)
				case o.code != 0 && now != before && (way != "lost answer" || now != after):
					t.Errorf("request %d: it says that it failed, and the tag is '%s': %s", n, now, o.stderr)
				case o.code != 0 && (o.stdout != "" || !strings.Contains(o.stderr, "ERROR: ") || !strings.Contains(o.stderr, r.Host())):
					t.Errorf("request %d: exit code %d, stdout %q, stderr %q", n, o.code, o.stdout, o.stderr)
				case o.code != 0 && !slices.Contains(codes(way), o.code):
					t.Errorf("request %d: exit code %d: %s", n, o.code, o.stderr)
				}
				if o.code != 0 {
					failed++
				}
				_ = r.Close()
			}
			if failed < 3 {
				t.Errorf("%d of %d runs failed: the failures do not reach the program", failed, requests)
			}
		})
	}
}

// TestEveryRequestIsTriedAgain fails the first try of every request of a publish.
func TestEveryRequestIsTriedAgain(t *testing.T) {
	t.Parallel()
	clean := regtest.New(t)
	want := mustPublish(t, clean, "new")
	logged(clean)
	for _, way := range passing {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			r := regtest.New(t)
			for _, f := range each(clean.Requests(), ways[way]) {
				r.Inject(f)
			}
			o := publishTo(t, r, "new")
			if o.code != 0 || !strings.Contains(o.stdout, want) {
				t.Fatalf("exit code %d, stdout %q, stderr %q", o.code, o.stdout, o.stderr)
			}
			r.Heal()
			if got := tagged(t, r); got != want {
				t.Errorf("the tag is '%s', want '%s'", got, want)
			}
		})
	}
}

// each is the failure for each of the requests. The one that starts a run is
// left out: it is how a registry is found at all, over HTTPS and then not.
func each(requests []regtest.Request, f regtest.Fault) []regtest.Fault {
	upload := regexp.MustCompile(`/blobs/uploads/.+`)
	var out []regtest.Fault
	for _, q := range requests {
		if q.Path == "/v2/" {
			continue
		}
		f.Method, f.Path = q.Method, "^"+regexp.QuoteMeta(q.Path)+"$"
		if upload.MatchString(q.Path) {
			f.Path = "^" + regexp.QuoteMeta(upload.ReplaceAllString(q.Path, "/blobs/uploads/")) + ".+$"
		}
		out = append(out, f)
	}
	return out
}

// TestRegistryThatDies kills the distribution registry at requests all through a
// publish, the last ones above all. Started again on the same disk, it has the tag that it had, and the
// next run brings the new one.
func TestRegistryThatDies(t *testing.T) {
	t.Parallel()
	clean := regtest.Distribution(t)
	before := mustPublish(t, clean, "old")
	clean.Reset()
	after := mustPublish(t, clean, "new")
	logged(clean)
	requests := len(clean.Requests())
	if requests < 14 {
		t.Fatalf("%d requests", requests)
	}
	for _, n := range slices.Compact([]int{0, 1, 4, 7, 10, requests - 3, requests - 2, requests - 1}) {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			disk := t.TempDir()
			dying := regtest.Distribution(t, regtest.Storage(disk))
			mustPublish(t, dying, "old")
			dying.Inject(regtest.Fault{Skip: n, Hit: dying.Kill})
			o := publishTo(t, dying, "new", "--retries", "0")
			if o.code != 1 || o.stdout != "" || !strings.Contains(o.stderr, dying.Host()) {
				t.Errorf("exit code %d, stdout %q, stderr %q", o.code, o.stdout, o.stderr)
			}
			risen := regtest.Distribution(t, regtest.Storage(disk))
			if got := tagged(t, risen); got != before && (n < requests-1 || got != after) {
				t.Errorf("the tag is '%s', it was '%s'", got, before)
			}
			mustPublish(t, risen, "new")
			if got := tagged(t, risen); got != after {
				t.Errorf("the tag is '%s', want '%s'", got, after)
			}
		})
	}
}
