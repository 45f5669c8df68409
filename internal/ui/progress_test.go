package ui_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/multipack/multipack/internal/ui"
)

// Lines stand above the bars, none is lost, and the bars are gone at the end.
func TestBarsLeaveTheLines(t *testing.T) {
	t.Parallel()
	c, _, errs := console(ui.Options{Terminal: true, Width: 80})
	outer, inner := c.Progress(), c.Progress()
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			for i := range 50 {
				outer.Update("one", fmt.Sprint(n), int64(i), 50)
				inner.Update("two\x1b[2J", fmt.Sprint(n), int64(i), 50)
			}
			c.Note("note %d", n)
		})
	}
	group.Wait()
	inner.Close()
	inner.Close()
	c.Note("between")
	outer.Close()
	c.Note("after")
	outer.Update("one", "late", 1, 2)
	outer.Update("three", "late", 1, 2)
	text := errs.String()
	for n := range 8 {
		if want := fmt.Sprintf("note %d\n", n); strings.Count(text, want) != 1 {
			t.Errorf("%q is there %d times:\n%q", want, strings.Count(text, want), text)
		}
	}
	if !strings.HasSuffix(text, "after\n") || strings.Count(text, "between\n") != 1 {
		t.Errorf("got %q", text)
	}
	if strings.Contains(text, "\x1b[2J") {
		t.Errorf("a name drove the terminal: %q", text)
	}
}

// A display that nobody fed leaves the lines alone.
func TestBarsWithoutSteps(t *testing.T) {
	t.Parallel()
	c, _, errs := console(ui.Options{Terminal: true, Width: 80})
	p := c.Progress()
	p.Finished("no line: bars show it")
	c.Note("line")
	p.Close()
	if got := errs.String(); strings.Count(got, "line") != 1 {
		t.Errorf("got %q", got)
	}
}
