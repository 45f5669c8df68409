package acceptance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long anything may take that is not to fail by a slow machine.
const patience = time.Minute

// compiled is the Go sample, cross-compiled once: one folder per platform.
var compiled = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(binary), "hello-go")
	for _, arch := range []string{"amd64", "arm64"} {
		program := filepath.Join(dir, "linux", arch, "bin", "build")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -buildid=", "-o", program, "../samples/hello-go")
		build.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building samples/hello-go: %w: %s", err, out)
		}
		if err := os.Link(program, filepath.Join(filepath.Dir(program), "detect")); err != nil {
			return "", err
		}
	}
	descriptor, err := os.ReadFile("../samples/hello-go/buildpack.toml")
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "buildpack.toml"), descriptor, 0o600)
})

// compile DIR: the Go sample as `make samples` builds it.
func cmdCompile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: compile DIR")
	}
	from, err := compiled()
	ts.Check(err)
	ts.Check(os.CopyFS(ts.MkAbs(args[0]), os.DirFS(from)))
}

// background is a multipack that runs, in the script's folder and environment.
type background struct {
	*exec.Cmd
	out, errs bytes.Buffer
	ended     chan error
}

func start(ts *testscript.TestScript, args []string) *background {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	b := &background{Cmd: exec.CommandContext(ctx, binary, args...), ended: make(chan error, 1)}
	b.Dir, b.Stdout, b.Stderr = ts.MkAbs("."), &b.out, &b.errs
	for _, name := range []string{"PATH", "HOME", "XDG_CACHE_HOME", "TMPDIR", "DOCKER_HOST"} {
		b.Env = append(b.Env, name+"="+ts.Getenv(name))
	}
	ts.Check(b.Start())
	go func() {
		defer cancel()
		b.ended <- b.Wait()
	}()
	return b
}

// interrupt NAME SIGNAL ARG…: runs multipack ARG… until the registry has got a
// request that it will not answer (inject … hang), sends the signal, and wants exit code 130.
// That the registry goes on not to answer is what makes it a test: whoever waits
// for it waits for a minute, and is killed then.
func cmdInterrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: interrupt NAME SIGNAL ARG…")
	}
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": os.Kill}
	r := registryNamed(ts, args[0])
	before := r.hung.Load()
	b := start(ts, args[2:])
	for until := time.Now().Add(patience); r.hung.Load() == before; time.Sleep(time.Millisecond) {
		select {
		case err := <-b.ended:
			ts.Fatalf("it ended before the signal: %v\n%s", err, b.errs.String())
		default:
		}
		if time.Now().After(until) {
			ts.Fatalf("the registry was not asked")
		}
	}
	ts.Check(b.Process.Signal(signals[args[1]]))
	err := <-b.ended
	ts.Logf("%s", b.errs.String())
	if args[1] == "KILL" {
		return
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 130 {
		ts.Fatalf("it ended with %v, want exit code 130", err)
	}
	if !strings.HasPrefix(b.errs.String(), "ERROR: interrupted") && !strings.Contains(b.errs.String(), "\nERROR: interrupted") {
		ts.Fatalf("it does not say that it was interrupted")
	}
	if strings.Contains(b.out.String(), "sha256:") {
		ts.Fatalf("there is a result: %s", b.out.String())
	}
}

// peak MB ARG…: runs multipack ARG… and wants it to take less memory than that
// at its worst. The kernel's high-water mark is read while it runs; it can only
// rise, so a reading just before the end is as good as one at the end.
func cmdPeak(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: peak MB ARG…")
	}
	limit, err := strconv.Atoi(args[0])
	ts.Check(err)
	b := start(ts, args[1:])
	peak := 0
	for {
		select {
		case err := <-b.ended:
			if err != nil {
				ts.Fatalf("multipack: %v\n%s", err, b.errs.String())
			}
			ts.Logf("at most %d kB\n", peak)
			if peak == 0 || peak > limit<<10 {
				ts.Fatalf("it took %d kB of memory, want at most %d MB", peak, limit)
			}
			return
		case <-time.After(time.Millisecond):
			peak = max(peak, highWater(b.Process.Pid))
		}
	}
}

// highWater is the most memory, in kB, that a process ever had at once; 0 where
// that is not to be had.
func highWater(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(line, "kB")))
	return n
}

type rememberedKey struct{}

// remember DIR: notes every path below DIR with its type, mode, size, time and
// content. unchanged DIR: all of that is still so.
func cmdRemember(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: remember DIR")
	}
	ts.Value(rememberedKey{}).(map[string][]string)[args[0]] = describeTree(ts, args[0])
}

func cmdUnchanged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: unchanged DIR")
	}
	was, now := ts.Value(rememberedKey{}).(map[string][]string)[args[0]], describeTree(ts, args[0])
	if len(was) == 0 {
		ts.Fatalf("'%s' was not remembered", args[0])
	}
	for _, line := range now {
		if !slices.Contains(was, line) {
			ts.Fatalf("new or changed: %s", line)
		}
	}
	if len(was) != len(now) {
		ts.Fatalf("%d paths, there were %d", len(now), len(was))
	}
}

func describeTree(ts *testscript.TestScript, dir string) []string {
	var out []string
	ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := ""
		switch {
		case info.Mode().IsRegular():
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = fmt.Sprintf("%x", sha256.Sum256(raw))
		case info.Mode()&fs.ModeSymlink != 0:
			if content, err = os.Readlink(path); err != nil {
				return err
			}
		}
		out = append(out, fmt.Sprint(path, " ", info.Mode(), " ", info.Size(), " ", info.ModTime().UnixNano(), " ", content))
		return nil
	}))
	return out
}

// serve NAME DIR: $NAME is the address of a web server for the files of DIR.
func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: serve NAME DIR")
	}
	s := httptest.NewServer(http.FileServer(http.Dir(ts.MkAbs(args[1]))))
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.URL)
}

type proxiesKey struct{}

// proxy is an HTTP proxy that sends plain requests to one registry, whatever
// host they are for, refuses tunnels, and remembers what it was asked for.
type proxy struct {
	to    string
	mu    sync.Mutex
	asked []string
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, req.Method+" "+req.RequestURI)
	p.mu.Unlock()
	if req.Method == http.MethodConnect || p.to == "" {
		http.Error(w, "no tunnels here", http.StatusForbidden)
		return
	}
	req.RequestURI, req.URL.Host = "", p.to
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	for key, values := range resp.Header {
		w.Header()[key] = values
	}
	w.WriteHeader(resp.StatusCode)
	var buf bytes.Buffer
	_, _ = buf.ReadFrom(resp.Body)
	_, _ = w.Write(buf.Bytes())
}

// proxy NAME REGISTRY: $NAME is the address of a proxy in front of a registry.
func cmdProxy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: proxy NAME REGISTRY")
	}
	p := &proxy{to: registryNamed(ts, args[1]).Host()}
	s := httptest.NewServer(p)
	ts.Defer(s.Close)
	ts.Value(proxiesKey{}).(map[string]*proxy)[args[0]] = p
	ts.Setenv(args[0], s.URL)
}

// proxied NAME WORD: the proxy was asked for something that contains WORD.
func cmdProxied(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: proxied NAME WORD")
	}
	p := ts.Value(proxiesKey{}).(map[string]*proxy)[args[0]]
	p.mu.Lock()
	defer p.mu.Unlock()
	found := slices.ContainsFunc(p.asked, func(a string) bool { return strings.Contains(a, args[1]) })
	if found == neg {
		ts.Fatalf("the proxy was asked for:\n%s", strings.Join(p.asked, "\n"))
	}
}
