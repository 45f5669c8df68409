package announce

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// This file explores what any interleaving of several writers can do. A writer
// is the real code (Append, Settle). It is deterministic: what it does next is a
// function of the answers that the registry gave so far. So each writer is unfolded
// into a tree whose nodes are lists of answers, by running the real code with these
// answers until it asks for more; and the interleavings are walked over the
// nodes, depth first, remembering every (registry, node, node, …) seen.
//
// Two reductions make three writers feasible; both can be switched off, and
// TestModelReductions compares what two writers reach with and without them.
//   - Order: see explorer.choose.
//   - Memory: a writer starts every round afresh. All that a round takes from
//     earlier ones is whether it follows the writer's own write (what was read by digest
//     does not count: it cannot change). So the node at the start of a round is one of
//     two, whatever came before. A run that could go on for ever would then be a cycle;
//     the walk reports one as an error.

// op is one step that others can see or that sees others: an operation on a
// tag, or the listing. Reading by digest is none, since content never changes.
type op struct {
	kind   string // get, head, tags, put
	tag    string
	digest string // of what is put
}

func (o op) String() string {
	if o.kind == "put" {
		return fmt.Sprintf("put %s=%.15s", o.tag, o.digest)
	}
	return o.kind + " " + o.tag
}

// node is a writer after it got certain answers.
type node struct {
	id       int
	answers  []string
	next     op
	done     bool // the writer has returned
	err      error
	rounds   int
	children map[string]*node
	// pending are announcement tags that it may still write.
	pending map[string]bool
	// over: announcing is over.
	over bool
}

// machine unfolds one writer.
type machine struct {
	name    string
	run     func(Registry) (Result, error)
	content *content
	tags    []string // announcement tags that it writes
	nodes   int
	root    *node
	tag     string
	// merge makes the starts of rounds one; starts are they, by whether the round follows an own write.
	merge  bool
	starts map[bool]*node
}

var errMore = errors.New("more answers are needed")

// replay gives recorded answers, then stops the writer.
type replay struct {
	*content
	answers []string
	at      int
	asked   *op
}

func (r *replay) ask(o op) (string, error) {
	if r.asked != nil {
		return "", errMore
	}
	if r.at == len(r.answers) {
		r.asked = &o
		return "", errMore
	}
	r.at++
	return r.answers[r.at-1], nil
}

func (r *replay) Get(_ context.Context, ref string) (Manifest, error) {
	if strings.Contains(ref, ":") {
		return r.manifest(ref)
	}
	h, err := r.ask(op{kind: "get", tag: ref})
	if err != nil {
		return Manifest{}, err
	}
	return r.manifest(h)
}

// Read is one step: whether the tag is fetched or found to be the same, the answer
// is what it held at one moment.
func (r *replay) Read(ctx context.Context, tag string, _ Manifest) (Manifest, error) {
	return r.Get(ctx, tag)
}

func (r *replay) Head(_ context.Context, tag string) (v1.Hash, error) {
	h, err := r.ask(op{kind: "head", tag: tag})
	if err != nil {
		return v1.Hash{}, err
	}
	m, err := r.manifest(h)
	return m.Digest, err
}

func (r *replay) Blob(_ context.Context, h v1.Hash) ([]byte, error) { return r.blob(h) }

func (r *replay) Tags(_ context.Context, last string) ([]string, error) {
	list, err := r.ask(op{kind: "tags"})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Fields(list), func(t string) bool { return t <= last }), nil
}

func (r *replay) Put(_ context.Context, tag string, raw []byte, mt types.MediaType) error {
	_, err := r.ask(op{kind: "put", tag: tag, digest: r.add(raw, mt).Digest.String()})
	return err
}

func (r *replay) PutBlob(_ context.Context, data []byte, _ types.MediaType) error {
	r.addBlob(data)
	return nil
}

// unfold runs the real code up to the first question without an answer.
func (m *machine) unfold(answers []string) *node {
	r := &replay{content: m.content, answers: answers}
	res, err := m.run(r)
	m.nodes++
	n := &node{id: m.nodes, answers: answers, children: map[string]*node{}}
	if r.asked != nil {
		n.next = *r.asked
		return n
	}
	n.done, n.err, n.rounds = true, err, res.Rounds
	return n
}

func (m *machine) start() *node {
	if m.root == nil {
		m.root = m.unfold(nil)
		m.root.pending = map[string]bool{}
		for _, t := range m.tags {
			m.root.pending[t] = true
		}
	}
	return m.root
}

// after is the node that an answer leads to.
func (m *machine) after(n *node, answer string) *node {
	if c, ok := n.children[answer]; ok {
		return c
	}
	c := m.unfold(append(slices.Clone(n.answers), answer))
	c.pending, c.over = n.pending, n.over || n.next.kind == "tags"
	switch {
	case c.over || c.done:
		c.pending = nil
	case n.next.kind == "put" && n.pending[n.next.tag]:
		c.pending = maps.Clone(n.pending)
		delete(c.pending, n.next.tag)
	}
	if m.merge && c.over && c.next.kind == "get" && c.next.tag == m.tag {
		verifying := n.next.kind == "put"
		if first := m.starts[verifying]; first != nil {
			c = first
		} else {
			m.starts[verifying] = c
		}
	}
	n.children[answer] = c
	return c
}

// world is a state: what the tags point at, where each writer is, who crashed.
type world struct {
	tags    *board
	at      [3]*node
	crashed [3]bool
}

// board is what all tags point at; there is one value for each.
type board struct {
	id   int32
	tags map[string]string
}

// boards are the ones met so far.
type boards map[string]*board

func (b boards) of(tags map[string]string) *board {
	var key []string
	for _, t := range slices.Sorted(maps.Keys(tags)) {
		key = append(key, t+"="+tags[t])
	}
	name := strings.Join(key, " ")
	if b[name] == nil {
		b[name] = &board{id: int32(len(b)), tags: tags}
	}
	return b[name]
}

// apply is one step of the registry.
func (b boards) apply(at *board, o op) (after *board, answer string) {
	switch o.kind {
	case "put":
		next := maps.Clone(at.tags)
		next[o.tag] = o.digest
		return b.of(next), "ok"
	case "tags":
		return at, strings.Join(slices.Sorted(maps.Keys(at.tags)), " ")
	}
	return at, at.tags[o.tag]
}

// explorer walks every interleaving.
type explorer struct {
	writers []*machine
	tag     string
	crashes bool
	// full switches the reduction off.
	full bool
	// lag makes listings lack what was announced by others after the start.
	lag bool
	// wrote is called for every write of the tag, ended for every state in
	// which nobody goes on; an error stops the walk.
	wrote func(digest string) error
	ended func(w world) error

	begin    map[string]string
	boards   boards
	seen     map[key]bool // true while the walk is inside
	ends     int
	rounds   int // the most that a writer that finished needed
	schedule []string
}

// key is a world in few bytes.
type key struct {
	board   int32
	at      [3]int32
	crashed [3]bool
}

func (w world) key() key {
	k := key{board: w.tags.id, crashed: w.crashed}
	for i, n := range w.at {
		if n != nil {
			k.at[i] = int32(n.id)
		}
	}
	return k
}

// violation is an error with the schedule that leads to it.
type violation struct {
	schedule []string
	err      error
}

func (v *violation) Error() string {
	return v.err.Error() + "\nschedule:\n  " + strings.Join(v.schedule, "\n  ")
}

func (x *explorer) explore(tags map[string]string) error {
	x.begin = tags
	x.seen, x.boards = map[key]bool{}, boards{}
	w := world{tags: x.boards.of(tags)}
	for i, m := range x.writers {
		m.tag, m.merge, m.starts = x.tag, !x.full, map[bool]*node{}
		w.at[i] = m.start()
	}
	return x.walk(w)
}

func (x *explorer) walk(w world) error {
	k := w.key()
	if inside, ok := x.seen[k]; ok {
		if inside {
			return x.judge(errors.New("the writers can go on for ever"))
		}
		return nil
	}
	x.seen[k] = true
	defer func() { x.seen[k] = false }()
	alone, live := x.choose(w)
	if !live {
		x.ends++
		return x.judge(x.ended(w))
	}
	for i := range x.writers {
		if w.at[i].done || w.crashed[i] {
			continue
		}
		if alone < 0 || alone == i {
			if err := x.step(w, i); err != nil {
				return err
			}
		}
		if x.crashes {
			if err := x.crash(w, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// choose tells whether anybody can go on, and who may go first without loss:
// a writer whose next step reads an announcement tag that nobody will write any more (or
// lists tags when nobody will announce any more) commutes with every later step of the
// others, so that it is enough to let it go at once. -1: all orders matter.
func (x *explorer) choose(w world) (alone int, live bool) {
	alone = -1
	for i := range x.writers {
		if w.at[i].done || w.crashed[i] {
			continue
		}
		live = true
		if alone < 0 && !x.full && x.commutes(w, i) {
			alone = i
		}
	}
	return alone, live
}

func (x *explorer) commutes(w world, i int) bool {
	o := w.at[i].next
	if o.kind == "put" || o.tag == x.tag {
		return false
	}
	for j := range x.writers {
		if j == i || w.at[j].done || w.crashed[j] {
			continue
		}
		if w.at[j].pending[o.tag] || o.kind == "tags" && len(w.at[j].pending) > 0 {
			return false
		}
	}
	return true
}

func (x *explorer) step(w world, i int) error {
	o := w.at[i].next
	x.schedule = append(x.schedule, fmt.Sprintf("%s: %s", x.writers[i].name, o))
	defer func() { x.schedule = x.schedule[:len(x.schedule)-1] }()
	var answer string
	w.tags, answer = x.boards.apply(w.tags, o)
	if x.lag && o.kind == "tags" {
		answer = strings.Join(slices.DeleteFunc(strings.Fields(answer), func(t string) bool {
			_, old := x.begin[t]
			return !old && !slices.Contains(x.writers[i].tags, t)
		}), " ")
	}
	if o.kind == "put" && o.tag == x.tag {
		if err := x.wrote(o.digest); err != nil {
			return x.judge(err)
		}
	}
	w.at[i] = x.writers[i].after(w.at[i], answer)
	if w.at[i].done {
		x.rounds = max(x.rounds, w.at[i].rounds)
	}
	return x.walk(w)
}

func (x *explorer) crash(w world, i int) error {
	x.schedule = append(x.schedule, x.writers[i].name+" dies")
	defer func() { x.schedule = x.schedule[:len(x.schedule)-1] }()
	w.crashed[i] = true
	return x.walk(w)
}

func (x *explorer) judge(err error) error {
	if err == nil {
		return nil
	}
	return &violation{slices.Clone(x.schedule), err}
}
