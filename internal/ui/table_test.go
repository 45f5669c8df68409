package ui_test

import (
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"

	"github.com/multipack/multipack/internal/ui"
)

// wide is a table of n columns beside a name.
func wide(name string, n int) ui.Table {
	t := ui.Table{Fixed: 1, Head: []ui.Cell{{Text: "NAME"}}}
	row := []ui.Cell{{Text: name}}
	for i := range n {
		t.Head = append(t.Head, ui.Cell{Text: "column" + string(rune('a'+i))})
		row = append(row, ui.Cell{Text: strings.Repeat(string(rune('a'+i)), 14)})
	}
	t.Rows = [][]ui.Cell{row}
	return t
}

func table(t ui.Table, width int) string {
	c, out, _ := console(ui.Options{OutWidth: width})
	c.Table(t)
	return out.String()
}

func TestTable(t *testing.T) {
	t.Parallel()
	got := table(ui.Table{
		Head: []ui.Cell{{Text: "A"}, {Text: "BB"}, {Text: "C"}},
		Rows: [][]ui.Cell{{{Text: "x"}, {Text: "日本"}, {Text: "end"}}, {{Text: "longer"}, {Text: "y"}}, {}},
	}, 0)
	want := "A       BB    C\nx       日本  end\nlonger  y\n\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTableFits(t *testing.T) {
	t.Parallel()
	table := ui.Table{Head: []ui.Cell{{Text: "AB"}, {Text: "日本"}}}
	for width, want := range map[int]bool{0: true, 7: false, 8: true, 80: true} {
		if got := table.Fits(width); got != want {
			t.Errorf("%d columns: %v", width, got)
		}
	}
}

// A file holds one table, whatever the terminal.
func TestTableIsOnePieceOffTheTerminal(t *testing.T) {
	t.Parallel()
	if got := table(wide("n", 20), 0); strings.Count(got, "\n") != 2 || strings.Count(got, "NAME") != 1 {
		t.Errorf("got\n%s", got)
	}
}

func TestTableKeepsToTheWidth(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"short", strings.Repeat("a-long-name/", 12) + "end", "日本" + strings.Repeat("語", 60)} {
		for _, width := range []int{26, 40, 80, 81, 120, 160, 1000} {
			got := table(wide(name, 12), width)
			for _, line := range strings.Split(got, "\n") {
				if w := runewidth.StringWidth(line); w > width {
					t.Errorf("%d columns of %d: %s", w, width, line)
				}
			}
			for i := range 12 {
				if cell := strings.Repeat(string(rune('a'+i)), 14); strings.Count(got, cell) != 1 {
					t.Errorf("width %d: '%s' is there %d times", width, cell, strings.Count(got, cell))
				}
			}
			if strings.Count(got, "NAME") != strings.Count(got, "\n\n")+1 {
				t.Errorf("width %d: not every part has its names:\n%s", width, got)
			}
		}
	}
}

// A long name does not make a part of every second column.
func TestTableHasFewPartsForLongNames(t *testing.T) {
	t.Parallel()
	name := "vendor/" + strings.Repeat("x", 90) + "/jre@10.4.2"
	got := table(wide(name, 12), 160)
	if parts := strings.Count(got, "NAME"); parts != 2 || !strings.Contains(got, "/jre@10.4.2") {
		t.Errorf("%d parts:\n%s", parts, got)
	}
	// Where it would not make fewer parts, the name stays.
	if got := table(wide(name, 3), 160); !strings.Contains(got, name) {
		t.Errorf("got\n%s", got)
	}
}

// Two columns are the least that can be compared.
func TestTablePutsTwoColumnsSideBySide(t *testing.T) {
	t.Parallel()
	got := table(wide("vendor/"+strings.Repeat("x", 60)+"/jre@10.4.2", 2), 80)
	if strings.Count(got, "\n") != 2 || !strings.Contains(got, "/jre@10.4.2") {
		t.Errorf("got\n%s", got)
	}
}

func TestTableShortensWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	got := table(ui.Table{Fixed: 1, Head: []ui.Cell{{Text: "NAME"}, {Text: strings.Repeat("h", 30)}}, Rows: [][]ui.Cell{{{Text: "n"}, {Text: "c"}}}}, 20)
	if want := "NAME  hhhh…hhhhhhhhh\nn     c\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTableKeepsTheEndOfNames(t *testing.T) {
	t.Parallel()
	got := table(wide("vendor/"+strings.Repeat("x", 60)+"/jre@10.4.2", 1), 40)
	if !strings.Contains(got, "…") || !strings.Contains(got, "jre@10.4.2") || !strings.Contains(got, "\nvendor/") {
		t.Errorf("got\n%s", got)
	}
}

func TestTableShowsNothingHidden(t *testing.T) {
	t.Parallel()
	got := table(ui.Table{
		Head: []ui.Cell{{Text: "h\x1b[2J"}, {Text: "x"}},
		Rows: [][]ui.Cell{{{Text: "two\nlines\u202e"}, {Text: "\u009b31m"}}},
	}, 80)
	want := "h\\x1b[2J          x\ntwo\\nlines\\u202e  \\u009b31m\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTableColoursText(t *testing.T) {
	t.Parallel()
	c, out, _ := console(ui.Options{ColorOut: true})
	c.Table(ui.Table{Head: []ui.Cell{{Text: "a", Pen: ui.Key}, {Text: "b"}}, Rows: [][]ui.Cell{{{Text: "long", Pen: ui.Bad}, {Text: "c"}}}})
	if got, want := out.String(), "\x1b[36ma\x1b[0m     b\n\x1b[31mlong\x1b[0m  c\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"one two three", 0, "one two three"},
		{"one two three", 7, "one two|three"},
		{"one two three", 80, "one two three"},
		{"abcdefghij kl", 4, "abcd|efgh|ij|kl"},
		{"ab cdefghij", 4, "ab|cdef|ghij"},
		{"日本語", 4, "日本|語"},
		{"日本", 1, "日本"},
		{"a\nb\x1b", 80, `a\nb\x1b`},
		{"", 10, ""},
	} {
		if got := strings.Join(ui.Fold(c.text, c.width), "|"); got != c.want {
			t.Errorf("Fold(%q, %d) = %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

func TestResultsCannotDriveTheTerminal(t *testing.T) {
	t.Parallel()
	c, out, _ := console(ui.Options{OutWidth: 80})
	c.Result("name\x1b[2J@sha256:1")
	if got := out.String(); got != "name\\x1b[2J@sha256:1\n" {
		t.Errorf("on a terminal: %q", got)
	}
	c, out, _ = console(ui.Options{})
	c.Result("odd\tname")
	if got := out.String(); got != "odd\tname\n" {
		t.Errorf("in a pipe: %q", got)
	}
}

func TestMessagesCannotBeForged(t *testing.T) {
	t.Parallel()
	c, _, errs := console(ui.Options{})
	c.Error("reading 'x\nERROR: forged\x1b[2J\u202e'")
	if got := errs.String(); got != "ERROR: reading 'x\n  ERROR: forged\\x1b[2J\\u202e'\n" {
		t.Errorf("stderr: %q", got)
	}
}
