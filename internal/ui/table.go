package ui

import (
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/multipack/multipack/internal/visible"
)

// Cell is one field of a Table: text on one line, of whatever origin, and what
// its colour means.
type Cell struct {
	Text string
	Pen  Pen
}

// Table is rows below a head. Every column is as wide as its widest cell.
type Table struct {
	Head []Cell
	Rows [][]Cell
	// Fixed is how many columns at the left are repeated where a terminal is too
	// narrow for all columns and the others are put into tables below each other.
	Fixed int
}

// gap is what stands between columns.
const gap = "  "

// Table writes t to stdout. A terminal's width is kept to: columns that do not
// fit side by side go below each other, and texts lose their middle, those of the
// fixed columns first, so that two others fit beside them. Elsewhere every column
// is as wide as it needs to be, and nothing is lost.
func (c *Console) Table(t Table) {
	var b strings.Builder
	for i, part := range t.parts(c.Width()) {
		if i > 0 {
			b.WriteByte('\n')
		}
		for _, row := range part.all() {
			part.write(&b, row, c.Paint)
		}
	}
	c.write(b.String())
}

// Fits reports whether t is one table with nothing left out in so many columns;
// 0 has no limit.
func (t Table) Fits(limit int) bool { return limit <= 0 || t.grid().total() <= limit }

// Line writes cells to stdout, one behind the other on a line of their own.
func (c *Console) Line(cells ...Cell) {
	var b strings.Builder
	for _, cell := range clean(cells) {
		b.WriteString(c.Paint(cell.Pen, cell.Text))
	}
	c.write(b.String() + "\n")
}

// grid is a table that is laid out.
type grid struct {
	head  []Cell
	rows  [][]Cell
	width []int
}

// all are the rows, the head included.
func (g grid) all() [][]Cell { return append([][]Cell{g.head}, g.rows...) }

// parts lays t out for a width; 0 has no limit.
func (t Table) parts(limit int) []grid {
	all := t.grid()
	if limit <= 0 || all.total() <= limit {
		return []grid{all}
	}
	if len(all.width) <= t.Fixed {
		all.squeeze(len(all.width), limit, narrowest)
		return []grid{all}
	}
	pair := 0
	for i := t.Fixed; i+1 < len(all.width); i++ {
		pair = max(pair, 2*len(gap)+all.width[i]+all.width[i+1])
	}
	all.squeeze(t.Fixed, limit-pair, comfortable)
	starts := all.starts(t.Fixed, limit)
	if len(starts) > 2 {
		// Many parts: long names may cost their middle, if that makes it fewer.
		narrow := t.grid()
		narrow.squeeze(t.Fixed, min(limit-pair, max(comfortable, limit/3)), comfortable)
		if fewer := narrow.starts(t.Fixed, limit); len(fewer) < len(starts) {
			all, starts = narrow, fewer
		}
	}
	lead := all.columns(0, t.Fixed)
	var out []grid
	for i, from := range starts {
		to := len(all.width)
		if i+1 < len(starts) {
			to = starts[i+1]
		}
		part := lead.beside(all.columns(from, to))
		part.squeeze(len(part.width), limit, narrowest)
		out = append(out, part)
	}
	return out
}

// starts are the columns with which parts begin when each takes as many as fit
// into limit beside the first fixed ones.
func (g grid) starts(fixed, limit int) []int {
	var out []int
	used := 0
	for i := fixed; i < len(g.width); i++ {
		if used += len(gap) + g.width[i]; out == nil || used > limit {
			out = append(out, i)
			used = g.columns(0, fixed).total() + len(gap) + g.width[i]
		}
	}
	return out
}

// grid measures the columns. Cells that a row lacks are empty.
func (t Table) grid() grid {
	g := grid{head: clean(t.Head), width: make([]int, len(t.Head))}
	for _, row := range t.Rows {
		g.rows = append(g.rows, clean(row))
	}
	for _, row := range g.all() {
		for i, cell := range row {
			g.width[i] = max(g.width[i], columns(cell.Text))
		}
	}
	return g
}

func clean(row []Cell) []Cell {
	out := make([]Cell, len(row))
	for i, cell := range row {
		out[i] = Cell{Text: visible.Text(cell.Text), Pen: cell.Pen}
	}
	return out
}

func (g grid) total() int {
	n := -len(gap)
	for _, w := range g.width {
		n += w + len(gap)
	}
	return max(n, 0)
}

// columns is the part of g from one column up to another.
func (g grid) columns(from, to int) grid {
	cut := func(row []Cell) []Cell { return row[min(from, len(row)):min(to, len(row))] }
	out := grid{head: cut(g.head), width: g.width[from:to]}
	for _, row := range g.rows {
		out.rows = append(out.rows, cut(row))
	}
	return out
}

// beside puts the columns of right behind those of g.
func (g grid) beside(right grid) grid {
	join := func(a, b []Cell) []Cell { return append(a[:len(a):len(a)], b...) }
	out := grid{head: join(g.head, right.head), width: append(g.width[:len(g.width):len(g.width)], right.width...)}
	for i, row := range g.rows {
		out.rows = append(out.rows, join(row, right.rows[i]))
	}
	return out
}

// Columns are squeezed to the comfortable width to have more of them side by
// side, and to the narrowest to have one at all.
const (
	comfortable = 30
	narrowest   = 10
)

// squeeze shortens the widest of the first n columns, none below least, until
// they fit into limit.
func (g *grid) squeeze(n, limit, least int) {
	for over := g.columns(0, n).total() - limit; over > 0; {
		at := 0
		for i, w := range g.width[:n] {
			if w > g.width[at] {
				at = i
			}
		}
		by := min(over, g.width[at]-least)
		if by <= 0 {
			return
		}
		over -= by
		g.width[at] -= by
		for _, row := range g.all() {
			if at < len(row) {
				row[at].Text = shorten(row[at].Text, g.width[at])
			}
		}
	}
}

// write is one row; nothing is padded behind the last cell.
func (g grid) write(b *strings.Builder, row []Cell, paint func(Pen, string) string) {
	for i, cell := range row {
		b.WriteString(paint(cell.Pen, cell.Text))
		if i < len(row)-1 {
			b.WriteString(strings.Repeat(" ", g.width[i]-columns(cell.Text)) + gap)
		}
	}
	b.WriteByte('\n')
}

// measure counts columns the same way whatever the locale, so that what is
// written to a file does not depend on it.
var measure = &runewidth.Condition{StrictEmojiNeutral: true}

func columns(s string) int { return measure.StringWidth(s) }

// shorten cuts s to width columns by leaving out its middle; more is kept of
// the end, where names differ.
func shorten(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	head := measure.Truncate(s, width/3, "")
	tail := measure.TruncateLeft(s, columns(s)-(width-1-columns(head)), "")
	return head + "…" + tail
}

// Fold breaks text at blanks into lines of at most width columns; 0 is no limit.
// A word that is longer than a line is broken where the line ends.
func Fold(text string, width int) []string {
	text = visible.Text(text)
	if width <= 0 || columns(text) <= width {
		return []string{text}
	}
	var out []string
	line := ""
	for _, word := range strings.Split(text, " ") {
		switch {
		case line != "" && columns(line)+1+columns(word) <= width:
			line += " " + word
			continue
		case line != "":
			out = append(out, line)
		}
		for line = word; columns(line) > width; {
			part := measure.Truncate(line, width, "")
			if part == "" { // a character that is wider than the line
				break
			}
			out = append(out, part)
			line = line[len(part):]
		}
	}
	return append(out, line)
}
