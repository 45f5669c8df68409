package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// smallBinaries writes one file for each architecture that a workload asks for.
func smallBinaries(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for i, arch := range []string{"amd64", "arm64"} {
		content := make([]byte, 48<<10)
		rand.NewChaCha8([32]byte{byte(i)}).Read(content[:24<<10]) // one half compresses, one does not
		path := filepath.Join(t.TempDir(), arch)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		out[arch] = []string{path}
	}
	return out
}

// find gives the row of a tool at a step.
func find(t *testing.T, rep report, id, step, tool string) *row {
	t.Helper()
	for _, res := range rep.Workloads {
		for _, r := range res.Rows {
			if res.ID == id && r.Step == step && r.Tool == tool {
				return r
			}
		}
	}
	t.Fatalf("workload %s has no row of %s at step '%s'", id, tool, step)
	return nil
}

// The whole way on tiny inputs: multipack is built and run, a peer that fails
// and one that is missing are told apart, and the counters hold what a cold and
// an unchanged publication must send.
func TestBench(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the measuring program is for Unix")
	}
	const n = 20 << 10
	o := options{
		rounds: 2, scale: float64(n) / (64 << 20), only: []string{"a", "h"}, binaries: smallBinaries(t),
		peers: []*tool{{Name: "pack", Path: "/bin/ls"}, {Name: "crane", Path: "/bin/echo", Version: "1.2"}, {Name: "oras"}},
	}
	var progress bytes.Buffer
	rep, err := bench(t.Context(), o, &progress)
	if err != nil {
		t.Fatal(err)
	}

	cold, again := find(t, rep, "a", "cold", multipackName), find(t, rep, "a", "again", multipackName)
	if cold.Error != "" || again.Error != "" || len(cold.Samples) != 2 || len(again.Samples) != 2 {
		t.Fatalf("multipack: cold %+v, again %+v", cold, again)
	}
	for i, s := range cold.Samples {
		// Two layers, two configs, two images and an index have to be written in
		// every round: the registry forgets what the round before has stored.
		if s.Requests["PUT"] < 7 || s.Up < n || s.Wall <= 0 || s.CPU <= 0 || s.Peak < 1<<20 {
			t.Errorf("cold, round %d: %+v", i, s)
		}
	}
	for i, s := range again.Samples {
		if s.Up >= n || s.Requests["PATCH"] != 0 || s.Requests["HEAD"]+s.Requests["GET"] == 0 {
			t.Errorf("again, round %d: %+v", i, s)
		}
	}
	limit := find(t, rep, "a", "cold", limitName)
	if limit.Error != "" || len(limit.Samples) != 2 || len(limit.Samples[0].Requests) != 0 || limit.Samples[0].Up != 0 {
		t.Errorf("limit: %+v", limit)
	}
	if pack := find(t, rep, "a", "cold", "pack"); !strings.Contains(pack.Error, "pack buildpack package: exit 2: ") || len(pack.Samples) != 0 {
		t.Errorf("a peer that fails: %+v", pack)
	}
	checkReport(t, rep)
	if !strings.Contains(progress.String(), "a round 2/2: multipack\n") {
		t.Errorf("progress: %s", progress.String())
	}
}

// checkReport looks at the two forms of TestBench's report.
func checkReport(t *testing.T, rep report) {
	t.Helper()
	var table, document bytes.Buffer
	if err := rep.writeTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"  crane 1.2\n", "oras: missing (not on PATH)", "a) package a component, 2 platforms × 20 kB of binaries",
		"failed: pack (cold, again): round 1: pack buildpack package: exit 2: ", "h) start",
	} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, table.String())
		}
	}
	if err := rep.writeJSON(&document); err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Missing   []string
		Workloads []struct {
			Rows []struct {
				Tool    string
				Summary *struct{ WallRatio float64 }
			}
		}
	}
	if err := json.Unmarshal(document.Bytes(), &parsed); err != nil {
		t.Fatal(err)
	}
	if len(parsed.Missing) != 1 || len(parsed.Workloads) != 2 || parsed.Workloads[0].Rows[0].Summary.WallRatio != 1 {
		t.Errorf("the document says %+v", parsed)
	}
}

// A row counts what its tool does: neither the preparation nor the check, and a
// result that the check refuses is no sample.
func TestTurn(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the measuring program is for Unix")
	}
	l, err := newLab(t.Context(), options{scale: 1, multipack: "/bin/echo", peers: []*tool{{Name: "pack", Path: "/bin/sh"}}})
	defer func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}()
	if err != nil {
		t.Fatal(err)
	}
	seed := func(ctx context.Context, r *run) error {
		images, err := plain(r.id, 64, linux("amd64")...)
		if err != nil {
			return err
		}
		return pushImages(ctx, []string{r.out()}, images)
	}
	w := workload{
		id: "t", title: "test", steps: []string{"say", "say again", "sing"},
		check: func(ctx context.Context, r *run, step int) error {
			if err := checkIndex(ctx, r.out(), 1, 1); err == nil {
				return errors.New("an image passes for an index")
			}
			return checkOutput(r, []string{"one", "two", "three"}[step])
		},
		contenders: []contender{
			{tool: multipackName, prepare: seed, steps: func(*run) [][]command { return [][]command{{cmd("one")}, {cmd("one")}, nil} }},
			{tool: "pack", lacks: "no voice"},
			{tool: "crane"},
		},
	}
	res, err := l.measure(t.Context(), w, 2, io.Discard)
	if err != nil || len(res.Rows) != 6 {
		t.Fatalf("%d rows, %v", len(res.Rows), err)
	}
	say, again := res.Rows[0], res.Rows[2]
	if len(say.Samples) != 2 || len(say.Samples[0].Requests) != 0 || say.Samples[0].Up != 0 {
		t.Errorf("say: %+v", say)
	}
	if len(again.Samples) != 0 || again.Error != "round 1: wrong result: 'two' is not in the output" {
		t.Errorf("say again: %+v", again)
	}
	if lacks := res.Rows[1]; lacks.Lacks != "no voice" || len(lacks.Samples) != 0 {
		t.Errorf("a tool that cannot: %+v", lacks)
	}
	if blobs, err := l.near.content(); err != nil || len(blobs) != 0 {
		t.Errorf("left in the registry: %v, %v", blobs, err)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-rounds", "0"}, {"-scale", "-1"}, {"-only", "z"}, {"-only", "ab"}, {"-peers", "docker"}, {"-o", "yaml"}, {"word"}} {
		if _, err := readFlags(t.Context(), args, &bytes.Buffer{}); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
	o, err := readFlags(t.Context(), []string{"-only", "a,e", "-peers", "none", "-o", "json"}, &bytes.Buffer{})
	if err != nil || len(o.only) != 2 || len(o.peers) != 0 || !o.json || o.rounds != 5 || o.scale != 1 {
		t.Errorf("got %+v, %v", o, err)
	}
}

// A measured command runs where, and with what, it is told to; one that fails
// says why.
func TestMeasured(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the measuring program is for Unix")
	}
	dir := t.TempDir()
	launcher, err := build(t.Context(), dir, "measure", "bench/measure")
	if err != nil {
		t.Fatal(err)
	}
	got, out, err := measured(t.Context(), launcher, []string{"/bin/sh", "-c", `printf %s "$WHO"; pwd`}, []string{"WHO=me"}, dir)
	if err != nil || string(out) != "me"+dir+"\n" || got.Wall <= 0 || got.Peak <= 0 {
		t.Errorf("got %+v, %q, %v", got, out, err)
	}
	_, _, err = measured(t.Context(), launcher, []string{"/bin/sh", "-c", "echo result; echo ERROR: no luck >&2; echo bye >&2; exit 3"}, nil, dir)
	if err == nil || err.Error() != "exit 3: ERROR: no luck" {
		t.Errorf("got %v", err)
	}
	if _, _, err := measured(t.Context(), launcher, []string{filepath.Join(dir, "nothing")}, nil, dir); err == nil {
		t.Error("a program that is not there was run")
	}
}

func TestVersionIn(t *testing.T) {
	t.Parallel()
	for out, want := range map[string]string{
		"0.40.5+git-7640af99.build-1":            "0.40.5+git-7640af99.build-1",
		"skopeo version 1.9.3":                   "1.9.3",
		"Version: v1.3.3, go1.26":                "v1.3.3",
		"(devel)\n":                              "(devel)",
		"VCSRef: 725072f\nGoVersion: go1.26.8\n": "725072f",
		"":                                       "?",
	} {
		if got := versionIn(out); got != want {
			t.Errorf("%q: %q, want %q", out, got, want)
		}
	}
}
