package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// aging is how old a workload's inputs are at least.
const aging = 500 * time.Millisecond

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// workload is one thing that users do, and the ways to do it.
type workload struct {
	id    string // what -only takes
	title string
	steps []string // one block of rows for each; later ones build on earlier ones
	// setup makes what all runs share; nil for nothing.
	setup func(ctx context.Context) error
	// contenders in the order of their turns, multipack first.
	contenders []contender
	// check says what is wrong with what a step left; nil for no check.
	check func(ctx context.Context, r *run, step int) error
}

// contender is one tool's way.
type contender struct {
	tool string
	note string // tells two ways of one tool apart
	// lacks says why the tool cannot do it at all; nothing is run then.
	lacks string
	// prepare is not measured; nil for nothing.
	prepare func(ctx context.Context, r *run) error
	// steps gives the commands of each of the workload's steps. A step without
	// commands is one that the tool cannot do.
	steps func(r *run) [][]command
	// partial: the contender does the first steps only and makes no artifact,
	// so there is nothing to check.
	partial bool
}

func (c contender) name() string {
	if c.note == "" {
		return c.tool
	}
	return c.tool + " " + c.note
}

// result is a workload with its rows: all of the first step, then all of the next.
type result struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Rows  []*row `json:"rows"`
}

// measure runs a workload. An error is one that ends the benchmark; what goes
// wrong with a tool is in its rows.
func (l *lab) measure(ctx context.Context, w workload, rounds int, progress io.Writer) (result, error) {
	res := result{ID: w.id, Title: w.title}
	var turns []contender
	rows := map[string][]*row{} // by contender, one for each step
	for _, c := range w.contenders {
		if t := l.tools[c.tool]; t != nil && t.Path != "" {
			turns = append(turns, c)
		}
	}
	for i, step := range w.steps {
		for _, c := range turns {
			if c.partial && i > 0 {
				continue
			}
			r := &row{Step: step, Tool: c.tool, Note: c.note, Lacks: c.lacks}
			rows[c.name()] = append(rows[c.name()], r)
			res.Rows = append(res.Rows, r)
		}
	}
	if w.setup != nil {
		if err := w.setup(ctx); err != nil {
			for _, r := range res.Rows {
				r.Error = fmt.Sprintf("preparing the workload: %v", err)
			}
			return res, context.Cause(ctx)
		}
		// No tool takes part whose inputs are younger than a user's: a cache may
		// not trust the times of files that were written a moment ago.
		if err := pause(ctx, aging); err != nil {
			return res, err
		}
	}
	for round := range rounds {
		for _, c := range turns {
			if c.lacks != "" || rows[c.name()][0].Error != "" {
				continue
			}
			fmt.Fprintf(progress, "%s round %d/%d: %s\n", w.id, round+1, rounds, c.name())
			if err := l.turn(ctx, w, c, round, rows[c.name()]); err != nil {
				return res, err
			}
		}
	}
	return res, nil
}

// turn runs a contender once and adds a sample to each of its rows, or an error.
func (l *lab) turn(ctx context.Context, w workload, c contender, round int, rows []*row) error {
	r, err := l.newRun(w.id, c.name(), l.tools[c.tool], round)
	if err != nil {
		return err
	}
	broken := func(i int, err error) error {
		for _, row := range rows[i:] {
			row.Error, row.Samples = fmt.Sprintf("round %d: %v", round+1, err), nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return r.remove()
	}
	if c.prepare != nil {
		if err := c.prepare(ctx, r); err != nil {
			return broken(0, fmt.Errorf("preparing: %w", err))
		}
	}
	for i, commands := range c.steps(r) {
		if rows[i].Error != "" { // an earlier round has shown that it fails
			break
		}
		if len(commands) == 0 {
			rows[i].Lacks = "no such command"
			continue
		}
		before := l.traffic()
		took, err := r.do(ctx, commands)
		if err != nil {
			return broken(i, err)
		}
		got := sample{cost: took, traffic: l.traffic().minus(before)} // before the check, which asks the registry too
		if w.check != nil && !c.partial {
			if err := w.check(ctx, r, i); err != nil {
				return broken(i, fmt.Errorf("wrong result: %w", err))
			}
		}
		rows[i].Samples = append(rows[i].Samples, got)
	}
	return r.remove()
}
