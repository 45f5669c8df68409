package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/fsx"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/store"
)

// runJob is what a test process does: "add|ROOT|SEED", "die|ROOT|SEED|N" (add,
// killed at the N-th step) or "forever|ROOT" (add and say so).
func runJob(ctx context.Context, job []string) error {
	root, steps := job[1], 0
	o := store.Options{}
	if job[0] == "die" {
		n := must(strconv.Atoi(job[3]))
		o.FS.Hook = func(string, string) error {
			if steps++; steps > n {
				return errors.Join(must(os.FindProcess(os.Getpid())).Kill(), context.Canceled)
			}
			return nil
		}
	}
	s := store.Open(root, o)
	if job[0] != "forever" {
		return s.Update(ctx, tag("x"), adding(desc(job[2], "")))
	}
	for n := 0; ; n++ {
		if err := s.Update(ctx, tag("x"), adding(desc(fmt.Sprint(os.Getpid(), "-", n), ""))); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

func process(ctx context.Context, t *testing.T, job ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, must(os.Executable()))
	cmd.Env = append(os.Environ(), "STORE_TEST_JOB="+strings.Join(job, "|"))
	return cmd
}

func TestFiftyProcessesAdd(t *testing.T) {
	t.Parallel()
	ctx, root := t.Context(), t.TempDir()
	s := open(root)
	must(s.Create(ctx, tag("x"), index(), store.CreateOptions{}))
	const n = 50
	var wg sync.WaitGroup
	for i := range n {
		cmd := process(ctx, t, "add", root, fmt.Sprint("seed", i))
		wg.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for reading := true; reading; { // a reader needs no lock and never sees half a list
		if _, err := s.Load(ctx, tag("x")); err != nil {
			t.Errorf("while others write: %v", err)
		}
		select {
		case <-done:
			reading = false
		default:
		}
	}
	l := must(s.Load(ctx, tag("x")))
	for i := range n {
		if _, err := l.Index.SelectOne(manifest.ByDigest(hash(fmt.Sprint("seed", i)))); err != nil {
			t.Error(err)
		}
	}
	if got := files(t, root); l.Index.Len() != n || len(got) != 3 {
		t.Errorf("%d entries, files %v", l.Index.Len(), got)
	}
}

func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	ctx, root := t.Context(), t.TempDir()
	s := open(root)
	must(s.Create(ctx, tag("x"), index(), store.CreateOptions{}))
	for n := 0; ; n++ {
		seed := fmt.Sprint("seed", n)
		before := must(s.Load(ctx, tag("x"))).Index
		err := process(ctx, t, "die", root, seed, fmt.Sprint(n)).Run()
		now := must(s.Load(ctx, tag("x"))).Index
		if raw(now) != raw(before) && raw(now) != raw(must(before.Add(desc(seed, "")))) {
			t.Errorf("killed after %d steps: neither old nor new", n)
		}
		if err := s.Update(ctx, tag("x"), adding(desc("after"+seed, ""))); err != nil {
			t.Errorf("the next command after %d steps: %v", n, err)
		}
		if err == nil {
			if n < 10 {
				t.Errorf("only %d steps", n)
			}
			break
		}
	}
	must(store.Open(root, store.Options{Now: later(2 * time.Hour)}).Prune(ctx, store.PruneOptions{}))
	if got := files(t, root); len(got) != 3 {
		t.Errorf("after a prune: %v", got)
	}
}

func TestKilledInALoop(t *testing.T) {
	t.Parallel()
	ctx, root := t.Context(), t.TempDir()
	s := open(root)
	must(s.Create(ctx, tag("x"), index(), store.CreateOptions{}))
	promised := 0
	for round := range 8 {
		cmd := process(ctx, t, "forever", root)
		lines := bufio.NewScanner(must(cmd.StdoutPipe()))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range round + 1 {
			if !lines.Scan() {
				t.Fatal("the process ended")
			}
			promised++
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			promised++
		}
		_ = cmd.Wait() // killed
		l, err := s.Load(ctx, tag("x"))
		if err != nil || l.Index.Len() < promised || l.Index.Len() > promised+round+1 {
			t.Fatalf("round %d: %d entries, %d were promised: %v", round, l.Index.Len(), promised, err)
		}
		promised = l.Index.Len()
	}
}

// TestCrashAtEveryStep refuses every step from the n-th on, as a crash does.
func TestCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	ctx, x := t.Context(), tag("x")
	img := onDisk(ctx, t, image("linux/arm64", 100<<10))
	first, second := index(desc("a", "linux/amd64")), index(desc("a", "linux/amd64"), describe(img, "linux/arm64"))
	for what, op := range map[string]func(*store.Store) error{
		"create": func(s *store.Store) error {
			_, err := s.Create(ctx, x, second, store.CreateOptions{Replace: true})
			return err
		},
		"ingest and update": func(s *store.Store) error {
			if err := s.Ingest(ctx, x, img, true); err != nil {
				return err
			}
			return s.Update(ctx, x, adding(describe(img, "linux/arm64")))
		},
		"remove": func(s *store.Store) error { return s.Remove(ctx, x) },
	} {
		for n := 0; ; n++ {
			root := t.TempDir()
			must(open(root).Create(ctx, x, first, store.CreateOptions{}))
			var mu sync.Mutex
			steps := 0
			err := op(store.Open(root, store.Options{FS: fsx.FS{Hook: func(string, string) error {
				mu.Lock()
				defer mu.Unlock()
				if steps++; steps > n {
					return errors.New("crash")
				}
				return nil
			}}}))
			now, e := open(root).Load(ctx, x)
			switch {
			case fault.Is(e, fault.NotFound) && what == "remove":
			case e != nil:
				t.Errorf("%s, crash after %d steps: %v", what, n, e)
			case raw(now.Index) == raw(second):
				if what != "create" && !now.IsComplete(must(img.Digest())) {
					t.Errorf("%s, crash after %d steps: the list points at what is not there", what, n)
				}
			case raw(now.Index) != raw(first):
				t.Errorf("%s, crash after %d steps: neither old nor new", what, n)
			}
			if err == nil {
				break
			}
			if e := op(open(root)); e != nil && !fault.Is(e, fault.NotFound) && !errors.Is(e, manifest.ErrDuplicate) {
				t.Errorf("%s again after a crash after %d steps: %v", what, n, e)
			}
		}
	}
}

func TestLockWaitsAndCanBeInterrupted(t *testing.T) {
	t.Parallel()
	ctx, root := t.Context(), t.TempDir()
	x := tag("x")
	must(open(root).Create(ctx, x, index(), store.CreateOptions{}))
	holding, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := open(root).Update(ctx, x, func(i manifest.Index) (manifest.Index, error) {
			close(holding)
			<-release
			return i.Add(desc("a", ""))
		}); err != nil {
			t.Error(err)
		}
	})
	<-holding
	stop, cancel := context.WithCancel(ctx)
	told := 0
	impatient := store.Open(root, store.Options{Waiting: func(path string) {
		told++
		if _, err := os.Stat(path); err != nil {
			t.Errorf("waiting for %s: %v", path, err)
		}
		cancel()
	}})
	if err := impatient.Update(stop, x, adding(desc("b", ""))); !errors.Is(err, context.Canceled) || told != 1 {
		t.Errorf("%v, told %d times", err, told)
	}
	waiting := make(chan struct{})
	patient := store.Open(root, store.Options{Waiting: func(string) { close(waiting) }})
	wg.Go(func() {
		if err := patient.Update(ctx, x, adding(desc("c", ""))); err != nil {
			t.Error(err)
		}
	})
	<-waiting
	if _, err := open(root).Load(ctx, x); err != nil {
		t.Errorf("reading under a lock: %v", err)
	}
	if _, err := open(root).Create(ctx, tag("y"), index(), store.CreateOptions{}); err != nil {
		t.Errorf("another list: %v", err)
	}
	close(release)
	wg.Wait()
	if l := must(open(root).Load(ctx, x)); l.Index.Len() != 2 {
		t.Errorf("%d entries", l.Index.Len())
	}
	noTemps(t, root)
}

// TestCostDoesNotGrow counts what an add does, in a small and in a large store.
func TestCostDoesNotGrow(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	cost := func(lists, entries int) string {
		root := t.TempDir()
		x := tag("x")
		var ds []v1.Descriptor
		for n := range entries {
			ds = append(ds, desc(fmt.Sprint("seed", n), ""))
		}
		l := must(open(root).Create(ctx, x, index(ds...), store.CreateOptions{}))
		for n := range lists {
			clone(t, l.Dir(), fmt.Sprint("copy", n))
		}
		count := map[string]int{}
		s := store.Open(root, store.Options{FS: fsx.FS{Hook: func(step, _ string) error {
			count[step]++
			return nil
		}}})
		if err := s.Update(ctx, x, adding(desc("new", "linux/amd64"))); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(count)
	}
	small := cost(0, 1)
	if want := "map[close:2 create:2 read:2 remove:1 rename:2 sync:2 syncdir:3 write:2]"; small != want {
		t.Errorf("an add costs %s", small)
	}
	if large := cost(1000, 1000); large != small {
		t.Errorf("in a large store an add costs %s, in a small one %s", large, small)
	}
}

func TestListReadsEachListOnce(t *testing.T) {
	t.Parallel()
	ctx, root := t.Context(), t.TempDir()
	for n := range 20 {
		must(open(root).Create(ctx, tag(fmt.Sprint("l", n)), index(desc("a", "")), store.CreateOptions{}))
	}
	reads := 0
	s := store.Open(root, store.Options{FS: fsx.FS{Hook: func(string, string) error { reads++; return nil }}})
	if all, err := s.List(ctx); err != nil || len(all) != 20 || reads != 40 {
		t.Errorf("%d lists, %d reads, %v", len(all), reads, err)
	}
}

// onDisk is img with its layers compressed once and for all.
func onDisk(ctx context.Context, t *testing.T, img v1.Image) v1.Image {
	t.Helper()
	s := open(t.TempDir())
	if err := s.Ingest(ctx, tag("x"), img, true); err != nil {
		t.Fatal(err)
	}
	l := must(s.Create(ctx, tag("x"), index(describe(img, "")), store.CreateOptions{}))
	return must(l.Child(must(img.Digest()))).(v1.Image)
}

// clone makes another folder with the files of dir.
func clone(t *testing.T, dir, name string) {
	t.Helper()
	to := filepath.Join(filepath.Dir(dir), name)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		if err != nil || d.IsDir() {
			return errors.Join(err, os.MkdirAll(filepath.Join(to, rel), 0o755))
		}
		return os.Link(path, filepath.Join(to, rel))
	})
	if err != nil {
		t.Fatal(err)
	}
}
