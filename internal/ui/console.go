// Package ui writes to the user: results to stdout, everything else to stderr.
package ui

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/heroku/color"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/visible"
)

// Options say how a Console behaves; they are fixed for one run.
type Options struct {
	Out, Err io.Writer
	// Color switches colour on stderr, ColorOut in what goes to stdout.
	Color, ColorOut bool
	// Terminal is set where stderr is a terminal: progress is drawn as bars.
	Terminal bool
	// Width is the terminal's width in columns where stderr is one, OutWidth where
	// stdout is; else 0.
	Width, OutWidth int
	// Quiet silences notes and progress, never results, warnings or errors.
	Quiet bool
	// Verbose shows debug lines.
	Verbose bool
	// Timestamps puts the time before each line on stderr.
	Timestamps bool
	Now        func() time.Time
}

// Console is safe for concurrent use.
type Console struct {
	o   Options
	out *output
	mu  sync.Mutex
	// shown are the progress bars that are drawn now, nil when none are: lines
	// have to stand above them.
	shown *display
}

// New is a console; Now defaults to time.Now.
func New(o Options) *Console {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Console{o: o, out: &output{w: o.Out}}
}

// Out is stdout: for documents that are the result of a command.
func (c *Console) Out() io.Writer { return c.out }

// Lost is why a part of the result did not reach stdout, nil where all did. A
// result that nobody got is no success.
func (c *Console) Lost() error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.err
}

// Divert sends what would go to stdout to stderr from now on: stdout belongs to
// an artifact that is written there, and a line more would break it.
func (c *Console) Divert() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.w, c.o.ColorOut, c.o.OutWidth = c.o.Err, c.o.Color, c.o.Width
}

// output is stdout. It keeps the first error of writing to it.
type output struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.w.Write(p)
	if err == nil {
		return n, nil
	}
	if o.err == nil {
		o.err = fault.New(fault.Failed, "writing the result to standard output: %w", bare(err))
	}
	return n, o.err
}

// bare takes "write /dev/stdout" off an error of the os package.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// Width is the terminal's width in columns, 0 where stdout is no terminal.
func (c *Console) Width() int { return c.o.OutWidth }

// Verbose reports whether debug lines are shown.
func (c *Console) Verbose() bool { return c.o.Verbose }

// Result writes one line of result to stdout: as it is, but for a terminal with
// control characters made visible.
func (c *Console) Result(line string) {
	if c.o.OutWidth > 0 {
		line = visible.Text(line)
	}
	c.write(line + "\n")
}

func (c *Console) write(text string) { fmt.Fprint(c.out, text) }

// Note is a line about what happens; -q silences it.
func (c *Console) Note(format string, args ...any) {
	if !c.o.Quiet {
		c.line("", nil, format, oneLine(args)...)
	}
}

// Success is the line that ends a command that worked; -q silences it.
func (c *Console) Success(format string, args ...any) { c.Note(format, args...) }

// Debug is shown with -v only.
func (c *Console) Debug(format string, args ...any) {
	if c.o.Verbose {
		c.line("", color.New(color.Faint), format, oneLine(args)...)
	}
}

// Warn is a warning; -q silences it as a note.
func (c *Console) Warn(format string, args ...any) {
	if !c.o.Quiet {
		c.line("Warning: ", color.New(color.FgYellow, color.Bold), format, oneLine(args)...)
	}
}

// Tip names the next step; it is part of an error or of a note's text.
func (c *Console) Tip(format string, args ...any) {
	c.line("Tip: ", color.New(color.FgHiBlue, color.Bold), format, args...)
}

// Error is never silenced.
func (c *Console) Error(format string, args ...any) {
	c.line("ERROR: ", color.New(color.FgRed, color.Bold), format, args...)
}

// line colours the prefix only, so that a message can be searched for as it
// stands.
func (c *Console) line(prefix string, col *color.Color, format string, args ...any) {
	msg := lines(fmt.Sprintf(format, args...))
	if c.o.Color && col != nil {
		if prefix == "" {
			msg = col.Sprint(msg)
		} else {
			prefix = col.Sprint(prefix)
		}
	}
	stamp := ""
	if c.o.Timestamps {
		stamp = c.o.Now().Format("2006/01/02 15:04:05.000000") + " "
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.o.Err
	if c.shown != nil {
		w, stamp = c.shown.bars, lineStart+stamp
	}
	fmt.Fprintln(w, stamp+prefix+msg)
}

// oneLine are the values of a message, texts without line feeds: those are
// another's. Errors keep theirs, which stand between errors that are joined.
func oneLine(args []any) []any {
	out := slices.Clone(args)
	for i, arg := range out {
		switch arg := arg.(type) {
		case error:
		case string:
			out[i] = visible.Text(arg)
		case fmt.Stringer:
			out[i] = visible.Text(arg.String())
		}
	}
	return out
}

// lines is a message whose control characters are made visible: texts come from
// the network. Several errors that are joined stand below each other; the lines
// after the first are set in, so that none can pass for a message of its own,
// and what was said is not said again: platforms that share a layer fail alike.
func lines(msg string) string {
	var all []string
	for l := range strings.SplitSeq(strings.TrimRight(msg, "\n"), "\n") {
		if l = visible.Text(l); !slices.Contains(all, l) {
			all = append(all, l)
		}
	}
	return strings.Join(all, "\n  ")
}

// Paint colours a part of what goes to stdout, where colour is on there.
func (c *Console) Paint(p Pen, s string) string {
	if !c.o.ColorOut || s == "" || p == Plain {
		return s
	}
	return color.New(pens[p]...).Sprint(s)
}

// Pen is a meaning that a colour carries.
type Pen int

// The meanings.
const (
	Plain Pen = iota
	Strong
	Faint
	Good
	Bad
	Changed
	Key
)

var pens = map[Pen][]color.Attribute{
	Strong:  {color.Bold},
	Faint:   {color.Faint},
	Good:    {color.FgGreen},
	Bad:     {color.FgRed},
	Changed: {color.FgYellow},
	Key:     {color.FgCyan},
}
