package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func took(ms ...int) []sample {
	var all []sample
	for i, n := range ms {
		all = append(all, sample{
			cost:    cost{Wall: time.Duration(n) * time.Millisecond, CPU: time.Duration(2*n) * time.Millisecond, Peak: int64(i+1) << 20},
			traffic: traffic{Requests: map[string]int{"GET": n}, Up: int64(n), Down: int64(n) << 10},
		})
	}
	return all
}

func TestSummarise(t *testing.T) {
	t.Parallel()
	base := &row{Samples: took(10)}
	for _, c := range []struct {
		ms               []int
		median, min, max time.Duration
		gets             int
		ratio            float64
	}{
		{[]int{30, 10, 20}, 20, 10, 30, 20, 2},
		{[]int{40, 10}, 25, 10, 40, 10, 2.5},
		{[]int{5}, 5, 5, 5, 5, 0.5},
	} {
		s := summarise(took(c.ms...), base)
		want := spread{Median: c.median * time.Millisecond, Min: c.min * time.Millisecond, Max: c.max * time.Millisecond}
		if s.Wall != want || s.Requests["GET"] != c.gets || s.WallRatio != c.ratio || s.CPURatio != c.ratio || s.Peak != int64(len(c.ms))<<20 {
			t.Errorf("%v: %+v", c.ms, s)
		}
	}
	if s := summarise(took(1), &row{Error: "failed"}); s.WallRatio != 0 {
		t.Errorf("a ratio to a failure: %v", s.WallRatio)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	res := result{ID: "x", Title: "do it", Rows: []*row{
		{Step: "one", Tool: multipackName, Samples: took(20, 10, 30)},
		{Step: "one", Tool: "crane", Note: "slowly", Samples: took(50)},
		{Step: "one", Tool: "pack", Error: "no"},
		{Step: "two", Tool: "pack", Error: "no"},
		{Step: "two", Tool: "skopeo", Lacks: "no such command"},
	}}
	var b strings.Builder
	if err := res.write(&b); err != nil {
		t.Fatal(err)
	}
	const want = `
  step  tool            wall s  min–max      CPU s  min–max      peak MB  requests  up    down     wall ÷  CPU ÷
  one   multipack       0.020   0.010–0.030  0.040  0.020–0.060  3        GET 20    20 B  20.0 kB  1.00    1.00
  one   crane (slowly)  0.050   0.050–0.050  0.100  0.100–0.100  1        GET 50    50 B  50.0 kB  2.50    2.50
  one   pack            failed
  two   pack            failed
  two   skopeo          –
  failed: pack (one, two): no
  –: skopeo (two): no such command
`
	if got := "\n" + b.String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestTrafficDifference(t *testing.T) {
	t.Parallel()
	before := traffic{Requests: map[string]int{"GET": 2, "PUT": 1}, Up: 5, Down: 6}
	after := traffic{Requests: map[string]int{"GET": 2, "PUT": 4, "HEAD": 1}, Up: 50, Down: 60}
	d := after.minus(before)
	if fmt.Sprint(d.Requests) != "map[HEAD:1 PUT:3]" || d.Up != 45 || d.Down != 54 {
		t.Errorf("got %+v", d)
	}
	if sum := before.plus(d); fmt.Sprint(sum) != fmt.Sprint(after) {
		t.Errorf("got %+v", sum)
	}
}

func TestReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ stderr, stdout, want string }{
		{"note\nERROR: why\nTip: try\n", "", "ERROR: why"},
		{"", "first\n\nsecond\n", "first"},
		{"", "", "no message"},
	} {
		if got := reason(c.stderr, c.stdout); got != c.want {
			t.Errorf("%+v: got '%s'", c, got)
		}
	}
}
