package acceptance

import (
	"fmt"
	"os/exec"
	"slices"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/testhelpers/regtest"
)

// TestAppendProcessesOfAllKinds: packages are appended, images added and
// replaced, platforms removed, entries annotated and the tag settled, all at once.
func TestAppendProcessesOfAllKinds(t *testing.T) {
	t.Parallel()
	for kind, options := range registries {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := regtest.New(t, options...)
			n, source, tag := scaleOf(), anyBuildpack(t), r.Host()+"/acme/any:1.0"
			platforms := jobPlatforms(n.processes)
			removed, annotated, added := platforms[0], platforms[1], platforms[2:n.processes/2]
			packaged := platforms[n.processes/2:]
			delayed(r, nil)
			for round := range n.rounds {
				want := map[string]v1.Hash{}
				// One after the other: what this round starts from, and what it adds.
				for _, p := range platforms[:2] {
					want[p] = one(t, startJob(t, source, tag, p, round))
				}
				for i, p := range added {
					want[p] = one(t, startJob(t, source, fmt.Sprintf("%s/src/any:%d", r.Host(), i), p, round))
				}
				var cmds []*exec.Cmd
				run := func(args ...string) { cmds = append(cmds, command(t.Context(), t.TempDir(), args...)) }
				run("manifest", "rm", tag, removed, "--publish")
				run("manifest", "annotate", tag, annotated, "--publish", "--annotation", fmt.Sprintf("round=%d", round))
				run("manifest", "settle", tag)
				for i := range added {
					run("manifest", "add", tag, fmt.Sprintf("%s/src/any:%d", r.Host(), i), "--publish", "--replace")
				}
				jobs := runJobs(t, source, tag, packaged, round, func([]*job) { all(t, cmds) })
				for _, j := range jobs {
					if j.err != nil {
						t.Fatalf("round %d, %s: %v\n%s", round, j.platform, j.err, j.stderr)
					}
					want[j.platform] = j.out.held()[j.platform]
				}
				delete(want, removed)
				checkHeld(t, remoteIndex(t, tag), want, annotated, fmt.Sprint(round))
			}
		})
	}
}

// one is the image of a job that runs alone.
func one(t *testing.T, j *job) v1.Hash {
	t.Helper()
	if j.wait(); j.err != nil {
		t.Fatalf("%s: %v\n%s", j.platform, j.err, j.stderr)
	}
	return j.out.held()[j.platform]
}

// all runs commands at once; each has to succeed.
func all(t *testing.T, cmds []*exec.Cmd) {
	t.Helper()
	var wg sync.WaitGroup
	for _, cmd := range cmds {
		wg.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", cmd.Args, err, out)
			}
		})
	}
	wg.Wait()
}

func checkHeld(t *testing.T, idx v1.ImageIndex, want map[string]v1.Hash, annotated, round string) {
	t.Helper()
	now := held(t, idx)
	for p, d := range want {
		if now[p] != d {
			t.Errorf("round %s: the tag holds '%s' for %s, want %s", round, now[p], p, d)
		}
	}
	if len(now) != len(want) {
		t.Errorf("round %s: the tag holds %d platforms, want %d", round, len(now), len(want))
	}
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(m.Manifests, func(d v1.Descriptor) bool {
		return d.Digest == want[annotated] && d.Annotations["round"] == round
	}) {
		t.Errorf("round %s: the annotation of %s is lost", round, annotated)
	}
}
