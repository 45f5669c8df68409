package announce

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// shortly keeps writers apart without waiting long.
func shortly(round int) time.Duration { return Jitter(round) / 20 }

func client(t *testing.T) *registry.Client {
	t.Helper()
	c, err := registry.New(registry.Config{Retries: 1, Getenv: func(string) string { return "" }, Backoff: func(int) time.Duration { return time.Millisecond }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

// upload pushes an image's content by digest, as a publisher does, and gives
// what Append takes.
func upload(t *testing.T, c *registry.Client, repo name.Repository, p, seed string) (Addition, Manifest) {
	t.Helper()
	mem := newContent()
	m := mem.image(p, seed)
	reg := Repository(c, repo)
	ctx := context.Background()
	config := mem.configOf(t, m)
	if err := reg.PutBlob(ctx, config, "application/vnd.oci.image.config.v1+json"); err != nil {
		t.Fatal(err)
	}
	if err := reg.Put(ctx, m.Digest.String(), m.Raw, m.MediaType); err != nil {
		t.Fatal(err)
	}
	return Addition{Entry: descriptor(m, p, ""), Manifest: m.Raw, Config: config}, m
}

// TestManyWriters: 32 writers, each with a client of its own, at once.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	const writers = 32
	r := regtest.New(t)
	repo := r.Repo("team/app")
	adds, want := make([]Addition, writers), make([]Manifest, writers)
	for i := range writers {
		adds[i], want[i] = upload(t, client(t), repo, fmt.Sprintf("windows/amd64:10.0.%d", i), "a")
	}
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		c := client(t)
		wg.Go(func() {
			req := Request{Tag: "1.0", Add: adds[i : i+1], Jitter: shortly, Jobs: 2}
			_, errs[i] = Append(context.Background(), Repository(c, repo), req)
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("writer %d: %v", i, err)
		}
	}
	m, err := Repository(client(t), repo).Get(context.Background(), "1.0")
	if err != nil {
		t.Fatal(err)
	}
	mem := newContent()
	held := heldIn(t, mem, mem.add(m.Raw, m.MediaType).Digest.String())
	for i := range writers {
		if p := fmt.Sprintf("windows/amd64:10.0.%d", i); held[p] != want[i].Digest.String() {
			t.Errorf("%s is lost", p)
		}
	}
	if n := r.Count("DELETE", ""); n != 0 {
		t.Errorf("%d requests to delete", n)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		opts  []regtest.Option
		set   func(*Request)
		kind  fault.Kind // 0: it works
		words []string
	}{
		{"listing denied", []regtest.Option{regtest.Deny("GET", "/tags/list")}, nil, fault.Denied, []string{"listing the announcements of tag '1.0'", "--expect"}},
		{"listing denied, platforms expected", []regtest.Option{regtest.Deny("GET", "/tags/list")},
			func(r *Request) { r.Expect = []platform.Platform{mustPlatform("linux/amd64")} }, 0, nil},
		{"announcement denied", []regtest.Option{regtest.Deny("PUT", "/manifests/1.0-")}, nil, fault.Denied, []string{"announcing linux/amd64 as tag '1.0-linux-amd64'", "'1.0-*'", "--no-announce"}},
		{"announcement denied, none made", []regtest.Option{regtest.Deny("PUT", "/manifests/1.0-")}, func(r *Request) { r.NoAnnounce = true }, 0, nil},
		{"delete denied", []regtest.Option{regtest.Deny("DELETE", "")}, nil, 0, nil},
		{"announcements immutable", []regtest.Option{regtest.Immutable("1.0-.*")}, nil, fault.Conflict, []string{"immutable", "--no-announce"}},
		{"tag immutable", []regtest.Option{regtest.Immutable("1.0")}, nil, fault.Conflict, []string{"writing tag '1.0'", "written once"}},
		{"stale reads that end", []regtest.Option{regtest.Stale("1.0", 2)}, nil, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := regtest.New(t, tt.opts...)
			repo, c := r.Repo("team/app"), client(t)
			first, _ := upload(t, c, repo, "linux/amd64", "first")
			second, want := upload(t, c, repo, "linux/amd64", "second")
			reg := Repository(c, repo)
			var err error
			for _, add := range []Addition{first, second} {
				req := Request{Tag: "1.0", Add: []Addition{add}, Jitter: noWait, Limit: 12}
				if tt.set != nil {
					tt.set(&req)
				}
				if _, err = Append(context.Background(), reg, req); err != nil {
					break
				}
			}
			if tt.kind != 0 {
				wantFault(t, err, tt.kind, tt.words...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			m, err := reg.Get(context.Background(), "1.0")
			if err != nil {
				t.Fatal(err)
			}
			for range 3 { // past the stale reads
				if m, err = reg.Get(context.Background(), "1.0"); err != nil {
					t.Fatal(err)
				}
			}
			mem := newContent()
			if held := heldIn(t, mem, mem.add(m.Raw, m.MediaType).Digest.String()); held["linux/amd64"] != want.Digest.String() {
				t.Errorf("the tag holds %v", held)
			}
		})
	}
}

// TestLaggingListing: a listing that does not show what this writer announced
// cannot be trusted to show what others did.
func TestLaggingListing(t *testing.T) {
	t.Parallel()
	r := newMemory()
	lag := &lagging{memory: r, hidden: 3}
	add, m := r.addition("linux/amd64", "a")
	if _, err := Append(context.Background(), lag, request(add)); err != nil {
		t.Fatal(err)
	}
	wantHeld(t, r, map[string]Manifest{"linux/amd64": m})
	lag.hidden = 1 << 30
	req := request(add)
	req.Limit = 5
	_, err := Append(context.Background(), lag, req)
	wantFault(t, err, fault.Conflict, "tag listing still lacks", "--expect")
}

// lagging lists nothing for some time.
type lagging struct {
	*memory
	hidden int
}

func (l *lagging) Tags(ctx context.Context, last string) ([]string, error) {
	if l.hidden > 0 {
		l.hidden--
		return nil, nil
	}
	return l.memory.Tags(ctx, last)
}

// TestStaleReads: a proxy that keeps an old answer for good.
func TestStaleReads(t *testing.T) {
	t.Parallel()
	r := newMemory()
	old := r.index("")
	r.tag("1.0", old)
	add, m := r.addition("linux/amd64", "a")
	req := request(add)
	req.Limit = 5
	_, err := Append(context.Background(), &cached{memory: r, old: old}, req)
	wantFault(t, err, fault.Conflict, "as it was before the last write", "caching proxy", "manifest settle")
	if _, err := Settle(context.Background(), r, request()); err != nil {
		t.Fatal(err)
	}
	wantHeld(t, r, map[string]Manifest{"linux/amd64": m})
}

// cached answers for the tag what it answered once.
type cached struct {
	*memory
	old Manifest
}

func (c *cached) Get(ctx context.Context, ref string) (Manifest, error) {
	if ref == "1.0" {
		return c.old, nil
	}
	return c.memory.Get(ctx, ref)
}

func (c *cached) Read(ctx context.Context, tag string, _ Manifest) (Manifest, error) {
	return c.Get(ctx, tag)
}

func (c *cached) Head(ctx context.Context, tag string) (v1.Hash, error) {
	if tag == "1.0" {
		return c.old.Digest, nil
	}
	return c.memory.Head(ctx, tag)
}

// TestLimit: a tag that never rests.
func TestLimit(t *testing.T) {
	t.Parallel()
	r := newMemory()
	n := 0
	r.hook = func(op, ref string) error {
		if op == "HEAD" && ref == "1.0" {
			n++
			r.tag("1.0", r.index(fmt.Sprintf(`"annotations":{"n":"%d"}`, n)))
		}
		return nil
	}
	add, _ := r.addition("linux/amd64", "a")
	req := request(add)
	req.Limit = 4
	_, err := Append(context.Background(), r, req)
	wantFault(t, err, fault.Conflict, "kept moving for 4 rounds", "manifest settle")
	ctx, cancel := context.WithCancel(context.Background())
	req.Jitter = func(int) time.Duration { cancel(); return time.Hour }
	if _, err := Append(ctx, r, req); !errors.Is(err, context.Canceled) {
		t.Errorf("the wait was not interrupted: %v", err)
	}
}

// TestDistribution: the registry that most people run.
func TestDistribution(t *testing.T) {
	t.Parallel()
	r := regtest.Distribution(t)
	repo, c := r.Repo("team/app"), client(t)
	reg := Repository(c, repo)
	amd, _ := upload(t, c, repo, "linux/amd64", "a")
	arm, want := upload(t, c, repo, "linux/arm64", "a")
	for _, req := range []Request{
		{Tag: "1.0", Add: []Addition{amd, arm}},
		{Tag: "1.0", Remove: []platform.Platform{mustPlatform("linux/amd64")}},
		{Tag: "1.0", Add: []Addition{arm}},
	} {
		req.Jitter = noWait
		if _, err := Append(context.Background(), reg, req); err != nil {
			t.Fatal(err)
		}
	}
	res, err := Settle(context.Background(), reg, Request{Tag: "1.0", Jitter: noWait})
	if err != nil {
		t.Fatal(err)
	}
	mem := newContent()
	held := heldIn(t, mem, mem.add(res.Raw, res.MediaType).Digest.String())
	if len(held) != 1 || held["linux/arm64"] != want.Digest.String() {
		t.Errorf("the tag holds %v", held)
	}
}
