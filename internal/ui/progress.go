package ui

import (
	"fmt"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Progress shows how far the steps of a command are: on a terminal one bar per
// step, elsewhere one line per finished step. It is safe for concurrent use,
// and a Progress of a quiet console shows nothing.
type Progress struct {
	c     *Console
	mu    sync.Mutex
	bars  *mpb.Progress
	steps map[string]*step
	// closed is set by the first Close, so that a deferred second one does nothing.
	closed bool
}

type step struct {
	bar   *mpb.Bar
	done  map[string]int64
	total map[string]int64
	over  bool
}

// Progress starts a progress display; Close ends it.
func (c *Console) Progress() *Progress {
	p := &Progress{c: c, steps: map[string]*step{}}
	if c.o.Terminal && !c.o.Quiet {
		width := c.o.Width
		if width <= 0 {
			width = 80
		}
		p.bars = mpb.New(mpb.WithOutput(c.o.Err), mpb.WithWidth(min(width, 100)))
		c.mu.Lock()
		c.above = p.bars
		c.mu.Unlock()
	}
	return p
}

// Update says that done of total bytes of a part (a blob, say) of the step are
// through. Parts add up; a later update of the same part replaces the earlier.
func (p *Progress) Update(name, part string, done, total int64) {
	if p.bars == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.step(name)
	s.done[part], s.total[part] = done, max(total, done)
	var sumDone, sumTotal int64
	for k := range s.done {
		sumDone += s.done[k]
		sumTotal += s.total[k]
	}
	if s.bar != nil && !s.over {
		s.bar.SetTotal(sumTotal, false)
		s.bar.SetCurrent(sumDone)
	}
}

func (p *Progress) step(name string) *step {
	s, ok := p.steps[name]
	if !ok {
		s = &step{done: map[string]int64{}, total: map[string]int64{}}
		s.bar = p.bars.AddBar(0,
			mpb.PrependDecorators(decor.Name(name, decor.WC{C: decor.DindentRight | decor.DextraSpace})),
			mpb.AppendDecorators(decor.CountersKiloByte("% .1f / % .1f")),
		)
		p.steps[name] = s
	}
	return s
}

// Done ends a step with a line that says what was done.
func (p *Progress) Done(name, format string, args ...any) {
	p.mu.Lock()
	if s, ok := p.steps[name]; ok && s.bar != nil && !s.over {
		s.over = true
		s.bar.SetTotal(-1, true)
	}
	p.mu.Unlock()
	p.c.Note("%s", fmt.Sprintf(format, args...))
}

// Finished says what was done, as a line of its own.
func (p *Progress) Finished(format string, args ...any) { p.c.Note(format, args...) }

// Close takes the bars off the screen's control; the lines stay.
func (p *Progress) Close() {
	if p.bars == nil || p.closed {
		return
	}
	p.closed = true
	p.mu.Lock()
	for _, s := range p.steps {
		if !s.over {
			s.over = true
			s.bar.Abort(true)
		}
	}
	p.mu.Unlock()
	p.bars.Wait()
	p.c.mu.Lock()
	p.c.above = nil
	p.c.mu.Unlock()
}
