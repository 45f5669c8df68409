package announce

import (
	"encoding/json"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

// notes gathers what the user should know; each is said once.
type notes struct {
	taken   []claim // announcements of others that went into the index
	ignored []claim
	lost    []claim // own announcements that another job replaced
	stale   []claim // announcements that --no-announce left standing
}

func addOnce(list []claim, c claim) []claim {
	if slices.ContainsFunc(list, func(o claim) bool { return o.tag == c.tag && o.digest == c.digest }) {
		return list
	}
	return append(list, c)
}

// collected keeps the claims of other jobs that a write of this writer put in.
func (n *notes) collected(w *writer, changed []claim) {
	for _, c := range changed {
		if own, mine := w.own[c.tag]; c.tag != "" && c.ignored == "" && !(mine && own == c.digest) {
			n.taken = addOnce(n.taken, c)
		}
	}
}

// read keeps what is odd about the claims that a round read.
func (n *notes) read(w *writer, claims []claim) {
	n.lost = nil // only the latest round counts
	for _, c := range claims {
		if c.ignored != "" {
			if !c.distro {
				n.ignored = addOnce(n.ignored, c)
			}
			continue
		}
		if own, mine := w.own[c.tag]; mine && own != c.digest {
			n.lost = append(n.lost, c)
		}
		if w.req.NoAnnounce && w.contradicts(c) {
			n.stale = addOnce(n.stale, c)
		}
	}
}

// contradicts reports whether an announcement is older than what this writer
// puts in without announcing it.
func (w *writer) contradicts(c claim) bool {
	for _, b := range w.brings {
		if b.platform.Suffix() == c.platform.Suffix() {
			return c.withdrawn || c.entry.Descriptor.Digest != b.entry.Descriptor.Digest
		}
	}
	return !c.withdrawn && slices.ContainsFunc(w.req.Remove, func(p platform.Platform) bool {
		return p.Normalize().Suffix() == c.platform.Suffix()
	})
}

// render makes the sentences.
func (n *notes) render(w *writer, missing []platform.Platform) []string {
	var out []string
	for _, c := range n.taken {
		if c.withdrawn {
			out = append(out, fmt.Sprintf("%s was taken out: '%s' says that another job withdrew it", c.platform, w.req.show(c.tag)))
		} else {
			out = append(out, fmt.Sprintf("%s was taken from the announcement '%s' of another job", c.platform, w.req.show(c.tag)))
		}
	}
	for _, c := range n.lost {
		out = append(out, fmt.Sprintf("another job announced %s later than this one: its '%s' counts", c.platform, w.req.show(c.tag)))
	}
	for _, c := range n.ignored {
		out = append(out, fmt.Sprintf("'%s' does not count as an announcement: %s", w.req.show(c.tag), c.ignored))
	}
	for _, c := range n.stale {
		out = append(out, fmt.Sprintf("'%s' still announces something else for %s, which the next append or settle will bring back", w.req.show(c.tag), c.platform))
	}
	if w.req.NoAnnounce {
		out = append(out, fmt.Sprintf("nothing was announced: another job that writes '%s' at the same time may undo this", w.req.show(w.req.Tag)))
	}
	if len(missing) > 0 {
		out = append(out, fmt.Sprintf("'%s' still lacks %s", w.req.show(w.req.Tag), names(missing)))
	}
	return out
}

func (w *writer) result(v view, rounds int) Result {
	r := Result{Manifest: v.cur.m, Index: v.cur.doc, Platforms: v.cur.doc.Platforms(), Rounds: rounds, Writes: w.wrote}
	for _, tag := range w.order {
		if w.own[tag] == w.marker.Digest {
			r.Withdrawn = append(r.Withdrawn, tag)
		} else {
			r.Announced = append(r.Announced, tag)
		}
	}
	for _, p := range w.req.Expect {
		if !slices.Contains(r.Platforms, p.Normalize()) {
			r.Missing = append(r.Missing, p.Normalize())
		}
	}
	for _, c := range w.notes.taken {
		r.Collected = append(r.Collected, c.announcement(v.cur.doc))
	}
	r.Notes = w.notes.render(w, r.Missing)
	return r
}

// Announcement is one announcement tag as a user sees it.
type Announcement struct {
	// Tag is the announcement tag, Digest what it holds.
	Tag    string  `json:"tag"`
	Digest v1.Hash `json:"digest"`
	// Platform is the announced or withdrawn one, normalised.
	Platform platform.Platform `json:"-"`
	// PlatformName is Platform.String().
	PlatformName string `json:"platform"`
	// Withdrawn marks "not this platform"; Entry and Image are empty then.
	Withdrawn bool `json:"withdrawn,omitempty"`
	// Entry is the descriptor that a union writes, Image its digest.
	Entry json.RawMessage `json:"entry,omitempty"`
	Image *v1.Hash        `json:"image,omitempty"`
	// Held is set where the tag has it: the entry is there, or the withdrawn platform is not.
	Held bool `json:"held"`
	// Ignored says why the tag does not count, "" where it does.
	Ignored string `json:"ignored,omitempty"`
}

func (c claim) announcement(i manifest.Index) Announcement {
	a := Announcement{Tag: c.tag, Digest: c.digest, Platform: c.platform, PlatformName: c.platform.String(),
		Withdrawn: c.withdrawn, Ignored: c.ignored}
	if c.ignored != "" {
		return a
	}
	a.Held = c.heldBy(i)
	if !c.withdrawn {
		image := c.entry.Descriptor.Digest
		a.Entry, a.Image = c.entry.Raw, &image
	}
	return a
}
