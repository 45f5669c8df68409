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
	prepare := func(ctx context.Context, r *run) error {
		images, err := plain(r.id, size, platforms...)
		if err != nil {
			return err
		}
		idx, err := indexOf(images)
		if err != nil {
			return err
		}
		return pushIndex(ctx, r.saved(), idx)
	}
	w := workload{
		id: "i", title: fmt.Sprintf("save an index of %d platforms × %s, and load it", len(platforms), size1(size)),
		steps: []string{"save", "to another registry", "to local store"},
		check: func(ctx context.Context, r *run, step int) error {
			if step == 1 {
				return checkIndex(ctx, r.loaded(), len(platforms), 1)
			}
			return nil
		},
		contenders: archivers(),
	}
	for i := range w.contenders {
		w.contenders[i].prepare = prepare
	}
	return w
}

// saved is the index that a run saves.
func (r *run) saved() string { return r.repo("source") + ":1" }

// loaded is where a run puts it.
func (r *run) loaded() string { return r.farRepo("out") + ":1" }

// pair are the steps of a tool without a local store that takes indexes.
func pair(save, load func(r *run) command) func(*run) [][]command {
	return func(r *run) [][]command { return [][]command{{save(r)}, {load(r)}, nil} }
}

// archivers are all ways to save and load; the form on disk is each tool's own.
func archivers() []contender {
	const file, dir, layout = "saved.tar", "saved", "saved:1"
	return []contender{
		{tool: multipackName, steps: func(r *run) [][]command {
			return [][]command{
				{cmd("manifest", "save", r.saved(), "-O", file)},
				{cmd("manifest", "copy", "oci-archive:"+file, r.loaded())},
				{cmd("manifest", "load", "-i", file, "loaded")},
			}
		}},
		{tool: "pack", lacks: "it cannot save or load lists"},
		{tool: "crane", steps: pair(
			func(r *run) command { return cmd("pull", "--format", "oci", r.saved(), dir) },
			func(r *run) command { return cmd("push", dir, r.loaded()) })},
		{tool: "regctl", steps: pair(
			func(r *run) command { return cmd("image", "export", r.saved(), file) },
			func(r *run) command { return cmd("image", "import", r.loaded(), file) })},
		{tool: "oras", steps: pair(
			func(r *run) command { return cmd("backup", "--plain-http", "--output", file, r.saved()) },
			func(r *run) command { return cmd("restore", "--plain-http", "--input", file, r.loaded()) })},
		{tool: "buildx", steps: pair(
			func(r *run) command { return cmd("imagetools", "create", "-t", "oci-layout://"+layout, r.saved()) },
			func(r *run) command { return cmd("imagetools", "create", "-t", r.loaded(), "oci-layout://"+layout) })},
		{tool: "podman", steps: func(r *run) [][]command {
			return [][]command{
				{cmd("manifest", "create", "--all", "list", "docker://"+r.saved()), cmd("manifest", "push", "--all", "list", "oci:"+layout)},
				{cmd("manifest", "create", "--all", "again", "oci:"+layout), cmd("manifest", "push", "--all", "again", "docker://"+r.loaded())},
				nil,
			}
		}},
		{tool: "skopeo", steps: pair(
			func(r *run) command { return cmd("copy", "--all", "docker://"+r.saved(), "oci:"+layout) },
			func(r *run) command { return cmd("copy", "--all", "oci:"+layout, "docker://"+r.loaded()) })},
	}
}
