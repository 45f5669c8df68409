package local_test

import (
	"io"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/local"
	"github.com/multipack/multipack/pkg/manifest/store"
	"github.com/multipack/multipack/testhelpers/imgtest"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// listed is a list of one image that was added from a repository, its layers
// in the store where deep is set.
func listed(t *testing.T, reg *regtest.Registry, img v1.Image, deep bool, origins ...string) *local.Index {
	t.Helper()
	c := newClient(t)
	s := store.Open(t.TempDir(), store.Options{})
	x, h := tag("x"), must(img.Digest())
	if err := s.Ingest(t.Context(), x, img, deep); err != nil {
		t.Fatal(err)
	}
	var from []store.Origin
	for _, o := range origins {
		from = append(from, store.Origin{Digest: h, Ref: o})
	}
	return must(local.NewIndex(t.Context(), must(s.Create(t.Context(), x, must(manifest.Around(img)), store.CreateOptions{Origins: from})), c))
}

func TestAvailable(t *testing.T) {
	t.Parallel()
	img := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/amd64", Layers: 2})
	layers := must(img.Layers())
	h, first := must(img.Digest()), must(layers[0].Digest())
	origin := func(reg *regtest.Registry, repo string) string {
		return "docker://" + reg.Repo(repo).Digest(h.String()).Name()
	}
	gone := func(path string, status int) func(*regtest.Registry) {
		return func(reg *regtest.Registry) { reg.Inject(regtest.Fault{Path: path, Times: -1, Status: status}) }
	}
	for _, c := range []struct {
		name    string
		deep    bool
		repos   []string
		harm    func(*regtest.Registry)
		want    fault.Kind
		lookups int
	}{
		{name: "all in the store", deep: true, repos: []string{"one/app"}, harm: gone(".", 500)},
		{name: "in the registry", repos: []string{"one/app"}, lookups: 1},
		{name: "in the second repository", repos: []string{"none/app", "one/app"}, lookups: 2},
		{name: "manifest lost, layers there", repos: []string{"one/app"}, harm: gone("/manifests/", 404), lookups: 3},
		{name: "a layer lost too", repos: []string{"one/app"}, harm: gone("/manifests/|"+first.Hex, 404), want: fault.NotFound},
		{name: "all lost", repos: []string{"one/app"}, harm: gone("/v2/one", 404), want: fault.NotFound},
		{name: "refused", repos: []string{"one/app"}, harm: gone("/v2/one", 403), want: fault.Denied},
		{name: "broken", repos: []string{"one/app"}, harm: gone("/v2/one", 500), want: fault.Failed},
		{name: "from no registry", want: fault.NotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			reg := regtest.New(t)
			put(t, newClient(t), reg.Repo("one/app"), img)
			var origins []string
			for _, repo := range c.repos {
				origins = append(origins, origin(reg, repo))
			}
			idx := listed(t, reg, img, c.deep, origins...)
			if c.harm != nil {
				c.harm(reg)
			}
			reg.Reset()
			a := must(idx.Image(h))
			err := manifest.Available(t.Context(), a)
			if c.want == 0 && err != nil || c.want != 0 && !fault.Is(err, c.want) {
				t.Fatalf("%v, want kind %v", err, c.want)
			}
			if n := reg.Count("GET", "/v2/."); n != 0 {
				t.Errorf("%d requests read something", n)
			}
			if n := reg.Count("HEAD", "."); c.lookups > 0 && n != c.lookups {
				t.Errorf("%d requests looked, want %d", n, c.lookups)
			}
			missing, e := manifest.Missing(t.Context(), idx)
			if (c.want == fault.NotFound) != (len(missing) == 1) || (e != nil) != (c.want != 0 && c.want != fault.NotFound) {
				t.Errorf("missing %v: %v", missing, e)
			}
			if c.want == 0 {
				readAll(t, a)
			}
		})
	}
}

// readAll reads the layers of an image.
func readAll(t *testing.T, img v1.Image) {
	t.Helper()
	for _, l := range must(img.Layers()) {
		rc, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, rc); err != nil || n != must(l.Size()) {
			t.Errorf("%d bytes: %v", n, err)
		}
		if err := rc.Close(); err != nil {
			t.Error(err)
		}
	}
}
