package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// lab is what all runs share: programs, registries, inputs.
type lab struct {
	dir       string // everything temporary is below it
	launcher  string
	tools     map[string]*tool
	near, far *registry
	binaries  map[string][]string // architecture to files, see realBinaries
	scale     float64
	runs      int // so far
}

// newLab builds the programs and starts the registries. Its close must be
// called, also after an error.
func newLab(ctx context.Context, o options) (l *lab, err error) {
	l = &lab{tools: map[string]*tool{}, scale: o.scale, binaries: o.binaries}
	if l.dir, err = os.MkdirTemp("", "mpbench-"); err != nil {
		return l, err
	}
	if l.launcher, err = build(ctx, l.dir, "measure", "bench/measure"); err != nil {
		return l, err
	}
	limit, err := build(ctx, l.dir, limitName, "bench/limit")
	if err != nil {
		return l, err
	}
	l.tools[limitName] = &tool{Name: limitName, Path: limit}
	own := o.multipack
	if own == "" {
		own, err = build(ctx, l.dir, multipackName, "cmd/multipack")
	} else {
		own, err = filepath.Abs(own)
	}
	if err != nil {
		return l, err
	}
	l.tools[multipackName] = &tool{Name: multipackName, Path: own, version: []string{"version"}}
	l.tools[multipackName].Version = versionOf(ctx, l.tools[multipackName])
	for _, t := range o.peers {
		l.tools[t.Name] = t
	}
	if l.near, err = startRegistry(ctx, filepath.Join(l.dir, "near")); err != nil {
		return l, err
	}
	if l.far, err = startRegistry(ctx, filepath.Join(l.dir, "far")); err != nil {
		return l, err
	}
	return l, nil
}

// close stops the registries and removes all files.
func (l *lab) close() error {
	var errs []error
	for _, r := range []*registry{l.near, l.far} {
		if r != nil {
			errs = append(errs, r.stop())
		}
	}
	if l.dir != "" {
		errs = append(errs, os.RemoveAll(l.dir))
	}
	return errors.Join(errs...)
}

func (l *lab) hosts() []string { return []string{l.near.host, l.far.host} }

func (l *lab) traffic() traffic { return l.near.traffic().plus(l.far.traffic()) }

// megabytes gives n MiB in bytes at the lab's scale, 16 KiB at least.
func (l *lab) megabytes(n float64) int64 {
	return max(int64(math.Round(n*l.scale*(1<<20))), 16<<10)
}

// count gives n at the lab's scale, 2 at least and never more than n.
func (l *lab) count(n int) int {
	return min(max(int(math.Ceil(float64(n)*l.scale)), 2), n)
}

// run is one turn of one contender.
type run struct {
	*lab
	tool  *tool
	id    string // unique; the start of every repository name
	dir   string // empty folder of its own, the working folder too
	short string // see tool.fixed
	env   []string
	base  []string // arguments before all others
	// kept are the blobs that the registries, near and far, had before.
	kept [2][]string
	// output is what the last command of the last step wrote to stdout.
	output []byte
}

// newRun makes the folders of a contender's turn.
func (l *lab) newRun(workload, contender string, t *tool, round int) (*run, error) {
	id := strings.Trim(fmt.Sprintf("%s/%d/%s", workload, round, slug(contender)), "/")
	r := &run{lab: l, tool: t, id: id, dir: filepath.Join(l.dir, "runs", id, "work")}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return nil, err
	}
	homeDir := filepath.Join(l.dir, "runs", id, "home")
	env, err := home(homeDir, l.hosts())
	if err != nil {
		return nil, err
	}
	l.runs++
	r.short = filepath.Join(l.dir, strconv.Itoa(l.runs))
	r.env, r.base = env, t.fixed(r.short, l.hosts())
	for i, reg := range []*registry{l.near, l.far} {
		if r.kept[i], err = reg.content(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// slug gives a name that a repository may have.
func slug(s string) string {
	return strings.Trim(strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}, strings.ToLower(s)), "-")
}

// repo is a repository that no other run uses.
func (r *run) repo(name string) string { return r.near.host + "/" + r.id + "/" + name }

// farRepo is the same in the other registry.
func (r *run) farRepo(name string) string { return r.far.host + "/" + r.id + "/" + name }

// out is where a run's result goes.
func (r *run) out() string { return r.repo("out") + ":1" }

// do runs commands one after the other.
func (r *run) do(ctx context.Context, commands []command) (cost, error) {
	var total cost
	for _, c := range commands {
		dir := c.dir
		if dir == "" {
			dir = r.dir
		}
		one, out, err := measured(ctx, r.launcher, slices.Concat([]string{r.tool.Path}, r.base, c.args), r.env, dir)
		if err != nil {
			return total, fmt.Errorf("%s: %w", r.tool.Name+" "+strings.Join(verbs(c.args), " "), err)
		}
		total, r.output = total.plus(one), out
	}
	return total, nil
}

// verbs are the leading words of a command line, for messages.
func verbs(args []string) []string {
	n := slices.IndexFunc(args, func(a string) bool { return strings.ContainsAny(a, "-/:.=") })
	if n < 0 {
		n = len(args)
	}
	return args[:n]
}

// remove deletes what the run left on disk and in the registries.
func (r *run) remove() error {
	return errors.Join(r.near.reset(r.id, r.kept[0]), r.far.reset(r.id, r.kept[1]), os.RemoveAll(filepath.Join(r.lab.dir, "runs", r.id)), os.RemoveAll(r.short))
}
