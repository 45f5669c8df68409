package announce

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/multipack/multipack/pkg/manifest"
)

// check holds what a scenario must keep, independent of the package's code.
type check struct {
	t       *testing.T
	mem     *memory
	actors  []actor
	begin   map[string]string // platform -> digest under the tag at the start
	allowed map[string]map[string]bool
	strict  bool // announcements were made, so the last one must win
	// lenient judges only by the writers that reported success.
	lenient bool
	// after are what may follow a crash, each alone; healed is what came of it.
	after  []func(tags map[string]string) (map[string]string, error)
	healed map[int32][]healing
}

func newCheck(t *testing.T, mem *memory, actors []actor) *check {
	c := &check{t: t, mem: mem, actors: actors, begin: map[string]string{}, allowed: map[string]map[string]bool{},
		strict: true, healed: map[int32][]healing{}}
	if d := mem.tags[modelTag]; d != "" {
		if m, _ := mem.manifest(d); m.MediaType.IsIndex() {
			c.begin = heldIn(t, mem.content, d)
		} else {
			c.begin = map[string]string{"linux/amd64": d} // the plain image of the scenarios
		}
	}
	allow := func(p, d string) {
		if c.allowed[p] == nil {
			c.allowed[p] = map[string]bool{}
		}
		c.allowed[p][d] = true
	}
	for p, d := range c.begin {
		allow(p, d)
	}
	for _, a := range actors {
		for p, d := range a.puts {
			allow(p, d)
		}
	}
	for p, d := range c.announcements(mem.tags) {
		allow(p, d)
	}
	return c
}

// touched: some writer of the scenario brings or removes the platform.
func (c *check) touched(p string) bool {
	return slices.ContainsFunc(c.actors, func(a actor) bool { _, ok := a.puts[p]; return ok })
}

// wrote is the promise about every single write: whole, and nobody's platform
// that this scenario does not touch is gone.
func (c *check) wrote(digest string) error {
	held := heldIn(c.t, c.mem.content, digest)
	for p, d := range held {
		if !c.allowed[p][d] {
			return fmt.Errorf("the tag was written with %s=%.15s, which nobody brought", p, d)
		}
		if _, err := c.mem.manifest(d); err != nil {
			return fmt.Errorf("the tag was written before its content: %w", err)
		}
	}
	for p, d := range c.begin {
		if !c.touched(p) && held[p] != d {
			return fmt.Errorf("%s, which nobody touches, is gone from a write", p)
		}
	}
	return nil
}

// ended is the promise about the end: where somebody died, about the end
// after each kind of healing.
func (c *check) ended(w world) error {
	success := make([]bool, len(c.actors))
	for i, a := range c.actors {
		n := w.at[i]
		success[i] = n.done && !w.crashed[i]
		if n.done && n.err != nil {
			return fmt.Errorf("%s failed: %w", a.name, n.err)
		}
	}
	if !slices.Contains(w.crashed[:len(c.actors)], true) || len(c.after) == 0 {
		return c.final(w.tags.tags, success)
	}
	for _, h := range c.heal(w.tags) {
		if h.err != nil {
			return h.err
		}
		if err := c.final(h.tags, success); err != nil {
			return err
		}
	}
	return nil
}

// healing is what the tags were after a settle, or after one more append.
type healing struct {
	tags map[string]string
	err  error
}

func (c *check) heal(b *board) []healing {
	if _, ok := c.healed[b.id]; !ok {
		for _, after := range c.after {
			tags, err := after(maps.Clone(b.tags))
			c.healed[b.id] = append(c.healed[b.id], healing{tags, err})
		}
	}
	return c.healed[b.id]
}

func (c *check) final(tags map[string]string, success []bool) error {
	if tags[modelTag] == "" {
		return nil // all died before anything was announced
	}
	held := heldIn(c.t, c.mem.content, tags[modelTag])
	for p, d := range c.begin {
		if !c.touched(p) && held[p] != d {
			return fmt.Errorf("%s, which nobody touched, is gone", p)
		}
	}
	announced := c.announcements(tags)
	for p, last := range announced {
		if held[p] != last && !c.lenient {
			return fmt.Errorf("%s: the tag holds %.15q, announced last was %.15q", p, held[p], last)
		}
	}
	for i, a := range c.actors {
		if !success[i] {
			continue
		}
		for p, d := range a.puts {
			if _, ok := announced[p]; !ok && c.strict {
				return fmt.Errorf("%s reported success without an announcement of %s", a.name, p)
			}
			if held[p] != d && !c.byAnother(i, p, held[p]) {
				return fmt.Errorf("%s reported success with %s, the tag holds %.15q", a.name, p, held[p])
			}
		}
	}
	return nil
}

// byAnother: another writer brought this very digest for the platform.
func (c *check) byAnother(i int, p, digest string) bool {
	for j, a := range c.actors {
		if d, ok := a.puts[p]; j != i && ok && d == digest {
			return true
		}
	}
	return false
}

// announcements are what the announcement tags say by platform, "" for withdrawn.
func (c *check) announcements(tags map[string]string) map[string]string {
	out := map[string]string{}
	for tag, h := range tags {
		p, ok := candidate(modelTag, tag)
		if !ok {
			continue
		}
		m, err := c.mem.manifest(h)
		if err != nil {
			c.t.Fatal(err)
		}
		if m.MediaType.IsIndex() {
			h = heldIn(c.t, c.mem.content, h)[p.String()]
		} else if artifactType(m.Raw) == WithdrawnType {
			h = ""
		}
		out[p.String()] = h
	}
	return out
}

func explorerOf(t *testing.T, s scenario, mem *memory) (*explorer, *check) {
	s.begin(mem)
	c := newCheck(t, mem, s.writers)
	x := &explorer{tag: modelTag, wrote: c.wrote, ended: c.ended}
	for _, a := range s.writers {
		var tags []string
		if !a.req.NoAnnounce {
			for _, p := range slices.Sorted(maps.Keys(a.puts)) {
				tags = append(tags, modelTag+"-"+mustPlatform(p).Suffix())
			}
		}
		x.writers = append(x.writers, &machine{name: a.name, content: mem.content, tags: tags,
			run: func(reg Registry) (Result, error) { return a.run(context.Background(), reg, a.req) }})
	}
	return x, c
}

// settleAfter runs one settle on the tags and gives what they are then.
func settleAfter(mem *memory) func(map[string]string) (map[string]string, error) {
	return func(tags map[string]string) (map[string]string, error) {
		r := &memory{content: mem.content, tags: tags}
		if len(tags) == 0 {
			return tags, nil
		}
		_, err := Settle(context.Background(), r, Request{Tag: modelTag, Jitter: noWait})
		return r.tags, err
	}
}

// appendAfter runs one more append, of a platform that no scenario has.
func appendAfter(mem *memory) func(map[string]string) (map[string]string, error) {
	add, _ := mem.addition("linux/loong64", "one more")
	return func(tags map[string]string) (map[string]string, error) {
		r := &memory{content: mem.content, tags: tags}
		_, err := Append(context.Background(), r, Request{Tag: modelTag, Jitter: noWait, Add: []Addition{add}})
		return r.tags, err
	}
}

// explore walks one scenario and reports its size.
func explore(t *testing.T, list func(*memory) []scenario, i int, set func(*explorer, *check)) error {
	t.Helper()
	mem := newMemory()
	s := list(mem)[i]
	x, c := explorerOf(t, s, mem)
	if set != nil {
		set(x, c)
	}
	begin := time.Now()
	err := x.explore(maps.Clone(mem.tags))
	nodes := 0
	for _, m := range x.writers {
		nodes += m.nodes
	}
	t.Logf("%s: %d states, %d ends, %d states of single writers, %v", s.name, len(x.seen), x.ends, nodes, time.Since(begin).Round(time.Millisecond))
	return err
}

// each runs every scenario of a list as a subtest and fails on a violation.
func each(t *testing.T, list func(*memory) []scenario, set func(*explorer, *check)) {
	for i, s := range list(newMemory()) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if err := explore(t, list, i, set); err != nil {
				t.Error(err)
			}
		})
	}
}

// dying lets writers die at any step; one settle, or one more append, follows.
func dying(x *explorer, c *check) {
	x.crashes = true
	c.after = append(c.after, settleAfter(c.mem), appendAfter(c.mem))
}

func TestModelTwoWriters(t *testing.T) { each(t, scenarios2, nil) }

// TestModelThreeWriters walks the smallest of the three-writer scenarios, and
// under MULTIPACK_STRESS all.
func TestModelThreeWriters(t *testing.T) {
	if os.Getenv("MULTIPACK_STRESS") != "" {
		each(t, scenarios3, nil)
		return
	}
	last := func(m *memory) []scenario { list := scenarios3(m); return list[len(list)-1:] }
	each(t, last, nil)
}

func TestModelTwoWritersThatMayDie(t *testing.T) { each(t, scenarios2, dying) }

func TestModelThreeWritersThatMayDie(t *testing.T) {
	if os.Getenv("MULTIPACK_STRESS") == "" {
		t.Skip("takes minutes: set MULTIPACK_STRESS=1")
	}
	each(t, scenarios3, dying)
}

// TestModelReductions compares the ends that are reached with and without the
// reductions: they must be the same ones.
func TestModelReductions(t *testing.T) {
	for i, s := range scenarios2(newMemory()) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			ends := func(full bool) (map[string]bool, int) {
				out, rounds := map[string]bool{}, 0
				err := explore(t, scenarios2, i, func(x *explorer, c *check) {
					x.full = full
					judge := x.ended
					x.ended = func(w world) error {
						for _, n := range w.at[:len(x.writers)] {
							rounds = max(rounds, n.rounds)
						}
						out[fmt.Sprint(w.tags.tags)] = true
						return judge(w)
					}
				})
				if err != nil {
					t.Error(err)
				}
				return out, rounds
			}
			full, rounds := ends(true)
			reduced, _ := ends(false)
			if !maps.Equal(full, reduced) {
				t.Errorf("%d ends without reductions, %d with them", len(full), len(reduced))
			}
			t.Logf("%d different ends, at most %d rounds", len(full), rounds)
			if rounds >= DefaultLimit/2 {
				t.Errorf("a writer needed %d rounds, the limit of %d is too near", rounds, DefaultLimit)
			}
		})
	}
}

// TestModelCanFail leaves out what the protocol rests on; each time the walk
// must find a loss.
func TestModelCanFail(t *testing.T) {
	unannounced := func(m *memory) []scenario {
		list := scenarios2(m)[:1]
		for i := range list[0].writers {
			list[0].writers[i].req.NoAnnounce = true
		}
		return list
	}
	for _, tt := range []struct {
		name string
		list func(*memory) []scenario
		set  func(*explorer, *check)
	}{
		{"without announcements", unannounced, func(_ *explorer, c *check) { c.strict = false }},
		{"a writer dies before its check and nobody settles", scenarios2, func(x *explorer, c *check) { x.crashes, c.lenient = true, true }},
		{"a listing that lags", scenarios2, func(x *explorer, c *check) { x.lag, c.lenient = true, true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := explore(t, tt.list, 0, tt.set)
			var v *violation
			if !errors.As(err, &v) {
				t.Fatalf("no loss was found: %v", err)
			}
			t.Log(v)
		})
	}
}

// TestModelAnnotations: index-level annotations of two writers both survive,
// since they travel in the announcements. Nothing is reduced here: a writer remembers from
// round to round which values were there before its own.
func TestModelAnnotations(t *testing.T) {
	t.Parallel()
	list := func(m *memory) []scenario {
		s := scenarios2(m)[0]
		for i := range s.writers {
			s.writers[i].req.Annotations = []manifest.Annotation{{Key: s.writers[i].name, Value: "1"}, {Key: "both", Value: s.writers[i].name}}
		}
		return []scenario{s}
	}
	err := explore(t, list, 0, func(x *explorer, c *check) {
		x.full = true
		judge := x.ended
		x.ended = func(w world) error {
			m, err := c.mem.manifest(w.tags.tags[modelTag])
			if err != nil {
				return err
			}
			i, err := manifest.Parse(m.Raw)
			if err != nil {
				return err
			}
			if got := i.Annotations(); got["A"] != "1" || got["B"] != "1" || got["both"] == "" {
				return fmt.Errorf("annotations %v", got)
			}
			return judge(w)
		}
	})
	if err != nil {
		t.Error(err)
	}
}
