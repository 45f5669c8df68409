package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// options are the flags, checked.
type options struct {
	rounds    int
	scale     float64
	only      []string // ids of workloads, empty for all
	peers     []*tool
	multipack string // path, "" to build it
	json      bool
	binaries  map[string][]string // nil to find or build them
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(os.Stderr, "ERROR: %v\n", err)
		}
		os.Exit(1)
	}
}

// start reads the flags, runs the benchmark and prints its report.
func start(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := readFlags(ctx, args, stderr)
	if err != nil {
		return err
	}
	if o.binaries == nil && needsBinaries(o.only) {
		if o.binaries, err = realBinaries(ctx); err != nil {
			return err
		}
	}
	rep, err := bench(ctx, o, stderr)
	if err != nil {
		return err
	}
	if o.json {
		return rep.writeJSON(stdout)
	}
	return rep.writeTable(stdout)
}

func readFlags(ctx context.Context, args []string, stderr io.Writer) (options, error) {
	var o options
	var only, peerList, output string
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&o.rounds, "rounds", 5, "how often each tool does each workload")
	fs.Float64Var(&o.scale, "scale", 1, "factor for sizes and counts; less than 1 for a quick look")
	fs.StringVar(&only, "only", "", "`letters` of the workloads to run, separated by commas (default all)")
	fs.StringVar(&peerList, "peers", "", "`names` of the peers to run, separated by commas, or none (default all that are on PATH)")
	fs.StringVar(&o.multipack, "multipack", "", "`path` of multipack (default: built from this module)")
	fs.StringVar(&output, "o", "table", "`format` of the report: table or json")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("reading the flags: unexpected argument '%s'", fs.Arg(0))
	case o.rounds < 1 || o.scale <= 0:
		return o, errors.New("reading the flags: '-rounds' and '-scale' must be more than 0")
	case output != "table" && output != "json":
		return o, fmt.Errorf("reading the flags: '-o' is 'table' or 'json', not '%s'", output)
	}
	o.json, o.only = output == "json", list(only)
	for _, id := range o.only {
		if !strings.Contains(workloadIDs, id) || len(id) != 1 {
			return o, fmt.Errorf("reading the flags: no workload '%s'; there are %s", id, strings.Join(strings.Split(workloadIDs, ""), ", "))
		}
	}
	found, err := findPeers(ctx, list(peerList))
	o.peers = found
	return o, err
}

func list(s string) []string {
	return slices.DeleteFunc(strings.Split(s, ","), func(e string) bool { return e == "" })
}

// bench runs the chosen workloads.
func bench(ctx context.Context, o options, progress io.Writer) (rep report, err error) {
	rep = report{OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version(),
		Rounds: o.rounds, Scale: o.scale, Missing: []string{}, Workloads: []result{}}
	l, err := newLab(ctx, o)
	defer func() { err = errors.Join(err, l.close()) }()
	if err != nil {
		return rep, err
	}
	rep.Tools = append(rep.Tools, l.tools[multipackName])
	for _, t := range o.peers {
		if t.Path == "" {
			rep.Missing = append(rep.Missing, t.Name)
			continue
		}
		rep.Tools = append(rep.Tools, t)
	}
	if err := l.warm(); err != nil {
		return rep, err
	}
	for _, w := range workloads(l) {
		if len(o.only) > 0 && !slices.Contains(o.only, w.id[:1]) {
			continue
		}
		res, err := l.measure(ctx, w, o.rounds, progress)
		if err != nil {
			return rep, err
		}
		rep.Workloads = append(rep.Workloads, res)
	}
	return rep, nil
}
