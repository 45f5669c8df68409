package ui

import (
	"fmt"
	"io"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/multipack/multipack/internal/visible"
)

// Progress shows how far the steps of a command are: on a terminal one bar per
// step, elsewhere one line per finished step. It is safe for concurrent use,
// and a Progress of a quiet console shows nothing. Several may be open at once:
// they share the bars, which are gone when the last one is closed.
type Progress struct {
	c      *Console
	shown  *display // nil where there are no bars
	closed sync.Once
}

// display is the bars at the bottom of a terminal.
type display struct {
	bars  *mpb.Progress
	users int // guarded by Console.mu

	mu    sync.Mutex
	width int
	steps map[string]*step
}

type step struct {
	bar         *mpb.Bar
	parts       map[string]part
	done, total int64
}

type part struct{ done, total int64 }

// Progress starts a progress display; Close ends it.
func (c *Console) Progress() *Progress {
	p := &Progress{c: c}
	if !c.o.Terminal || c.o.Quiet {
		return p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shown == nil {
		width := c.o.Width
		if width <= 0 {
			width = 80
		}
		c.shown = &display{
			bars:  mpb.New(mpb.WithOutput(c.o.Err), mpb.WithWidth(width), mpb.WithAutoRefresh()),
			width: width, steps: map[string]*step{},
		}
	}
	c.shown.users++
	p.shown = c.shown
	return p
}

// Update says that done of total bytes of a part (a blob, say) of the step are
// through. Parts add up; a later update of the same part replaces the earlier.
func (p *Progress) Update(name, what string, done, total int64) {
	if p.shown == nil {
		return
	}
	d := p.shown
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.step(name)
	if s == nil {
		return
	}
	was, now := s.parts[what], part{done, max(total, done)}
	s.parts[what] = now
	s.done += now.done - was.done
	s.total += now.total - was.total
	s.bar.SetTotal(s.total, false)
	s.bar.SetCurrent(s.done)
}

// step is the bar of a name; where the name is long, the bar still has half of
// the line. It is nil when the display has ended.
func (d *display) step(name string) *step {
	if s, ok := d.steps[name]; ok {
		return s
	}
	label := shorten(visible.Text(name), max(narrowest, d.width/2-20))
	bar, err := d.bars.Add(0, mpb.BarStyle().Build(),
		mpb.PrependDecorators(decor.Name(lineStart+label, decor.WC{C: decor.DindentRight | decor.DextraSpace})),
		mpb.AppendDecorators(decor.CountersKiloByte("% .1f / % .1f")),
	)
	if err != nil {
		return nil
	}
	d.steps[name] = &step{bar: bar, parts: map[string]part{}}
	return d.steps[name]
}

// Finished says what was done, as a line of its own where no bars show it.
func (p *Progress) Finished(format string, args ...any) { p.c.Finished(format, args...) }

// Finished says that a step is done, where no bars show its progress.
func (c *Console) Finished(format string, args ...any) {
	if !c.o.Terminal {
		c.Note(format, args...)
	}
}

// Close takes the bars off the screen, if nobody else uses them. Only the first
// call counts.
func (p *Progress) Close() {
	if p.shown == nil {
		return
	}
	p.closed.Do(func() {
		p.c.mu.Lock() // messages wait until the bars are gone
		defer p.c.mu.Unlock()
		if p.shown.users--; p.shown.users == 0 {
			p.shown.end(p.c.o.Err)
			p.c.shown = nil
		}
	})
}

// lineStart goes to the first column. The bars are drawn again where the cursor
// is, several lines above, and a key that was pressed, Ctrl-C above all, may have
// moved it to the right.
const lineStart = "\r"

// eraseBelow empties the terminal from the cursor on (ECMA-48, ED).
const eraseBelow = "\x1b[J"

// end removes the bars and leaves the cursor where they began.
func (d *display) end(terminal io.Writer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.steps {
		s.bar.Abort(true)
	}
	d.bars.Wait()
	if len(d.steps) > 0 {
		fmt.Fprint(terminal, lineStart+eraseBelow)
	}
}
