package acceptance

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/multipack/multipack/"

// rooms lists, for each package, the project's packages that it may import,
// those below them included.
// A package that is not listed may import nothing of the project: a new room
// is a decision, written down here and in docs/architecture.md.
var rooms = map[string][]string{
	"internal/fault":       {},
	"pkg/platform":         {"internal/fault"},
	"pkg/reference":        {"internal/fault"},
	"pkg/tree":             {"internal/fault"},
	"internal/visible":     {},
	"internal/proxy":       {},
	"internal/verified":    {},
	"internal/ui":          {"internal/fault", "internal/visible"},
	"internal/fsx":         {"internal/fault"},
	"internal/filecache":   {"internal/fsx"},
	"pkg/registry":         {"internal/fault", "internal/filecache", "internal/proxy", "internal/verified"},
	"internal/daemon":      {"internal/fault", "internal/proxy", "pkg/platform"},
	"pkg/manifest":         {"internal/fault", "pkg/platform", "pkg/reference"},
	"pkg/buildpack":        {"internal/fault", "internal/visible", "pkg/platform", "pkg/tree"},
	"pkg/tree/load":        {"internal/fault", "pkg/tree"},
	"pkg/layer":            {"internal/fault", "internal/filecache", "pkg/tree"},
	"pkg/ocilayout":        {"internal/fault", "internal/fsx", "internal/verified", "pkg/manifest", "pkg/reference", "pkg/platform"},
	"pkg/manifest/store":   {"internal/fault", "internal/fsx", "internal/verified", "pkg/manifest", "pkg/platform", "pkg/reference", "pkg/ocilayout"},
	"pkg/manifest/verify":  {"internal/fault", "pkg/manifest", "pkg/platform"},
	"pkg/manifest/local":   {"internal/fault", "pkg/manifest", "pkg/manifest/store", "pkg/platform", "pkg/reference"},
	"pkg/manifest/outline": {"internal/fault", "pkg/manifest", "pkg/platform", "pkg/reference"},
	"pkg/manifest/gather":  {"internal/fault", "pkg/manifest", "pkg/manifest/local", "pkg/manifest/store", "pkg/platform", "pkg/reference", "pkg/source"},
	"pkg/source":           {"internal/fault", "internal/daemon", "internal/fsx", "pkg/manifest", "pkg/ocilayout", "pkg/platform", "pkg/reference", "pkg/registry"},
	"pkg/publish":          {"internal/fault", "internal/daemon", "internal/fsx", "internal/verified", "pkg/manifest", "pkg/ocilayout", "pkg/platform", "pkg/reference", "pkg/registry"},
	"pkg/dependency":       {"internal/fault", "internal/fsx", "pkg/buildpack", "pkg/platform", "pkg/reference", "pkg/source", "pkg/tree"},
	"pkg/announce":         {"internal/fault", "pkg/manifest", "pkg/platform", "pkg/registry"},
}

// free are the rooms at the top: they join the others.
var free = []string{"cmd/multipack", "internal/commands", "internal/commands/reference", "acceptance", "bench", "samples", "testhelpers"}

// pure are the rooms without effects, and what they must not import.
var (
	pure      = []string{"pkg/platform", "pkg/manifest", "pkg/buildpack", "pkg/tree"}
	effectful = []string{"os", "os/exec", "net", "net/http", "syscall", "io/ioutil"}
)

// sole names the only room that may import a library.
var sole = map[string][]string{
	"github.com/spf13/cobra":               {"internal/commands", "internal/commands/reference"},
	"github.com/heroku/color":              {"internal/ui"},
	"github.com/vbauerster/mpb/v8":         {"internal/ui"},
	"github.com/docker/cli/cli/connhelper": {"internal/daemon"},
	"github.com/Microsoft/go-winio":        {"internal/daemon"},
	"github.com/buildpacks/imgutil":        {"pkg/layer"},
}

// heavy are libraries that the program must not bring along: what they make when
// they are loaded would be paid for by every start. Tests may use them.
var heavy = []string{
	"github.com/moby/moby", "github.com/docker/docker", "github.com/docker/go-connections", "github.com/containerd",
	"github.com/distribution", "github.com/Masterminds/semver", "go.opentelemetry.io", "google.golang.org",
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func TestArchitecture(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		room := strings.TrimPrefix(p.ImportPath, module)
		if within(room, free) && !strings.HasPrefix(room, "pkg/") {
			checkSole(t, room, p.Imports)
			continue
		}
		allowed, known := rooms[room]
		for parent := room; !known && strings.Contains(parent, "/"); {
			// A package below a room belongs to it.
			parent = parent[:strings.LastIndex(parent, "/")]
			if allowed, known = rooms[parent]; known {
				allowed = append(slices.Clone(allowed), parent)
			}
		}
		if !known {
			t.Errorf("%s is no room of docs/architecture.md", room)
			continue
		}
		for _, i := range p.Imports {
			own, ours := strings.CutPrefix(i, module)
			if ours && !within(own, allowed) && !within(own, []string{room}) {
				t.Errorf("%s must not import %s", room, own)
			}
			if within(room, pure) && room != "pkg/tree/load" && !strings.HasPrefix(room, "pkg/manifest/store") && slices.Contains(effectful, i) {
				t.Errorf("%s is pure and must not import %s", room, i)
			}
		}
		checkSole(t, room, p.Imports)
	}
}

func TestProgramIsLight(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", module+"cmd/multipack").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for p := range strings.FieldsSeq(string(out)) {
		if within(p, heavy) {
			t.Errorf("the program must not consist of %s", p)
		}
	}
}

func checkSole(t *testing.T, room string, imports []string) {
	t.Helper()
	for library, owners := range sole {
		for _, i := range imports {
			if (i == library || strings.HasPrefix(i, library+"/")) && !slices.Contains(owners, room) {
				t.Errorf("%s must not import %s: only %s may", room, i, strings.Join(owners, ", "))
			}
		}
	}
}

func within(room string, list []string) bool {
	return slices.ContainsFunc(list, func(l string) bool { return room == l || strings.HasPrefix(room, l+"/") })
}

func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) < len(rooms) {
		t.Fatalf("go list named %d packages only", len(pkgs))
	}
	return pkgs
}
