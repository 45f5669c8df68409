package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/buildpack/inspect"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/source"
)

// matrixDocument is what -o prints of several platforms; docs/inspect.md
// describes it.
type matrixDocument struct {
	Reference string `json:"reference"`
	Kind      string `json:"kind"`
	Skew      bool   `json:"skew"`
	inspect.Matrix
	Packages []inspect.Info `json:"packages"`
	// Error is set where --fail-on-skew makes the differences one.
	Error *errorBody `json:"error,omitempty"`
}

// matrix compares the platforms and prints what there is and what differs.
func (i inspection) matrix(ctx context.Context, ref reference.Ref, list source.Listing, want platform.List) error {
	at, err := i.filtered(list.Platforms(), want)
	if err != nil {
		return err
	}
	infos, err := i.read(ctx, list, at...)
	if err != nil {
		return err
	}
	m := inspect.NewMatrix(infos)
	var skew error
	if i.flags.failOnSkew && m.Skew() {
		skew = fault.New(fault.Check, "comparing the platforms of '%s': they differ in %s", i.given, headings(m.Differences))
	}
	if i.globals.output == "" {
		matrixText{i.console, m}.write(i.given, location(ref), infos)
		return skew
	}
	doc := matrixDocument{Reference: i.given, Kind: i.module.word, Skew: m.Skew(), Matrix: m, Packages: infos}
	if skew != nil {
		body := bodyOf(skew)
		doc.Error, skew = &body, &documentedError{skew}
	}
	if err := i.console.Document(i.globals.output, doc); err != nil {
		return err
	}
	return skew
}

// Rows that differ are marked, so that it can be seen without colour too.
const (
	marked   = "! "
	unmarked = "  "
)

// matrixText writes a matrix for people.
type matrixText struct {
	*ui.Console
	inspect.Matrix
}

func (t matrixText) write(given, location string, infos []inspect.Info) {
	for _, text := range []string{fmt.Sprintf("Inspecting %s: '%s'", infos[0].Kind, given), "", location + ":", ""} {
		t.Line(ui.Cell{Text: text})
	}
	t.Table(t.table(infos[0].Kind))
	if len(infos) == 1 {
		return
	}
	t.Line()
	t.folded("", fmt.Sprintf("%d platforms, %s with every layer counted once", len(infos), ui.Size(t.UniqueSize)), ui.Plain)
	if !t.Skew() {
		t.Line(ui.Cell{Text: "No differences", Pen: ui.Good})
		return
	}
	t.Line()
	t.Line(ui.Cell{Text: "Differences:", Pen: ui.Strong})
	for _, d := range t.Differences {
		t.difference(d)
	}
}

// table has a row for each module and one for the totals.
func (t matrixText) table(kind string) ui.Table {
	table := ui.Table{Fixed: 1, Head: []ui.Cell{{Text: unmarked + strings.ToUpper(kind), Pen: ui.Strong}}}
	for _, p := range t.Platforms {
		table.Head = append(table.Head, ui.Cell{Text: p, Pen: ui.Key})
	}
	for _, row := range t.Rows {
		cells := []ui.Cell{{Text: unmarked + row.ID + "@" + row.Version}}
		if row.Skew {
			cells[0] = ui.Cell{Text: marked + row.ID + "@" + row.Version, Pen: ui.Changed}
		}
		for i, odd := range t.Odd(row) {
			cells = append(cells, t.cell(row, i, odd))
		}
		table.Rows = append(table.Rows, cells)
	}
	total := []ui.Cell{{Text: unmarked + "TOTAL", Pen: ui.Strong}}
	for _, sum := range t.Totals {
		total = append(total, ui.Cell{Text: columnsOf(counted(sum.Layers, "layer"), sum.Size), Pen: ui.Strong})
	}
	table.Rows = append(table.Rows, total)
	return table
}

// cell is a module on a platform: its layer, faint where all platforms have the
// same one, or that it is missing, and in which versions it is there instead.
// What is not as on most platforms is marked.
func (t matrixText) cell(row inspect.Row, at int, odd bool) ui.Cell {
	cell := row.Cells[at]
	if !cell.Present {
		text, others := "missing", t.versions(row.ID, at)
		if len(others) > 0 {
			text += " (has " + strings.Join(others, ", ") + ")"
		}
		if odd {
			return ui.Cell{Text: text, Pen: ui.Bad}
		}
		return ui.Cell{Text: text}
	}
	out := ui.Cell{Text: columnsOf(short(cell.Layer), cell.Size), Pen: t.pen(row, at)}
	if cell.Layer == "" {
		out = ui.Cell{Text: "no layer", Pen: ui.Bad}
	}
	if odd {
		out.Text += " " + strings.TrimSpace(marked)
		if out.Pen != ui.Bad {
			out.Pen = ui.Changed
		}
	}
	return out
}

// pen is faint for a layer that all platforms have.
func (t matrixText) pen(row inspect.Row, at int) ui.Pen {
	other := func(c inspect.Cell) bool { return c.Layer != row.Cells[at].Layer }
	if len(row.Cells) == 1 || slices.ContainsFunc(row.Cells, other) {
		return ui.Plain
	}
	return ui.Faint
}

// versions are those of a module that a platform has.
func (t matrixText) versions(id string, at int) []string {
	var out []string
	for _, row := range t.Rows {
		if row.ID == id && row.Cells[at].Present {
			out = append(out, row.Version)
		}
	}
	return out
}

// difference writes one heading, and below it each value with the platforms
// that have it. The value of most platforms, or the first of several such, is
// taken for the usual one; the others are coloured, and of orders that have much
// in common with it only what is different is shown. Of a module that is missing
// the table says the rest.
func (t matrixText) difference(d inspect.Difference) {
	const indent = "  "
	t.folded(indent, heading(d), ui.Changed)
	groups := t.groups(d)
	usual := inspect.Usual(groups)
	for i, g := range groups {
		on := t.on(g)
		if d.What == "module" {
			switch {
			case i == usual:
			case g.Value == "":
				t.folded(strings.Repeat(indent, 2), "missing on "+on, ui.Plain)
			default:
				t.folded(strings.Repeat(indent, 2), "only on "+on, ui.Plain)
			}
			continue
		}
		if i != usual && d.What == "order" {
			if changes := inspect.OrderChanges(groups[usual].Value, g.Value); changes != nil {
				t.folded(strings.Repeat(indent, 2), on+", different in:", ui.Key)
				writeChanges(t.Console, strings.Repeat(indent, 3), changes)
				continue
			}
		}
		pen := ui.Plain
		if i != usual {
			pen = ui.Changed
		}
		t.folded(strings.Repeat(indent, 2), on+":", ui.Key)
		for _, line := range g.Lines {
			t.folded(strings.Repeat(indent, 3), line, pen)
		}
	}
}

// groups are the values of d; the usual one comes first, as others refer to it.
func (t matrixText) groups(d inspect.Difference) []inspect.Group {
	groups := inspect.Groups(d)
	for _, row := range t.Rows {
		if row.ID+"@"+row.Version == d.Module {
			groups = row.Groups(d)
		}
	}
	if usual := inspect.Usual(groups); d.What == "order" {
		first := groups[usual]
		groups = slices.Insert(slices.Delete(groups, usual, usual+1), 0, first)
	}
	return groups
}

// on are the platforms of a group, by what they are or, where that is shorter, by
// what they are not.
func (t matrixText) on(g inspect.Group) string {
	var in, out []string
	for column, name := range t.Platforms {
		if slices.Contains(g.Columns, column) {
			in = append(in, name)
		} else {
			out = append(out, name)
		}
	}
	if len(in) > 3 && len(out) < len(in)/2 {
		return "all but " + strings.Join(out, ", ")
	}
	return strings.Join(in, ", ")
}

func (t matrixText) folded(indent, text string, pen ui.Pen) { folded(t.Console, indent, text, pen) }

// folded writes text within the width, set in.
func folded(c *ui.Console, indent, text string, pen ui.Pen) {
	for n, line := range ui.Fold(text, max(0, c.Width()-len(indent)-2)) {
		if n > 0 {
			line = "  " + line
		}
		c.Line(ui.Cell{Text: indent}, ui.Cell{Text: line, Pen: pen})
	}
}

// writeChanges writes what is different in an order.
func writeChanges(c *ui.Console, indent string, all []inspect.Change) {
	for _, change := range all {
		switch change.Sign {
		case "":
			folded(c, indent, change.Text, ui.Plain)
		case "-":
			folded(c, indent+"  ", "- "+change.Text, ui.Bad)
		default:
			folded(c, indent+"  ", "+ "+change.Text, ui.Good)
		}
	}
}

// headings names the first differences and counts the rest.
func headings(all []inspect.Difference) string {
	const named = 4
	var out []string
	for _, d := range all[:min(named, len(all))] {
		out = append(out, heading(d))
	}
	if rest := len(all) - named; rest > 0 {
		out = append(out, fmt.Sprintf("and %d more", rest))
	}
	return strings.Join(out, ", ")
}

// heading names what differs.
func heading(d inspect.Difference) string {
	switch {
	case d.Label == buildpack.MetadataLabel:
		return "the package's description"
	case d.Label != "":
		return fmt.Sprintf("label '%s'", d.Label)
	case d.What == "module":
		return fmt.Sprintf("module '%s'", d.Module)
	case d.Module != "":
		return fmt.Sprintf("%s of '%s'", d.What, d.Module)
	}
	return "the " + d.What
}

// columnsOf are a word and a size that line up with those above and below.
func columnsOf(word string, size int64) string { return fmt.Sprintf("%-12s %8s", word, ui.Size(size)) }

// short is a digest as people tell it from others.
func short(digest string) string {
	_, hex, _ := strings.Cut(digest, ":")
	return hex[:min(12, len(hex))]
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
