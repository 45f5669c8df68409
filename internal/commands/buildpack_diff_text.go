package commands

import (
	"fmt"

	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/buildpack/compare"
	"github.com/multipack/multipack/pkg/buildpack/inspect"
)

// showPackageDiff shows a comparison; err is what it comes to.
func (s *session) showPackageDiff(doc packageDiff, err error) error {
	if s.globals.output == "" {
		s.writePackageDiff(doc)
		return err
	}
	if err != nil {
		body := bodyOf(err)
		doc.Error, err = &body, &documentedError{err}
	}
	if e := s.console.Document(s.globals.output, doc); e != nil {
		return e
	}
	return err
}

// writePackageDiff shows what is compared in the first line, then every platform
// with what differs.
func (s *session) writePackageDiff(doc packageDiff) {
	s.console.Result(fmt.Sprintf("%s@%s %s@%s", doc.A.Name, doc.A.Digest, doc.B.Name, doc.B.Digest))
	for _, field := range doc.Index {
		s.console.Line(ui.Cell{Text: "~ the index: " + field, Pen: ui.Changed})
	}
	for _, p := range doc.Platforms {
		switch {
		case p.Equal:
			s.console.Line(ui.Cell{Text: p.Platform, Pen: ui.Strong}, ui.Cell{Text: " the same"})
		case p.A == "":
			s.console.Line(ui.Cell{Text: "+ " + p.Platform, Pen: ui.Good}, ui.Cell{Text: " " + p.B})
		case p.B == "":
			s.console.Line(ui.Cell{Text: "- " + p.Platform, Pen: ui.Bad}, ui.Cell{Text: " " + p.A})
		default:
			s.console.Line(ui.Cell{Text: p.Platform, Pen: ui.Strong})
			s.writeDifferences(p.Result)
		}
	}
}

func (s *session) writeDifferences(r compare.Result) {
	for _, d := range r.Differences {
		what := d.What
		if d.Module != "" {
			what = d.Module + " " + what
		}
		if d.Key != "" {
			what += " '" + d.Key + "'"
		}
		if changes := inspect.OrderChanges(d.A, d.B); d.What == "order" && changes != nil {
			s.console.Line(ui.Cell{Text: "  ~ " + what, Pen: ui.Changed}, ui.Cell{Text: " different in:"})
			writeChanges(s.console, "    ", changes)
			continue
		}
		a, b := d.A, d.B
		if d.What == "layer" {
			a, b = s.brief(a), s.brief(b)
		}
		s.console.Line(change(a, b, what)...)
	}
	module := ""
	for _, f := range r.Files {
		if f.Module != module {
			module = f.Module
			s.console.Line(ui.Cell{Text: "  files of " + module})
		}
		a, b := f.Texts()
		s.console.Line(append([]ui.Cell{{Text: "  "}}, change(a, b, f.Path+" "+f.How)...)...)
	}
}

// change is one line: what was there and what is now.
func change(a, b, what string) []ui.Cell {
	switch {
	case a == "":
		return []ui.Cell{{Text: "  + " + what, Pen: ui.Good}, {Text: " " + b}}
	case b == "":
		return []ui.Cell{{Text: "  - " + what, Pen: ui.Bad}, {Text: " " + a}}
	}
	return []ui.Cell{{Text: "  ~ " + what, Pen: ui.Changed}, {Text: " " + a + " → " + b}}
}
