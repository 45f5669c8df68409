package publish_test

import (
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/testhelpers/imgtest"
	"github.com/multipack/multipack/testhelpers/regtest"
)

func everything(t testing.TB) *publish.Multi {
	return publish.New(publish.Deps{Registry: newClient(t)})
}

func TestNoDestinationIsTaggedBeforeAllHaveTheContent(t *testing.T) {
	t.Parallel()
	good, bad := regtest.New(t), regtest.New(t, regtest.ReadOnly())
	dir := t.TempDir()
	idx := imgtest.Index(t, family("a"))
	targets := []publish.Target{to(t, good.Host()+"/acme/bp:1"), to(t, bad.Host()+"/acme/bp:1"), to(t, "oci:"+dir+":v1"), to(t, "oci-archive:"+dir+"/a.tar")}
	if _, err := everything(t).PublishAll(t.Context(), idx, targets); !fault.Is(err, fault.Denied) {
		t.Errorf("the error is %v", err)
	}
	if got := tagged(t, good, "acme/bp", "1"); got != (v1.Hash{}) {
		t.Errorf("the tag points at %s", got)
	}
	for name := range snapshot(t, dir) {
		if name == "index.json" || !strings.HasPrefix(name, "blobs") && name != "oci-layout" {
			t.Errorf("there is '%s'", name)
		}
	}
	reports, err := everything(t).PublishAll(t.Context(), idx, append(targets[:1:1], targets[2:]...))
	if err != nil {
		t.Fatal(err)
	}
	if len(reports) != 3 || reports[2].Name != "oci-archive:"+dir+"/a.tar@"+digest(t, idx).String() {
		t.Errorf("the reports are %+v", reports)
	}
	checkRemote(t, good, "acme/bp", "1", idx)
	resolve(t, dir, "v1")
	resolve(t, filepath.Join(dir, "a.tar"), "")
}

func TestSecondRepositoryOfARegistryMounts(t *testing.T) {
	t.Parallel()
	for name, start := range registries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := start(t)
			idx := imgtest.Index(t, family("a"))
			target := to(t, reg.Host()+"/acme/bp:1")
			target.Tags = append(target.Tags, ref(t, reg.Host()+"/other/bp:x"), target.Ref.WithTag("2"), ref(t, reg.Host()+"/other/bp:y"))
			p := everything(t)
			plan, err := p.Plan(t.Context(), idx, target)
			if err != nil {
				t.Fatal(err)
			}
			if w := writes(reg); len(w) > 0 {
				t.Errorf("planning wrote: %v", w)
			}
			r := must(t, p, idx, target)
			if n := uploads(reg); n != 11 {
				t.Errorf("%d blobs were sent, want each of the 11 once", n)
			}
			if len(r.Also) != 1 || strings.Join(r.Tags, " ") != reg.Host()+"/acme/bp:1 "+reg.Host()+"/acme/bp:2" {
				t.Fatalf("the report is %+v", r)
			}
			for _, r := range []publish.Report{r.Also[0], plan.Also[0]} {
				if got := r.Images[0].Layers[0].Action; got != publish.Mounted {
					t.Errorf("the second repository's layer was %s", got)
				}
				if strings.Join(r.Tags, " ") != reg.Host()+"/other/bp:x "+reg.Host()+"/other/bp:y" {
					t.Errorf("the second repository's tags are %v", r.Tags)
				}
			}
			for repo, tag := range map[string]string{"acme/bp": "2", "other/bp": "y"} {
				checkRemote(t, reg, repo, tag, idx)
			}
		})
	}
}

func TestDryRunPlansWhatIsThenDone(t *testing.T) {
	t.Parallel()
	reg, dir := regtest.New(t), t.TempDir()
	spec := family("a")
	must(t, publisher(t), imgtest.Index(t, spec), to(t, reg.Host()+"/acme/bp:1"))
	spec.Images[1].Seed = "b"
	idx := imgtest.Index(t, spec)
	for _, s := range []string{reg.Host() + "/acme/bp:1", "oci:" + dir + "/layout:v1", "oci-archive:" + dir + "/a.tar", dir + "/x.cnb"} {
		reg.Reset()
		before := len(snapshot(t, dir))
		dry := &publish.DryRun{Next: everything(t)}
		plan := must(t, dry, idx, to(t, s))
		if w := writes(reg); len(w) > 0 || len(snapshot(t, dir)) != before {
			t.Fatalf("%s: a dry run wrote: %v", s, w)
		}
		done := must(t, everything(t), idx, to(t, s))
		if !plan.DryRun || done.DryRun || plan.Name != done.Name || strings.Join(plan.Tags, " ") != strings.Join(done.Tags, " ") {
			t.Errorf("%s: planned %+v\ndone %+v", s, plan, done)
		}
		for i, img := range plan.Images {
			if want := planned(done.Images[i].Action); img.Action != want || img.Path != done.Images[i].Path {
				t.Errorf("%s: %s: planned %s at '%s', done %s at '%s'", s, img.PlatformName, img.Action, img.Path, done.Images[i].Action, done.Images[i].Path)
			}
			for k, l := range img.Layers {
				if want := planned(done.Images[i].Layers[k].Action); l.Action != want || l.Bytes != done.Images[i].Layers[k].Bytes {
					t.Errorf("%s: %s: layer %d: planned %s, done %s", s, img.PlatformName, k, l.Action, want)
				}
			}
		}
	}
}

func TestDryRunThatMayNotAskFails(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t, regtest.Deny("HEAD", "/acme/"))
	_, err := (&publish.DryRun{Next: everything(t)}).Publish(t.Context(), imgtest.Image(t, imgtest.ImageSpec{}), to(t, reg.Host()+"/acme/bp:1"))
	if !fault.Is(err, fault.Denied) {
		t.Errorf("the error is %v", err)
	}
}

func planned(done publish.Action) publish.Action {
	if done == publish.Uploaded {
		return publish.Planned
	}
	return done
}

func TestEveryWritableMediumHasAPublisher(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	img := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/amd64"})
	for _, s := range []string{"oci-layout://" + dir + "/l", "oci-archive:" + dir + "/a.tar", "docker-archive:" + dir + "/d.tar", dir + "/x.cnb", dir + "/other.tar"} {
		if r := must(t, everything(t), img, to(t, s)); r.Digest != digest(t, img) {
			t.Errorf("%s: the report is %+v", s, r)
		}
	}
	if _, err := everything(t).Publish(t.Context(), img, to(t, "local:x")); !fault.Is(err, fault.Usage) {
		t.Errorf("the error is %v", err)
	}
}
