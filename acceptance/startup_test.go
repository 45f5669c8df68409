package acceptance

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestStartUp holds the project's packages to doing nothing before main: what
// they need once (patterns, tables) is made when it is first used. The measure
// is allocations, which do not depend on the machine.
func TestStartUp(t *testing.T) {
	t.Parallel()
	const most = 300
	cmd := exec.Command(binary, "version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace bytes.Buffer
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, trace.String())
	}
	line := regexp.MustCompile(`(?m)^init (\S+) .* (\d+) allocs$`)
	found := line.FindAllStringSubmatch(trace.String(), -1)
	if len(found) == 0 {
		t.Fatalf("no trace: %s", trace.String())
	}
	for _, m := range found {
		if n, err := strconv.Atoi(m[2]); strings.HasPrefix(m[1], module) && (err != nil || n > most) {
			t.Errorf("%s allocates %s times before main, at most %d are allowed", m[1], m[2], most)
		}
	}
}
