package main

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// noIndexCommand is why skopeo takes no part in making indexes.
const noIndexCommand = "it copies indexes and cannot make or edit one"

func linux(archs ...string) []v1.Platform {
	var all []v1.Platform
	for _, a := range archs {
		all = append(all, v1.Platform{OS: "linux", Architecture: a})
	}
	return all
}

// indexWorkloads are e: an index of two images in the index's own repository,
// in another one, and in another registry.
func indexWorkloads(l *lab) []workload {
	size := l.megabytes(16)
	in := func(id, where string, repo func(*run) string, copyFirst bool) workload {
		sources := func(r *run) []string { return []string{repo(r) + ":amd64", repo(r) + ":arm64"} }
		prepare := func(ctx context.Context, r *run) error {
			images, err := plain(r.id, size, linux("amd64", "arm64")...)
			if err != nil {
				return err
			}
			return pushImages(ctx, sources(r), images)
		}
		return workload{
			id: id, title: fmt.Sprintf("make an index of 2 images of %s that are in %s", size1(size), where), steps: []string{"create"},
			check:      func(ctx context.Context, r *run, _ int) error { return checkIndex(ctx, r.out(), 2, 1) },
			contenders: indexMakers(sources, prepare, copyFirst),
		}
	}
	return []workload{
		in("e1", "the same repository", func(r *run) string { return r.repo("out") }, false),
		in("e2", "another repository", func(r *run) string { return r.repo("source") }, true),
		in("e3", "another registry", func(r *run) string { return r.farRepo("source") }, true),
	}
}

// indexMakers are all ways to make the index r.out() of two images. copyFirst
// is for a tool that takes images of the index's repository only.
func indexMakers(sources func(*run) []string, prepare func(context.Context, *run) error, copyFirst bool) []contender {
	way := func(name, note string, f func(r *run, s []string) []command) contender {
		return contender{tool: name, note: note, prepare: prepare, steps: func(r *run) [][]command { return [][]command{f(r, sources(r))} }}
	}
	return []contender{
		way(multipackName, "", func(r *run, s []string) []command {
			return []command{cmd("manifest", "create", "--publish", r.out(), s[0], s[1])}
		}),
		way(multipackName, "local list", func(r *run, s []string) []command {
			return []command{cmd("manifest", "create", r.out(), s[0], s[1]), cmd("manifest", "push", r.out())}
		}),
		way("pack", "", func(r *run, s []string) []command {
			return []command{cmd("manifest", "create", "--publish", r.out(), s[0], s[1])}
		}),
		way("crane", "", func(r *run, s []string) []command {
			return []command{cmd("index", "append", "-m", s[0], "-m", s[1], "-t", r.out())}
		}),
		way("regctl", "", func(r *run, s []string) []command {
			return []command{cmd("index", "create", r.out(), "--ref", s[0], "--ref", s[1])}
		}),
		orasIndex(way, copyFirst),
		way("buildx", "", func(r *run, s []string) []command {
			return []command{cmd("imagetools", "create", "-t", r.out(), s[0], s[1])}
		}),
		way("podman", "", func(r *run, s []string) []command {
			return []command{
				cmd("manifest", "create", "list", "docker://"+s[0], "docker://"+s[1]),
				cmd("manifest", "push", "--all", "list", "docker://"+r.out()),
			}
		}),
		{tool: "skopeo", lacks: noIndexCommand},
	}
}

// orasIndex is oras' way: its sources are tags of the index's own repository.
func orasIndex(way func(string, string, func(*run, []string) []command) contender, copyFirst bool) contender {
	create := func(r *run) command {
		return cmd("manifest", "index", "create", "--plain-http", r.out(), "amd64", "arm64")
	}
	if !copyFirst {
		return way("oras", "", func(r *run, _ []string) []command { return []command{create(r)} })
	}
	return way("oras", "copy first", func(r *run, s []string) []command {
		return []command{
			cmd("cp", "--from-plain-http", "--to-plain-http", s[0], r.repo("out")+":amd64"),
			cmd("cp", "--from-plain-http", "--to-plain-http", s[1], r.repo("out")+":arm64"),
			create(r),
		}
	})
}

// entries is the size of f's index.
const entries = 200

// many are f's images: one for each of n platforms.
func many(seed string, n int) ([]v1.Image, error) {
	var platforms []v1.Platform
	for i := range n {
		platforms = append(platforms, v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: fmt.Sprintf("10.0.20348.%d", i+1)})
	}
	return plain(seed, 64, platforms...)
}

// grow prepares a run of f: the index under the run's out tag, and one image to
// add, in the same repository. The image is the run's own, so that no registry
// has the resulting index already.
func (r *run) grow(ctx context.Context, images []v1.Image) error {
	idx, err := indexOf(images)
	if err != nil {
		return err
	}
	if err := pushIndex(ctx, r.out(), idx); err != nil {
		return err
	}
	extra, err := plain(r.id, 64, linux("amd64")...)
	if err != nil {
		return err
	}
	return pushImages(ctx, []string{r.extra()}, extra)
}

// extra is the image that f adds.
func (r *run) extra() string { return r.repo("out") + ":extra" }

// addWorkload is f in the registry: the tag is edited there.
func addWorkload(l *lab) workload {
	n := l.count(entries)
	var images []v1.Image
	w := workload{
		id: "f1", title: fmt.Sprintf("add an image to an index of %d entries in the registry", n), steps: []string{"add"},
		setup: func(context.Context) (err error) { images, err = many("f", n); return err },
		check: func(ctx context.Context, r *run, _ int) error { return checkIndex(ctx, r.out(), n+1, 1) },
		contenders: []contender{
			{tool: multipackName, steps: single(func(r *run) command { return cmd("manifest", "add", "--publish", r.out(), r.extra()) })},
			{tool: "pack", lacks: "it edits local lists only, and takes one platform of an index"},
			{tool: "crane", steps: single(func(r *run) command { return cmd("index", "append", r.out(), "-m", r.extra(), "-t", r.out()) })},
			{tool: "regctl", steps: single(func(r *run) command { return cmd("index", "add", r.out(), "--ref", r.extra()) })},
			{tool: "oras", steps: single(func(r *run) command {
				return cmd("manifest", "index", "update", "--plain-http", r.out(), "--add", "extra")
			})},
			{tool: "buildx", steps: single(func(r *run) command {
				return cmd("imagetools", "create", "--append", "-t", r.out(), r.extra())
			})},
			{tool: "podman", lacks: "it edits local lists only"},
			{tool: "skopeo", lacks: noIndexCommand},
		},
	}
	for i := range w.contenders {
		w.contenders[i].prepare = func(ctx context.Context, r *run) error { return r.grow(ctx, images) }
	}
	return w
}

// addLocalWorkload is f with the tools that keep lists on disk: the list of all
// entries is there, one is added, the list is pushed.
func addLocalWorkload(l *lab) workload {
	n := l.count(entries)
	var images []v1.Image
	prepare := func(listed func(r *run) ([]command, error)) func(context.Context, *run) error {
		return func(ctx context.Context, r *run) error {
			if err := r.grow(ctx, images); err != nil {
				return err
			}
			commands, err := listed(r)
			if err != nil {
				return err
			}
			_, err = r.do(ctx, commands)
			return err
		}
	}
	return workload{
		id: "f2", title: fmt.Sprintf("add an image to a local list of %d entries, and push it", n), steps: []string{"add, push"},
		setup: func(context.Context) (err error) { images, err = many("f", n); return err },
		check: func(ctx context.Context, r *run, _ int) error { return checkIndex(ctx, r.out(), n+1, 1) },
		contenders: []contender{
			{
				tool:    multipackName,
				prepare: prepare(func(r *run) ([]command, error) { return []command{cmd("manifest", "create", r.out(), r.out())}, nil }),
				steps: func(r *run) [][]command {
					return [][]command{{cmd("manifest", "add", r.out(), r.extra()), cmd("manifest", "push", r.out())}}
				},
			},
			{
				tool: "pack",
				prepare: prepare(func(r *run) ([]command, error) {
					args := []string{"manifest", "create", r.out()}
					for _, img := range images {
						h, err := img.Digest()
						if err != nil {
							return nil, err
						}
						args = append(args, r.repo("out")+"@"+h.String())
					}
					return []command{cmd(args...)}, nil
				}),
				steps: func(r *run) [][]command {
					return [][]command{{cmd("manifest", "add", r.out(), r.extra()), cmd("manifest", "push", r.out())}}
				},
			},
			{
				tool: "podman",
				prepare: prepare(func(r *run) ([]command, error) {
					return []command{cmd("manifest", "create", "--all", "list", "docker://"+r.out())}, nil
				}),
				steps: func(r *run) [][]command {
					return [][]command{{cmd("manifest", "add", "list", "docker://"+r.extra()), cmd("manifest", "push", "--all", "list", "docker://"+r.out())}}
				},
			},
		},
	}
}
