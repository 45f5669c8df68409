package commands

import (
	"sync"

	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/publish"
)

// done is what an event of bytes that moved has done at its end.
var done = map[string]string{"upload": "Uploaded", "load": "Loaded", "write": "Wrote"}

// observer shows what a publisher does, one step for each destination.
func observer(p *ui.Progress) publish.Observer {
	return stepObserver(p, func(e publish.Event) string { return e.Ref })
}

// stepObserver shows what a publisher does; step names the bar that an event moves.
func stepObserver(p *ui.Progress, step func(publish.Event) string) publish.Observer {
	var mu sync.Mutex
	finished := map[string]bool{}
	once := func(e publish.Event) bool {
		mu.Lock()
		defer mu.Unlock()
		key := e.Ref + e.Descriptor.Digest.String()
		was := finished[key]
		finished[key] = true
		return !was
	}
	return func(e publish.Event) {
		what := e.Descriptor.Digest.String()
		if len(what) > 19 {
			what = what[:19]
		}
		switch e.Kind {
		case "upload", "load", "write":
			p.Update(step(e), e.Ref+e.Descriptor.Digest.String(), e.Done, e.Total)
			if e.Done == e.Total && e.Total > 0 && once(e) {
				p.Finished("%s %s to '%s'", done[e.Kind], what, e.Ref)
			}
		case "mount":
			p.Finished("Mounted %s in '%s'", what, e.Ref)
		case "exists":
			p.Finished("Found %s in '%s'", what, e.Ref)
		case "tag":
			p.Finished("Tagged '%s'", e.Ref)
		case "resolve":
			p.Finished("Chose '%s' for '%s'", e.Platform, e.Ref)
		}
	}
}
