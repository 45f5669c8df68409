// Package acceptance drives the real program by scripts (testdata/script),
// against registries that run in the test's process and against the Docker
// engine where there is one.
package acceptance

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/multipack/multipack/internal/daemon"
)

// binary is the program that the scripts run, built once by TestMain.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "multipack-acceptance-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "multipack")
	build := exec.Command("go", "build", "-o", binary, "../cmd/multipack")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building multipack:", err)
		return 1
	}
	for _, name := range []string{"pack-manifest", "pack-buildpack", "pack-extension", "docker-multipack"} {
		if err := os.Symlink(binary, filepath.Join(dir, name)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

func TestScripts(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	unique := strings.ToLower(rand.Text()[:10]) // names in the engine, which others use too
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			e.Setenv("XDG_RUNTIME_DIR", filepath.Join(e.WorkDir, "run")) // skopeo's credentials, too
			e.Setenv("DOCKER_HOST", os.Getenv("DOCKER_HOST"))
			e.Setenv("PROJECT", root)
			e.Setenv("GOARCH", runtime.GOARCH)
			e.Values[registriesKey{}] = map[string]*running{}
			e.Setenv("IMAGE", "multipack-test/"+filepath.Base(e.WorkDir)+unique+":1")
			e.Setenv("CONTAINER", "multipack-test-"+unique)
			e.Values[proxiesKey{}] = map[string]*proxy{}
			e.Values[rememberedKey{}] = map[string][]string{}
			return os.MkdirAll(filepath.Join(e.WorkDir, "home"), 0o755)
		},
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"multipack": cmdMultipack,
			"compile":   cmdCompile,
			"interrupt": cmdInterrupt,
			"peak":      cmdPeak,
			"remember":  cmdRemember,
			"unchanged": cmdUnchanged,
			"serve":     cmdServe,
			"proxy":     cmdProxy,
			"proxied":   cmdProxied,
			"exits":     cmdExits,
			"registry":  cmdRegistry,
			"requests":  cmdRequests,
			"lastput":   cmdLastPut,
			"inject":    cmdInject,
			"heal":      cmdHeal,
			"forget":    cmdForget,
			"validate":  cmdValidate,
			"setenv":    cmdSetenv,
			"same":      cmdSame,
			"sample":    cmdSample,
			"image":     cmdImage(t),
			"index":     cmdIndex(t),
			"shutdown":  cmdShutdown,
			"awaits":    cmdAwaits,
		},
	})
}

// condition answers what scripts skip by; a script that is skipped says so.
func condition(name string) (bool, error) {
	switch name {
	case "docker":
		client, err := daemon.New(context.Background(), os.Getenv)
		if err != nil {
			return false, nil
		}
		defer client.Close()
		_, _, err = client.Version(context.Background())
		return err == nil, nil
	case "stress":
		return os.Getenv("MULTIPACK_STRESS") != "", nil
	case "root":
		return os.Getuid() == 0, nil
	}
	return false, fmt.Errorf("unknown condition '%s'", name)
}
