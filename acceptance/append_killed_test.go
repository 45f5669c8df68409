package acceptance

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/multipack/multipack/testhelpers/regtest"
)

// killer kills processes at given moments, which it counts in requests that the
// registry gets.
type killer struct {
	mu       sync.Mutex
	jobs     []*job
	requests int
	at       map[int]bool
}

// aim chooses the moments of a round: within the first requests of the jobs.
func (k *killer) aim(jobs []*job, kills int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.jobs, k.requests, k.at = append([]*job(nil), jobs...), 0, map[int]bool{}
	for _, moment := range rand.Perm(len(jobs) * 8)[:kills] {
		k.at[moment] = true
	}
}

func (k *killer) hit() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.requests++
	if k.at[k.requests-1] && len(k.jobs) > 0 {
		i := rand.IntN(len(k.jobs))
		_ = k.jobs[i].cmd.Process.Kill() // it may have ended by itself
		k.jobs = append(k.jobs[:i], k.jobs[i+1:]...)
	}
}

// TestAppendProcessesThatAreKilled: processes are killed at any moment. Nothing
// that was announced is lost once one settle has run.
func TestAppendProcessesThatAreKilled(t *testing.T) {
	t.Parallel()
	for kind, options := range registries {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := regtest.New(t, options...)
			k := &killer{}
			delayed(r, k.hit)
			n, source := scaleOf(), anyBuildpack(t)
			platforms, tag := jobPlatforms(n.processes), r.Host()+"/acme/any:1.0"
			reported := map[string]v1.Hash{} // by the last process of the platform that ended well
			killed := 0
			for round := range n.rounds {
				since := map[v1.Hash]bool{} // what this round reported
				for _, j := range runJobs(t, source, tag, platforms, round, func(jobs []*job) { k.aim(jobs, len(jobs)/3) }) {
					switch {
					case j.killed():
						killed++
						delete(reported, j.platform) // it may have announced something newer
					case j.err != nil:
						t.Fatalf("round %d, %s: %v\n%s", round, j.platform, j.err, j.stderr)
					default:
						reported[j.platform] = j.out.held()[j.platform]
						since[reported[j.platform]] = true
					}
				}
				settle(t, tag)
				now := held(t, remoteIndex(t, tag))
				for p, d := range reported {
					if now[p] != d {
						t.Errorf("round %d: the tag holds %s for %s, which reported %s", round, now[p], p, d)
					}
				}
				for p, d := range announced(t, r, platforms) {
					if now[p] != d {
						t.Errorf("round %d: the tag holds '%s' for %s, announced is %s", round, now[p], p, d)
					}
				}
			}
			if killed == 0 {
				t.Error("no process was killed")
			}
			t.Logf("%d of %d processes were killed", killed, n.rounds*n.processes)
		})
	}
}

func settle(t *testing.T, tag string) {
	t.Helper()
	if out, err := command(t.Context(), t.TempDir(), "manifest", "settle", tag).CombinedOutput(); err != nil {
		t.Fatalf("settling: %v\n%s", err, out)
	}
}

// announced is what the announcement tags hold, read without the program.
func announced(t *testing.T, r *regtest.Registry, platforms []string) map[string]v1.Hash {
	t.Helper()
	repo := r.Repo("acme/any")
	tags, err := remote.List(repo)
	if err != nil {
		t.Fatal(err)
	}
	byTag := map[string]string{}
	for _, p := range platforms {
		byTag["1.0-"+strings.NewReplacer("/", "-", ":", "-").Replace(p)] = p
	}
	out := map[string]v1.Hash{}
	for _, tag := range tags {
		if tag == "1.0" {
			continue
		}
		d, err := remote.Get(repo.Tag(tag))
		if err != nil {
			t.Fatal(err)
		}
		if byTag[tag] == "" || !d.MediaType.IsImage() {
			t.Errorf("there is a tag '%s' (%s)", tag, d.MediaType)
		}
		out[byTag[tag]] = d.Digest
	}
	return out
}

// TestAppendKilledBetweenWriteAndCheck makes the one loss there is: a process
// that is killed right after it wrote an index that was older than another's, whose
// process has reported success. One settle brings it back, and so does one more append.
func TestAppendKilledBetweenWriteAndCheck(t *testing.T) {
	t.Parallel()
	source := anyBuildpack(t)
	for name, heal := range map[string]func(t *testing.T, tag string){
		"settle": settle,
		"append": func(t *testing.T, tag string) { one(t, startJob(t, source, tag, "linux/s390x", 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := regtest.New(t)
			tag := r.Host() + "/acme/any:1.0"
			const path = "/manifests/1\\.0$"
			arrived, release := make(chan struct{}), make(chan struct{})
			r.Inject(regtest.Fault{Method: "PUT", Path: path, Hit: func() {
				close(arrived)
				<-release
			}})
			slow := startJob(t, source, tag, "linux/amd64", 0)
			<-arrived
			quick := one(t, startJob(t, source, tag, "linux/arm64", 0))
			r.Inject(regtest.Fault{Method: "HEAD", Path: path, Hit: func() { _ = slow.cmd.Process.Kill() }})
			close(release)
			if slow.wait(); !slow.killed() {
				t.Fatalf("the process was not killed: %v\n%s", slow.err, slow.stderr)
			}
			if now := held(t, remoteIndex(t, tag)); len(now) != 1 {
				t.Fatalf("nothing was lost, so there is nothing to bring back: %v", now)
			}
			heal(t, tag)
			if now := held(t, remoteIndex(t, tag)); now["linux/arm64"] != quick || now["linux/amd64"] == (v1.Hash{}) {
				t.Errorf("the tag holds %v", now)
			}
		})
	}
}
