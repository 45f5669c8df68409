package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/multipack/multipack/internal/daemon"
	"github.com/multipack/multipack/internal/fault"
)

// TestMain makes the test binary an ssh program where it is called so.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "ssh" {
		os.Exit(ssh())
	}
	os.Exit(m.Run())
}

// ssh joins its input and output to a socket, as `docker system dial-stdio` does
// at the other end of a real one. What it was called with it keeps in a file.
func ssh() int {
	if err := os.WriteFile(os.Getenv("MULTIPACK_TEST_SSH_ARGS"), []byte(strings.Join(os.Args[1:], "\n")), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 255
	}
	c, err := net.Dial("unix", os.Getenv("MULTIPACK_TEST_SSH_SOCKET"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "ssh: connect to host h port 22: Connection refused")
		return 255
	}
	go func() {
		_, _ = io.Copy(c, os.Stdin)
		_ = c.(*net.UnixConn).CloseWrite()
	}()
	_, _ = io.Copy(os.Stdout, c)
	return 0
}

// sshTo puts an ssh program that leads to the socket on PATH.
func sshTo(t *testing.T, socket string) (args func() []string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("programs are not called by the names of links there")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "ssh")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "args")
	t.Setenv("PATH", dir)
	t.Setenv("MULTIPACK_TEST_SSH_ARGS", file)
	t.Setenv("MULTIPACK_TEST_SSH_SOCKET", socket)
	return func() []string {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(string(raw), "\n")
	}
}

func TestSSH(t *testing.T) {
	begun := make(chan struct{})
	f := &fake{version: "1.41", answers: map[string]http.HandlerFunc{
		"POST /images/load": func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) },
		"GET /images/get":   hangs(begun, "saved"),
	}}
	args := sshTo(t, serveSocket(t, f))
	for host, want := range map[string]struct {
		flags  []string
		remote string
	}{
		"ssh://h":                       {nil, "docker system dial-stdio"},
		"ssh://me@h:2222":               {[]string{"-l", "me", "-p", "2222"}, "docker system dial-stdio"},
		"ssh://me@h/run/my/docker.sock": {[]string{"-l", "me"}, "docker '--host=unix:///run/my/docker.sock' system dial-stdio"},
		"ssh://h/run/a;b.sock":          {nil, "docker '--host=unix:///run/a;b.sock' system dial-stdio"},
	} {
		c := dial(t, host)
		if _, _, err := c.Inspect(t.Context(), "a"); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		if err := c.Load(t.Context(), strings.NewReader(strings.Repeat("tar", 1<<20))); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		got := args()
		if tail := []string{"--", "h", want.remote}; len(got) < 3 || !slices.Equal(got[len(got)-3:], tail) || !slices.Equal(got[:len(want.flags)], want.flags) {
			t.Errorf("%s: ssh was called with %q", host, got)
		}
		c.Close()
	}

	rc, err := dial(t, "ssh://h").Save(whenBegun(t, begun), "a")
	if err == nil {
		_, err = io.Copy(io.Discard, rc)
		rc.Close()
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestSSHThatFails(t *testing.T) {
	sshTo(t, filepath.Join(t.TempDir(), "none.sock"))
	_, err := daemon.New(t.Context(), env("DOCKER_HOST", "ssh://h"))
	if !fault.Is(err, fault.Failed) || fault.HintOf(err) == "" || !strings.Contains(err.Error(), "Connection refused") {
		t.Errorf("got %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := daemon.New(t.Context(), env("DOCKER_HOST", "ssh://h")); !fault.Is(err, fault.Failed) || !strings.Contains(err.Error(), `"ssh": executable file not found`) {
		t.Errorf("got %v", err)
	}
}
