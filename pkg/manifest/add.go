package manifest

import (
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// ErrDuplicate is the error of an Add that changes nothing because every
// digest is in the index already.
var ErrDuplicate = errors.New("the index has it already")

// ErrPlatformTaken is what a *PlatformTakenError is.
var ErrPlatformTaken = errors.New("the platform is taken")

// PlatformTakenError says that an index has another image for the platform.
type PlatformTakenError struct {
	// Have is the entry that has the platform, New the one that wants it.
	Have, New Entry
}

func (e *PlatformTakenError) Error() string {
	return fmt.Sprintf("adding '%s' for '%s': the platform is taken by '%s'", e.New.Descriptor.Digest, e.New.Platform, e.Have.Descriptor.Digest)
}

// Is makes errors.Is(err, ErrPlatformTaken) true.
func (e *PlatformTakenError) Is(target error) bool { return target == ErrPlatformTaken }

// AddOptions say how entries are added.
type AddOptions struct {
	// Replace lets a new entry take the place of the one that has its platform.
	Replace bool
}

// Outcome is what adding did with one entry.
type Outcome string

// The outcomes.
const (
	Added     Outcome = "added"
	Unchanged Outcome = "unchanged"
	Replaced  Outcome = "replaced"
)

// Addition is what became of one entry that was to be added.
type Addition struct {
	Entry   Entry
	Outcome Outcome
	// Gone are the entries that had to go: the one replaced and its attestations.
	Gone []Entry
}

// Add appends descriptors. One whose digest is there already changes nothing;
// when that is so for all of them the error is ErrDuplicate, with i itself.
// Where a platform is taken nothing is added, and the error (fault.Conflict)
// joins a *PlatformTakenError for each.
func (i Index) Add(descriptors ...v1.Descriptor) (Index, error) {
	entries := make([]Entry, len(descriptors))
	for n, d := range descriptors {
		var err error
		if entries[n], err = NewEntry(d); err != nil {
			return i, err
		}
	}
	next, additions, err := i.AddEntries(AddOptions{}, entries...)
	if err != nil {
		return i, err
	}
	same := func(a Addition) bool { return a.Outcome == Unchanged }
	if len(additions) > 0 && !slices.ContainsFunc(additions, func(a Addition) bool { return !same(a) }) {
		return i, fmt.Errorf("adding '%s': %w", descriptors[0].Digest, ErrDuplicate)
	}
	return next, nil
}

// AddEntries appends entries with the bytes that they have, which may be those
// of another index, and says what became of each. The same digest again is no
// change, unless Replace is set and the new entry says something else; but of
// entries that are added together one image may stand for several platforms.
// Two entries that are added together count as one after the other.
//
// Without Replace a platform that is taken is a fault.Conflict that joins a
// *PlatformTakenError for each; with it the new entry stands where the old one
// stood, and the old one's attestations go with it.
func (i Index) AddEntries(o AddOptions, entries ...Entry) (Index, []Addition, error) {
	w := newWork(i)
	additions := make([]Addition, 0, len(entries))
	var errs []error
	for _, e := range entries {
		e, err := settled(e)
		if err != nil {
			return i, nil, err
		}
		a, err := w.add(e, o.Replace, false)
		errs = append(errs, err)
		additions = append(additions, a)
	}
	if err := errors.Join(errs...); err != nil {
		return i, nil, fault.Hint(fault.As(fault.Conflict, err), "use --replace to put the new image in its place")
	}
	return w.index(), additions, nil
}

// settled is e with its bytes and what follows from them.
func settled(e Entry) (Entry, error) {
	if len(e.Raw) == 0 {
		return NewEntry(e.Descriptor)
	}
	return parseEntry(slices.Clone(e.Raw))
}

// work is an index while entries are added to it: with ways to find them.
type work struct {
	base       Index
	slots      []slot
	gone       []bool
	fresh      []bool // added by this work
	byDigest   map[v1.Hash]int
	byPlatform map[platform.Platform]int // the first that is not gone
	of         map[v1.Hash][]int         // attestations by their image
	changed    bool
}

func newWork(i Index) *work {
	w := &work{
		base: i, byDigest: map[v1.Hash]int{}, byPlatform: map[platform.Platform]int{}, of: map[v1.Hash][]int{},
	}
	for _, s := range i.entries {
		w.append(s, false)
	}
	return w
}

func (w *work) append(s slot, fresh bool) {
	n := len(w.slots)
	w.slots = append(w.slots, s)
	w.gone = append(w.gone, false)
	w.fresh = append(w.fresh, fresh)
	w.enter(n)
}

// enter makes slot n findable.
func (w *work) enter(n int) {
	e := w.slots[n].Entry
	if _, ok := w.byDigest[e.Descriptor.Digest]; !ok {
		w.byDigest[e.Descriptor.Digest] = n
	}
	if e.IsAttestation {
		w.of[e.AttestationOf] = append(w.of[e.AttestationOf], n)
	}
	if e.HasPlatform() {
		if _, ok := w.byPlatform[e.Platform]; !ok {
			w.byPlatform[e.Platform] = n
		}
	}
}

// drop takes slot n out, and the attestations of its image unless another
// entry has the same image.
func (w *work) drop(n int) []Entry {
	w.changed = true
	old := w.slots[n].Entry
	w.gone[n] = true
	w.forget(n)
	out := []Entry{old}
	if _, ok := w.byDigest[old.Descriptor.Digest]; ok || old.IsAttestation {
		return out
	}
	for _, at := range w.of[old.Descriptor.Digest] {
		if !w.gone[at] && !w.fresh[at] {
			out = append(out, w.drop(at)...)
		}
	}
	return out
}

// forget makes slot n, which is gone or about to change, unfindable, and what
// it hid findable.
func (w *work) forget(n int) {
	e := w.slots[n].Entry
	if w.byDigest[e.Descriptor.Digest] == n {
		delete(w.byDigest, e.Descriptor.Digest)
		for k, s := range w.slots {
			if k != n && !w.gone[k] && s.Descriptor.Digest == e.Descriptor.Digest {
				w.byDigest[e.Descriptor.Digest] = k
				break
			}
		}
	}
	if at, ok := w.byPlatform[e.Platform]; ok && at == n {
		delete(w.byPlatform, e.Platform)
		for k, s := range w.slots {
			if k != n && !w.gone[k] && s.HasPlatform() && s.Platform == e.Platform {
				w.byPlatform[e.Platform] = k
				break
			}
		}
	}
}

// add puts one entry in. merging lets several new entries share a platform, as
// they did in the index that they come from.
func (w *work) add(e Entry, replace, merging bool) (Addition, error) {
	same, isThere := w.same(e, merging)
	if isThere && (!replace || string(w.slots[same].Raw) == string(e.Raw)) {
		return Addition{Entry: w.slots[same].Entry, Outcome: Unchanged}, nil
	}
	at, taken := w.byPlatform[e.Platform]
	taken = taken && e.HasPlatform()
	switch {
	case isThere && (!taken || at == same):
		return Addition{Entry: e, Outcome: Replaced, Gone: w.put(same, e)}, nil
	case !taken || merging && w.fresh[at]:
		w.changed = true
		w.append(w.base.appended(e), true)
		return Addition{Entry: e, Outcome: Added}, nil
	case !replace:
		return Addition{}, &PlatformTakenError{Have: w.slots[at].Entry, New: e}
	}
	gone := w.put(at, e)
	// Where the index had several for the platform, one is left: the new one.
	for k := range w.slots {
		if k != at && !w.gone[k] && !w.fresh[k] && w.slots[k].HasPlatform() && w.slots[k].Platform == e.Platform {
			gone = append(gone, w.drop(k)...)
		}
	}
	if isThere && !w.gone[same] {
		gone = append(gone, w.drop(same)...) // the image stood under another platform
	}
	return Addition{Entry: e, Outcome: Replaced, Gone: gone}, nil
}

// same is the slot that has e already: that has its digest and, when indexes
// are merged or when it is as new as e, its platform too, since one image may
// stand for several.
func (w *work) same(e Entry, merging bool) (int, bool) {
	n, ok := w.byDigest[e.Descriptor.Digest]
	if !ok || !merging && !w.fresh[n] || w.slots[n].Platform == e.Platform {
		return n, ok
	}
	n, ok = w.byPlatform[e.Platform]
	return n, ok && w.slots[n].Descriptor.Digest == e.Descriptor.Digest
}

// put lets e stand where slot n stands, and says what had to go for it.
func (w *work) put(n int, e Entry) []Entry {
	var gone []Entry
	if old := w.slots[n].Entry; old.Descriptor.Digest != e.Descriptor.Digest {
		gone = w.drop(n)
	} else {
		w.gone[n] = true
		w.forget(n)
	}
	w.changed = true
	w.gone[n] = false
	w.fresh[n] = true
	w.slots[n].Entry = e
	w.enter(n)
	return gone
}

// index is the result.
func (w *work) index() Index {
	if !w.changed {
		return w.base
	}
	kept := make([]slot, 0, len(w.slots))
	for n, s := range w.slots {
		if !w.gone[n] {
			kept = append(kept, s)
		}
	}
	return w.base.edited(kept)
}
