package main

import (
	"context"
	"path/filepath"
)

// single makes the steps of a contender with one command.
func single(f func(r *run) command) func(*run) [][]command {
	return func(r *run) [][]command { return [][]command{{f(r)}} }
}

// inspectWorkloads are g: look at a buildpack, and at an index, in the registry.
func inspectWorkloads(l *lab) []workload {
	ref := l.near.host + "/seed/g:1"
	in := filepath.Join(l.dir, "in", "g")
	var children []string // their digests
	setup := func(ctx context.Context) error {
		all, err := l.small(in, 1, l.megabytes(2), "linux/amd64", "linux/arm64")
		if err != nil {
			return err
		}
		idx, err := all[0].packaged()
		if err != nil {
			return err
		}
		m, err := idx.IndexManifest()
		if err != nil {
			return err
		}
		for _, d := range m.Manifests {
			children = append(children, d.Digest.String())
		}
		return pushIndex(ctx, ref, idx)
	}
	remote := "docker://" + ref
	return []workload{
		{
			id: "g1", title: "inspect a buildpack in the registry", steps: []string{"inspect"}, setup: setup,
			check: func(_ context.Context, r *run, _ int) error { return checkOutput(r, "bench/part-00", "1.0.0") },
			contenders: []contender{
				{tool: multipackName, steps: single(func(*run) command { return cmd("buildpack", "inspect", ref) })},
				{tool: "pack", steps: single(func(*run) command { return cmd("buildpack", "inspect", ref) })},
			},
		},
		{
			id: "g2", title: "inspect an index in the registry", steps: []string{"inspect"},
			check: func(_ context.Context, r *run, _ int) error { return checkOutput(r, children...) },
			contenders: []contender{
				{tool: multipackName, steps: single(func(*run) command { return cmd("manifest", "inspect", "--remote", ref) })},
				{tool: "pack", steps: single(func(*run) command { return cmd("manifest", "inspect", ref) })},
				{tool: "crane", steps: single(func(*run) command { return cmd("manifest", ref) })},
				{tool: "regctl", steps: single(func(*run) command { return cmd("manifest", "get", ref, "--format", "raw-body") })},
				{tool: "oras", steps: single(func(*run) command { return cmd("manifest", "fetch", "--plain-http", ref) })},
				{tool: "buildx", steps: single(func(*run) command { return cmd("imagetools", "inspect", "--raw", ref) })},
				{tool: "podman", steps: single(func(*run) command { return cmd("manifest", "inspect", ref) })},
				{tool: "skopeo", steps: single(func(*run) command { return cmd("inspect", "--raw", remote) })},
			},
		},
	}
}

// startWorkload is h: what every call of a tool costs.
func startWorkload() workload {
	w := workload{id: "h", title: "start", steps: []string{"version"}}
	for _, t := range append([]tool{{Name: multipackName, version: []string{"version"}}}, peers()...) {
		w.contenders = append(w.contenders, contender{tool: t.Name, steps: single(func(*run) command { return cmd(t.version...) })})
	}
	return w
}
