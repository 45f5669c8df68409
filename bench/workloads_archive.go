package main

import (
	"context"
	"fmt"
)

// archiveWorkload is i: an index to disk, and from there to another registry
// and into a local store.
func archiveWorkload(l *lab) workload {
	platforms := linux("amd64", "arm64", "s390x")
	size := l.megabytes(50)
	const file, dir, layout = "saved.tar", "saved", "saved:1"
	from := func(r *run) string { return r.repo("source") + ":1" }
	to := func(r *run) string { return r.farRepo("out") + ":1" }
	prepare := func(ctx context.Context, r *run) error {
		images, err := plain(r.id, size, platforms...)
		if err != nil {
			return err
		}
		idx, err := indexOf(images)
		if err != nil {
			return err
		}
		return pushIndex(ctx, from(r), idx)
	}
	// pair are the steps of a tool without a local store that takes indexes.
	pair := func(save, load func(r *run) command) func(*run) [][]command {
		return func(r *run) [][]command { return [][]command{{save(r)}, {load(r)}, nil} }
	}
	w := workload{
		id: "i", title: fmt.Sprintf("save an index of %d platforms × %s, and load it", len(platforms), size1(size)),
		steps: []string{"save", "to another registry", "to local store"},
		check: func(ctx context.Context, r *run, step int) error {
			if step == 1 {
				return checkIndex(ctx, to(r), len(platforms), 1)
			}
			return nil
		},
		contenders: []contender{
			{tool: multipackName, steps: func(r *run) [][]command {
				return [][]command{
					{cmd("manifest", "save", from(r), "-O", file)},
					{cmd("manifest", "copy", "oci-archive:"+file, to(r))},
					{cmd("manifest", "load", "-i", file, "loaded")},
				}
			}},
			{tool: "pack", lacks: "it cannot save or load lists"},
			{tool: "crane", steps: pair(
				func(r *run) command { return cmd("pull", "--format", "oci", from(r), dir) },
				func(r *run) command { return cmd("push", dir, to(r)) })},
			{tool: "regctl", steps: pair(
				func(r *run) command { return cmd("image", "export", from(r), file) },
				func(r *run) command { return cmd("image", "import", to(r), file) })},
			{tool: "oras", steps: pair(
				func(r *run) command { return cmd("backup", "--plain-http", "--output", file, from(r)) },
				func(r *run) command { return cmd("restore", "--plain-http", "--input", file, to(r)) })},
			{tool: "buildx", steps: pair(
				func(r *run) command { return cmd("imagetools", "create", "-t", "oci-layout://"+layout, from(r)) },
				func(r *run) command { return cmd("imagetools", "create", "-t", to(r), "oci-layout://"+layout) })},
			{tool: "podman", steps: func(r *run) [][]command {
				return [][]command{
					{cmd("manifest", "create", "--all", "list", "docker://"+from(r)), cmd("manifest", "push", "--all", "list", "oci:"+layout)},
					{cmd("manifest", "create", "--all", "again", "oci:"+layout), cmd("manifest", "push", "--all", "again", "docker://"+to(r))},
					nil,
				}
			}},
			{tool: "skopeo", steps: pair(
				func(r *run) command { return cmd("copy", "--all", "docker://"+from(r), "oci:"+layout) },
				func(r *run) command { return cmd("copy", "--all", "oci:"+layout, "docker://"+to(r)) })},
		},
	}
	for i := range w.contenders {
		w.contenders[i].prepare = prepare
	}
	return w
}
