package inspect

import (
	"fmt"
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
