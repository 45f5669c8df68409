package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// workloadIDs are the letters that -only takes.
const workloadIDs = "abcdefghi"

// needsBinaries says whether any of the workloads needs real binaries.
func needsBinaries(only []string) bool {
	return len(only) == 0 || slices.ContainsFunc(only, func(id string) bool { return strings.Contains("abcdg", id) })
}

// workloads are all of them, in order.
func workloads(l *lab) []workload {
	return slices.Concat(
		[]workload{componentWorkload(l), alikeWorkload(l), compositeWorkload(l), foldersWorkload(l)},
		indexWorkloads(l),
		[]workload{addWorkload(l), addLocalWorkload(l)},
		inspectWorkloads(l),
		[]workload{startWorkload(), archiveWorkload(l)},
	)
}

// twice is for workloads that measure the same command again on what it has
// already done.
func twice(commands ...command) [][]command { return [][]command{commands, commands} }

// packages are multipack's and pack's command for publishing a folder.
func packages(ref, dir string, platforms []string) (own, pack command) {
	own = cmd("buildpack", "package", ref, "--path", dir, "--platform", strings.Join(platforms, ","), "--publish")
	args := []string{"buildpack", "package", ref, "--path", ".", "--publish"}
	for _, p := range platforms {
		args = append(args, "--target", p)
	}
	return own, cmd(args...).in(dir) // pack looks for the platform folders in the working folder
}

func componentWorkload(l *lab) workload {
	platforms := []string{"linux/amd64", "linux/arm64"}
	dir := filepath.Join(l.dir, "in", "a")
	size := l.megabytes(64)
	w := workload{
		id: "a", title: fmt.Sprintf("package a component, %d platforms × %s of binaries", len(platforms), size1(size)),
		steps: []string{"cold", "again"},
		setup: func(context.Context) error { _, err := l.big(dir, size, platforms...); return err },
		check: func(ctx context.Context, r *run, _ int) error { return checkIndex(ctx, r.out(), len(platforms), 1) },
	}
	w.contenders = append(packagers(dir, platforms), contender{
		tool: limitName, note: "read, hash, gzip only", partial: true,
		steps: func(*run) [][]command {
			return [][]command{{cmd(filepath.Join(dir, "linux", "amd64"), filepath.Join(dir, "linux", "arm64"))}}
		},
	})
	return w
}

// packagers are the contenders that publish the component in dir, twice.
func packagers(dir string, platforms []string) []contender {
	return []contender{
		{tool: multipackName, steps: func(r *run) [][]command { own, _ := packages(r.out(), dir, platforms); return twice(own) }},
		{tool: "pack", steps: func(r *run) [][]command { _, pack := packages(r.out(), dir, platforms); return twice(pack) }},
	}
}

func alikeWorkload(l *lab) workload {
	platforms := []string{"linux/amd64", "linux/arm64", "linux/arm/v6", "linux/arm/v7", "linux/386", "linux/ppc64le", "linux/s390x", "linux/riscv64"}
	dir := filepath.Join(l.dir, "in", "b")
	size := l.megabytes(20)
	return workload{
		id: "b", title: fmt.Sprintf("package a component, %d platforms × %s that share 90 %% of their files", len(platforms), size1(size)),
		steps:      []string{"cold", "again"},
		setup:      func(context.Context) error { _, err := l.alike(dir, size, platforms...); return err },
		check:      func(ctx context.Context, r *run, _ int) error { return checkIndex(ctx, r.out(), len(platforms), 1) },
		contenders: packagers(dir, platforms),
	}
}

// parts are the components that c, d and g use.
func (l *lab) parts(dir string) ([]component, error) {
	return l.small(dir, l.count(20), l.megabytes(2), "linux/amd64", "linux/arm64")
}

func compositeWorkload(l *lab) workload {
	in := filepath.Join(l.dir, "in", "c")
	dir := filepath.Join(in, "composite")
	config := filepath.Join(dir, "package.toml")
	n := l.count(20)
	setup := func(ctx context.Context) error {
		parts, err := l.parts(in)
		if err != nil {
			return err
		}
		var refs []string
		for i, c := range parts {
			refs = append(refs, fmt.Sprintf("%s/seed/c/part-%02d:1", l.near.host, i))
			idx, err := c.packaged()
			if err == nil {
				err = pushIndex(ctx, refs[i], idx)
			}
			if err != nil {
				return err
			}
		}
		return composite(dir, parts, refs)
	}
	return workload{
		id: "c", title: fmt.Sprintf("package a composite of %d components × 2 platforms from the same registry", n),
		steps: []string{"cold", "again"}, setup: setup,
		check: func(ctx context.Context, r *run, _ int) error { return checkIndex(ctx, r.out(), 2, n+1) },
		contenders: []contender{
			{tool: multipackName, steps: func(r *run) [][]command {
				return twice(cmd("buildpack", "package", r.out(), "--config", config, "--publish"))
			}},
			{tool: "pack", steps: func(r *run) [][]command {
				return twice(cmd("buildpack", "package", r.out(), "--config", config, "--publish").in(dir))
			}},
		},
	}
}

func foldersWorkload(l *lab) workload {
	in := filepath.Join(l.dir, "in", "d")
	dir := filepath.Join(in, "composite")
	config := filepath.Join(dir, "package.toml")
	n := l.count(20)
	var parts []component
	setup := func(context.Context) error {
		var err error
		if parts, err = l.parts(in); err != nil {
			return err
		}
		var paths []string
		for _, c := range parts {
			paths = append(paths, filepath.ToSlash(filepath.Join("..", filepath.Base(c.dir))))
		}
		return composite(dir, parts, paths)
	}
	each := func(r *run) []command { // publish every component first
		var all []command
		for i, c := range parts {
			_, pack := packages(r.repo(fmt.Sprintf("part-%02d", i))+":1", c.dir, c.platforms)
			all = append(all, pack)
		}
		return append(all, cmd("buildpack", "package", r.out(), "--config", "package.toml", "--publish"))
	}
	return workload{
		id: "d", title: fmt.Sprintf("package a composite of %d components × 2 platforms from folders", n),
		steps: []string{"cold", "again"}, setup: setup,
		check: func(ctx context.Context, r *run, _ int) error { return checkIndex(ctx, r.out(), 2, n+1) },
		contenders: []contender{
			{tool: multipackName, steps: func(r *run) [][]command {
				return twice(cmd("buildpack", "package", r.out(), "--config", config, "--publish"))
			}},
			{tool: "pack", steps: func(r *run) [][]command {
				return twice(cmd("buildpack", "package", r.out(), "--config", config, "--publish").in(dir))
			}},
			{tool: "pack", note: "components first", steps: func(r *run) [][]command { return twice(each(r)...) },
				prepare: func(_ context.Context, r *run) error {
					var refs []string
					for i := range parts {
						refs = append(refs, r.repo(fmt.Sprintf("part-%02d", i))+":1")
					}
					return composite(r.dir, parts, refs)
				}},
		},
	}
}

// size1 gives a size for titles, without a decimal where there is none.
func size1(n int64) string { return strings.Replace(size(n), ".0 ", " ", 1) }
