package publish_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// registries are the two kinds that everything has to work with.
var registries = map[string]func(testing.TB, ...regtest.Option) *regtest.Registry{
	"strict": regtest.New, "distribution": regtest.Distribution,
}

// newClient is a client that knows nothing of earlier runs and does not wait.
func newClient(t testing.TB) *registry.Client {
	t.Helper()
	c, err := registry.New(registry.Config{
		Retries: 2, Getenv: func(string) string { return "" }, Backoff: func(int) time.Duration { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

func publisher(t testing.TB) *publish.Registry { return &publish.Registry{Client: newClient(t)} }

// ref parses s, for which nothing exists yet.
func ref(t testing.TB, s string) reference.Ref {
	t.Helper()
	r, err := reference.Parse(s, func(path string) (bool, bool) {
		info, err := os.Stat(path)
		return err == nil, err == nil && info.IsDir()
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func to(t testing.TB, s string) publish.Target { return publish.Target{Ref: ref(t, s)} }

func must(t testing.TB, p publish.Publisher, a manifest.Artifact, target publish.Target) publish.Report {
	t.Helper()
	r, err := p.Publish(t.Context(), a, target)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func digest(t testing.TB, a interface{ Digest() (v1.Hash, error) }) v1.Hash {
	t.Helper()
	h, err := a.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// tagged is the digest that a tag points at, the zero hash for none.
func tagged(t testing.TB, reg *regtest.Registry, repo, tag string) v1.Hash {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, reg.URL()+"/v2/"+repo+"/manifests/"+tag, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, mt := range []types.MediaType{types.OCIImageIndex, types.OCIManifestSchema1, types.DockerManifestList, types.DockerManifestSchema2} {
		req.Header.Add("Accept", string(mt))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return v1.Hash{}
	}
	h, _, err := v1.SHA256(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// checkRemote reads everything below a tag back and checks every digest.
func checkRemote(t testing.TB, reg *regtest.Registry, repo, tag string, want manifest.Artifact) {
	t.Helper()
	d, err := remote.Get(reg.Repo(repo).Tag(tag))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := want.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	if string(d.Manifest) != string(raw) {
		t.Errorf("the tag has other bytes:\n%s\n%s", d.Manifest, raw)
	}
	if !d.MediaType.IsIndex() {
		img, err := d.Image()
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(img); err != nil {
			t.Error(err)
		}
		return
	}
	idx, err := d.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(idx); err != nil {
		t.Error(err)
	}
}

// writes are the log's requests that could change something.
func writes(reg *regtest.Registry) []string {
	var out []string
	for _, q := range reg.Requests() {
		if q.Method != http.MethodGet && q.Method != http.MethodHead {
			out = append(out, q.Method+" "+q.Path)
		}
	}
	return out
}

// uploads are the requests that carried blobs' bytes.
func uploads(reg *regtest.Registry) int {
	n := 0
	for _, q := range reg.Requests() {
		if strings.Contains(q.Path, "/blobs/uploads/") && q.BytesIn > 0 {
			n++
		}
	}
	return n
}

// run runs a program that reads what was written; the test is skipped where it
// is not installed.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed", program)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}
