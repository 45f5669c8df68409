package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/multipack/multipack/testhelpers/regtest"
)

// scale is how many processes run at once, and how often.
type scale struct{ processes, rounds int }

// scaleOf is small in `make test` and the promised one in `make stress`.
func scaleOf() scale {
	if os.Getenv("MULTIPACK_STRESS") != "" {
		return scale{processes: 32, rounds: 20}
	}
	return scale{processes: 6, rounds: 2}
}

// registries are the ones that jobs append in: the CNCF distribution registry
// and a strict one.
var registries = map[string][]regtest.Option{"distribution": {regtest.Real()}, "strict": nil}

// delayed makes every answer of the registry take a random time, so that the
// requests of the processes meet in every order.
func delayed(r *regtest.Registry, hit func()) {
	r.Inject(regtest.Fault{Times: -1, Hit: func() {
		if hit != nil {
			hit()
		}
		time.Sleep(rand.N(25 * time.Millisecond))
	}})
}

// jobPlatforms are n platforms, one for each process.
func jobPlatforms(n int) []string {
	out := []string{
		"linux/amd64", "linux/arm64", "linux/s390x", "linux/ppc64le", "linux/riscv64", "linux/386", "linux/arm/v5", "linux/arm/v6",
		"linux/arm/v7", "linux/loong64", "linux/mips64le", "windows/amd64:10.0.17763.1", "windows/amd64:10.0.20348.2",
	}
	for len(out) < n {
		out = append(out, fmt.Sprintf("linux/amd64:%d.04", len(out)))
	}
	return out[:n]
}

// job is one process that appends a platform, and what it said.
type job struct {
	platform string
	cmd      *exec.Cmd
	out      jobReport
	err      error
	stderr   string
}

// jobReport is as much of `-o json` as is checked.
type jobReport struct {
	Digest v1.Hash `json:"digest"`
	Images []struct {
		Platform string  `json:"platform"`
		Manifest v1.Hash `json:"manifest"`
	} `json:"images"`
	Append struct {
		Rounds int `json:"rounds"`
		Writes int `json:"writes"`
	} `json:"append"`
}

// held are the images of a report by platform.
func (r jobReport) held() map[string]v1.Hash {
	out := map[string]v1.Hash{}
	for _, i := range r.Images {
		out[i.Platform] = i.Manifest
	}
	return out
}

// command is the program with an environment of its own, as on a machine of its own.
func command(ctx context.Context, home string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home, "XDG_DATA_HOME="+home, "DOCKER_CONFIG="+home, "TMPDIR="+home)
	return cmd
}

// startJob starts a process that appends; wait ends it.
func startJob(t *testing.T, source, to, platform string, round int) *job {
	t.Helper()
	j := &job{platform: platform}
	j.cmd = command(t.Context(), t.TempDir(), "-o", "json", "buildpack", "package", to, "--path", source, "--platform", platform,
		"--label", fmt.Sprintf("round=%d", round), "--append", "--publish", "--lint", "off")
	j.cmd.Stdout, j.cmd.Stderr = &bytes.Buffer{}, &bytes.Buffer{}
	if err := j.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return j
}

func (j *job) wait() {
	j.err = j.cmd.Wait()
	j.stderr = j.cmd.Stderr.(*bytes.Buffer).String()
	if j.err == nil {
		j.err = json.Unmarshal(j.cmd.Stdout.(*bytes.Buffer).Bytes(), &j.out)
	}
}

// killed reports whether the process was ended from outside.
func (j *job) killed() bool {
	var exit *exec.ExitError
	return errors.As(j.err, &exit) && exit.ExitCode() == -1
}

// runJobs runs a process for each platform at once.
func runJobs(t *testing.T, source, to string, platforms []string, round int, started func([]*job)) []*job {
	t.Helper()
	jobs := make([]*job, len(platforms))
	for i, p := range platforms {
		jobs[i] = startJob(t, source, to, p, round)
	}
	if started != nil {
		started(jobs)
	}
	var wg sync.WaitGroup
	for _, j := range jobs {
		wg.Go(j.wait)
	}
	wg.Wait()
	return jobs
}

// anyBuildpack is a buildpack that is the same on every platform.
func anyBuildpack(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range map[string]string{
		"buildpack.toml": "api = \"0.10\"\n[buildpack]\nid = \"acme/any\"\nversion = \"1.0.0\"\n",
		"bin/detect":     "#!/bin/sh\n", "bin/build": "#!/bin/sh\n",
	} {
		at := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// held is what an index of a registry or layout holds: by platform, every image
// of it read in full.
func held(t *testing.T, idx v1.ImageIndex) map[string]v1.Hash {
	t.Helper()
	if err := validate.Index(idx, validate.Fast); err != nil {
		t.Error(err)
	}
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]v1.Hash{}
	for _, d := range m.Manifests {
		p := strings.Join([]string{d.Platform.OS, d.Platform.Architecture}, "/")
		if d.Platform.Variant != "" {
			p += "/" + d.Platform.Variant
		}
		if d.Platform.OSVersion != "" {
			p += ":" + d.Platform.OSVersion
		}
		if _, twice := out[p]; twice {
			t.Errorf("%s is in the index twice", p)
		}
		out[p] = d.Digest
	}
	return out
}

func remoteIndex(t *testing.T, ref string) v1.ImageIndex {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	idx, err := remote.Index(r)
	if err != nil {
		t.Fatal(err)
	}
	return idx
}

// TestAppendProcesses: many processes append to one tag at once, again and
// again, each replacing its platform; nothing is lost, and no process fails.
func TestAppendProcesses(t *testing.T) {
	t.Parallel()
	for kind, options := range registries {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := regtest.New(t, options...)
			delayed(r, nil)
			n, source := scaleOf(), anyBuildpack(t)
			platforms, tag := jobPlatforms(n.processes), r.Host()+"/acme/any:1.0"
			most, writes := 0, 0
			for round := range n.rounds {
				jobs := runJobs(t, source, tag, platforms, round, nil)
				now := held(t, remoteIndex(t, tag))
				for _, j := range jobs {
					if j.err != nil {
						t.Fatalf("round %d, %s: %v\n%s", round, j.platform, j.err, j.stderr)
					}
					most, writes = max(most, j.out.Append.Rounds), writes+j.out.Append.Writes
					said := j.out.held()
					if said[j.platform] != now[j.platform] {
						t.Errorf("round %d: the tag holds %s for %s, which appended %s", round, now[j.platform], j.platform, said[j.platform])
					}
					if round > 0 && len(said) != len(platforms) {
						t.Errorf("round %d: %s read back an index of %d platforms", round, j.platform, len(said))
					}
				}
				if len(now) != len(platforms) {
					t.Fatalf("round %d: the tag holds %d platforms, want %d", round, len(now), len(platforms))
				}
			}
			t.Logf("%d processes, %d times: nothing lost; at most %d rounds each, %d writes of the tag in all", n.processes, n.rounds, most, writes)
		})
	}
}

// TestAppendProcessesToLayout: the same on one OCI layout, under its lock.
func TestAppendProcessesToLayout(t *testing.T) {
	t.Parallel()
	n, source := scaleOf(), anyBuildpack(t)
	platforms, dir := jobPlatforms(n.processes), filepath.Join(t.TempDir(), "out")
	for round := range n.rounds {
		jobs := runJobs(t, source, "oci-layout://"+dir+":1.0", platforms, round, nil)
		root, err := layout.ImageIndexFromPath(dir)
		if err != nil {
			t.Fatal(err)
		}
		m, err := root.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Manifests) != 1 {
			t.Fatalf("the layout has %d entries", len(m.Manifests))
		}
		idx, err := root.ImageIndex(m.Manifests[0].Digest)
		if err != nil {
			t.Fatal(err)
		}
		now := held(t, idx)
		for _, j := range jobs {
			if j.err != nil {
				t.Fatalf("round %d, %s: %v\n%s", round, j.platform, j.err, j.stderr)
			}
			if want := j.out.held()[j.platform]; now[j.platform] != want {
				t.Errorf("round %d: the layout holds %s for %s, which appended %s", round, now[j.platform], j.platform, want)
			}
		}
		if len(now) != len(platforms) {
			t.Fatalf("round %d: the layout holds %d platforms, want %d", round, len(now), len(platforms))
		}
	}
}
