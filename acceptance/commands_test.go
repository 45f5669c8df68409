package acceptance

import (
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/multipack/multipack/testhelpers/regtest"
)

// exits CODE COMMAND…: the command ends with that exit code.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("running %s: %v", args[1], err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// multipack ARG…: runs the program; with ! it has to fail.
func cmdMultipack(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec("multipack", args...)
	if neg && err == nil {
		ts.Fatalf("multipack succeeded")
	}
	if !neg && err != nil {
		ts.Fatalf("multipack: %v", err)
	}
}

type registriesKey struct{}

type running struct {
	*regtest.Registry
	// hung counts the requests that were left without an answer (inject … hang).
	hung atomic.Int64
}

// registry NAME [OPTION…]: starts a registry; $NAME is its host and $NAME_CA
// its certificate authority's file. The options are those of regtest.ParseOptions.
func cmdRegistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: registry NAME [OPTION…]")
	}
	opts, faults, err := regtest.ParseOptions(args[1:])
	ts.Check(err)
	r, err := regtest.Start(opts...)
	ts.Check(err)
	ts.Defer(func() { _ = r.Close() })
	for _, f := range faults {
		r.Inject(f)
	}
	ts.Value(registriesKey{}).(map[string]*running)[args[0]] = &running{Registry: r}
	ts.Setenv(args[0], r.Host())
	ts.Setenv(args[0]+"_CA", r.CAFile())
}

func registryNamed(ts *testscript.TestScript, name string) *running {
	r := ts.Value(registriesKey{}).(map[string]*running)[name]
	if r == nil {
		ts.Fatalf("no registry '%s' was started", name)
	}
	return r
}

// requests NAME METHOD PATH COUNT: so many requests were made ("+": at least one).
func cmdRequests(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: requests NAME METHOD PATH COUNT")
	}
	r := registryNamed(ts, args[0])
	logged(r.Registry)
	got := r.Count(args[1], args[2])
	if args[3] == "+" && got > 0 {
		return
	}
	if strconv.Itoa(got) != args[3] {
		for _, q := range r.Requests() {
			ts.Logf("%s %s -> %d", q.Method, q.Path, q.Status)
		}
		ts.Fatalf("%d requests %s %s, want %s", got, args[1], args[2], args[3])
	}
}

// lastput NAME PATH: the path was PUT once, and nothing was written after it.
func cmdLastPut(ts *testscript.TestScript, neg bool, args []string) {
	r := registryNamed(ts, args[0])
	logged(r.Registry)
	seen := 0
	for _, q := range r.Requests() {
		write := q.Method == "PUT" || q.Method == "POST" || q.Method == "PATCH" || q.Method == "DELETE"
		if q.Method == "PUT" && q.Path == args[1] {
			seen++
		} else if write && seen > 0 {
			ts.Fatalf("%s %s came after PUT %s", q.Method, q.Path, args[1])
		}
	}
	if seen != 1 {
		ts.Fatalf("%d times PUT %s, want once", seen, args[1])
	}
}

// logged waits until the registry's log is complete: an answer can reach the
// client a moment before the request is in the log. What hangs is not waited for.
func logged(r *regtest.Registry) {
	for until := time.Now().Add(time.Second); r.Running() > 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
}

// inject NAME METHOD PATH STATUS TIMES [SKIP]: a failure; STATUS may be
// cut-upload:N, cut-download:N or hang.
func cmdInject(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 5 {
		ts.Fatalf("usage: inject NAME METHOD PATH STATUS TIMES [SKIP]")
	}
	f := regtest.Fault{Method: args[1], Path: args[2]}
	var err error
	f.Times, err = strconv.Atoi(args[4])
	ts.Check(err)
	if len(args) > 5 {
		f.Skip, err = strconv.Atoi(args[5])
		ts.Check(err)
	}
	kind, arg, _ := strings.Cut(args[3], ":")
	switch kind {
	case "cut-upload":
		f.CutUpload, err = strconv.ParseInt(arg, 10, 64)
	case "cut-download":
		f.CutDownload, err = strconv.ParseInt(arg, 10, 64)
	case "hang":
		f.Hang = true
		r := registryNamed(ts, args[0])
		f.Hit = func() { r.hung.Add(1) }
	default:
		f.Status, err = strconv.Atoi(kind)
	}
	ts.Check(err)
	registryNamed(ts, args[0]).Inject(f)
}

// heal NAME: takes all failures away. forget NAME: empties the request log.
func cmdHeal(ts *testscript.TestScript, _ bool, args []string) { registryNamed(ts, args[0]).Heal() }

func cmdForget(ts *testscript.TestScript, _ bool, args []string) { registryNamed(ts, args[0]).Reset() }

// validate REF|LAYOUT: go-containerregistry's own validation of everything
// below a registry reference or in an OCI layout directory.
func cmdValidate(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: validate REF|LAYOUT")
	}
	err := validateRef(ts, args[0])
	if neg && err == nil {
		ts.Fatalf("'%s' is valid", args[0])
	}
	if !neg {
		ts.Check(err)
	}
}

func validateRef(ts *testscript.TestScript, given string) error {
	if info, err := os.Stat(ts.MkAbs(given)); err == nil && info.IsDir() {
		idx, err := layout.ImageIndexFromPath(ts.MkAbs(given))
		if err != nil {
			return err
		}
		return validate.Index(idx)
	}
	ref, err := name.ParseReference(given)
	if err != nil {
		return err
	}
	desc, err := remote.Get(ref)
	if err != nil {
		return err
	}
	if desc.MediaType.IsIndex() {
		var idx v1.ImageIndex
		if idx, err = desc.ImageIndex(); err == nil {
			err = validate.Index(idx)
		}
		return err
	}
	img, err := desc.Image()
	if err != nil {
		return err
	}
	return validate.Image(img)
}

// setenv NAME [FILE]: $NAME becomes the last command's stdout, or a file's
// text, without the line's end. $NAME_DIGEST is what follows the '@'.
func cmdSetenv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: setenv NAME [FILE]")
	}
	file := "stdout"
	if len(args) > 1 {
		file = args[1]
	}
	value := strings.TrimSpace(ts.ReadFile(file))
	ts.Setenv(args[0], value)
	if i := strings.LastIndex(value, "@"); i >= 0 {
		ts.Setenv(args[0]+"_DIGEST", value[i+1:])
	}
}

// same A B: two words are equal.
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: same A B")
	}
	if (args[0] == args[1]) == neg {
		ts.Fatalf("'%s' and '%s'", args[0], args[1])
	}
}

// sample NAME DIR: copies samples/NAME to DIR.
func cmdSample(ts *testscript.TestScript, _ bool, args []string) {
	from := filepath.Join(ts.Getenv("PROJECT"), "samples", path.Clean(args[0]))
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(from)))
}
