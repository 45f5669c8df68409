package inspect

import (
	"fmt"
	"slices"
	"strings"
)

// Group is the columns of a Difference that have one value.
type Group struct {
	// Columns count from 0, in ascending order.
	Columns []int
	// Value is as Values has it.
	Value string
	// Lines are the value for people: a line for each group of an order, else one.
	Lines []string
}

// Groups are the values of d, each once, in the order of their first columns.
func Groups(d Difference) []Group {
	var out []Group
	at := map[string]int{}
	for column, value := range d.Values {
		i, seen := at[value]
		if !seen {
			i = len(out)
			at[value] = i
			out = append(out, Group{Value: value, Lines: d.lines(value)})
		}
		out[i].Columns = append(out[i].Columns, column)
	}
	return out
}

// Usual is the place of the group that most columns are in: the first of several
// such, but none without a value where another has one.
func Usual(groups []Group) int {
	usual := 0
	for i, g := range groups {
		more := len(g.Columns) - len(groups[usual].Columns)
		if more > 0 || more == 0 && groups[usual].Value == "" {
			usual = i
		}
	}
	return usual
}

// Odd are the columns in which a module is not as in most: it is missing there,
// or there alone, or what is said of it is something else.
func (m Matrix) Odd(r Row) []bool {
	odd := make([]bool, len(r.Cells))
	for _, d := range m.Differences {
		if d.Module != r.ID+"@"+r.Version {
			continue
		}
		groups := r.Groups(d)
		for i, usual := 0, Usual(groups); i < len(groups); i++ {
			for _, column := range groups[i].Columns {
				odd[column] = odd[column] || i != usual
			}
		}
	}
	return odd
}

// Groups are those of d, which is about the module. Columns that lack the module
// have nothing to say of anything but that.
func (r Row) Groups(d Difference) []Group {
	groups := Groups(d)
	if d.What == "module" {
		return groups
	}
	var out []Group
	for _, g := range groups {
		g.Columns = slices.DeleteFunc(g.Columns, func(column int) bool { return !r.Cells[column].Present })
		if len(g.Columns) > 0 {
			out = append(out, g)
		}
	}
	return out
}

// Change is a line of what is different between two orders.
type Change struct {
	// Sign is "+" for what is there, "-" for what is there in the usual order only,
	// and "" for the heading of the lines below.
	Sign, Text string
}

// OrderChanges says what is different in an order, and nil where more is than is
// not: the order as a whole is easier to read then. Both are as Values has them.
func OrderChanges(usual, value string) []Change {
	var out []Change
	kept, changed := 0, 0
	a, b := strings.Split(usual, orderSeparator), strings.Split(value, orderSeparator)
	for i := range max(len(a), len(b)) {
		group := fmt.Sprintf("Group #%d:", i+1)
		switch {
		case i >= len(a):
			out = append(out, Change{"+", group + " " + b[i]})
			changed += 1 + strings.Count(b[i], refSeparator)
		case i >= len(b):
			out = append(out, Change{"-", group + " " + a[i]})
			changed += 1 + strings.Count(a[i], refSeparator)
		default:
			lines, same := changesOf(strings.Split(a[i], refSeparator), strings.Split(b[i], refSeparator))
			if kept += same; len(lines) > 0 {
				changed += len(lines)
				out = append(append(out, Change{"", group}), lines...)
			}
		}
	}
	if changed > kept {
		return nil
	}
	return out
}

// changesOf are what b lacks and what it has besides, in order, by the longest
// sequence that both have, and how long that is.
func changesOf(a, b []string) (lines []Change, same int) {
	longest := make([][]int, len(a)+1) // of a from i on and b from j on
	for i := range longest {
		longest[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			if a[i] == b[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && longest[i+1][j] >= longest[i][j+1]:
			lines = append(lines, Change{"-", a[i]})
			i++
		default:
			lines = append(lines, Change{"+", b[j]})
			j++
		}
	}
	return lines, longest[0][0]
}

func (d Difference) lines(value string) []string {
	switch {
	case value == "":
		return []string{"(none)"}
	case d.What != "order":
		return []string{value}
	}
	groups := strings.Split(value, orderSeparator)
	for i, g := range groups {
		groups[i] = fmt.Sprintf("Group #%d: %s", i+1, g)
	}
	return groups
}
