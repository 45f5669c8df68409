package lint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/tree"
)

// headSize is how much of a file is read: enough for every header that tells
// the platform, and for an interpreter line.
const headSize = 4096

// windowsEndings are what makes a file executable on Windows.
var windowsEndings = []string{".exe", ".bat", ".cmd", ".ps1"}

// entryPoints judges the programs that the lifecycle calls. A buildpack has
// both bin/detect and bin/build, an extension at least one of bin/detect and
// bin/generate.
func entryPoints(kind string, item buildpack.PlanItem) []Finding {
	names := []string{"bin/detect", "bin/build"}
	if kind == buildpack.KindExtension {
		names = []string{"bin/detect", "bin/generate"}
	}
	windows := item.Target.Platform.OS == "windows"
	var out, missing []Finding
	for _, name := range names {
		entry, there, elsewhere := lookup(item.Tree, name, windows)
		switch {
		case elsewhere:
		case !there:
			missing = append(missing, Finding{Rule: RuleMissingEntry, Path: name, Message: "it does not exist"})
		case entry.Type != tree.Regular:
			missing = append(missing, Finding{Rule: RuleMissingEntry, Path: name, Message: fmt.Sprintf("it is a %s, not a program", entry.Type)})
		case !windows && entry.Mode&0o111 == 0:
			out = append(out, Finding{Rule: RuleNotExecutable, Path: name, Message: "it is not executable"})
		}
	}
	if kind == buildpack.KindExtension {
		if len(missing) == len(names) {
			out = append(out, Finding{Rule: RuleMissingEntry, Path: "bin", Message: "there is neither a 'bin/detect' nor a 'bin/generate'"})
		}
		return out
	}
	return append(out, missing...)
}

// lookup finds a program. elsewhere is set for a link out of the buildpack,
// which nothing here can follow.
func lookup(t tree.Tree, name string, windows bool) (entry tree.Entry, there, elsewhere bool) {
	names := []string{name}
	if windows {
		for _, ending := range windowsEndings {
			names = append(names, name+ending)
		}
	}
	for _, n := range names {
		if own, ok := t.Lookup(n); ok && own.Type == tree.Symlink && path.IsAbs(own.Link) {
			return own, true, true
		}
		if entry, ok := t.Target(n); ok {
			return entry, true, false
		}
	}
	return tree.Entry{}, false, false
}

// binFiles judges every file below bin/ by its head.
func binFiles(item buildpack.PlanItem) ([]Finding, error) {
	var out []Finding
	for _, e := range item.Tree.Entries {
		e, ok := program(item.Tree, e)
		if !ok {
			continue
		}
		head, err := readHead(e)
		if err != nil {
			return nil, fmt.Errorf("reading '%s' of '%s': %w", e.Path, item.Tree.Name, err)
		}
		if f, ok := judge(e.Path, head, item.Target.Platform.Normalize()); ok {
			out = append(out, f)
		}
	}
	return out, nil
}

// program is a file below bin/, or what a link there leads to elsewhere in the
// buildpack; it keeps the path below bin/.
func program(t tree.Tree, e tree.Entry) (tree.Entry, bool) {
	if !strings.HasPrefix(e.Path, "bin/") {
		return tree.Entry{}, false
	}
	switch e.Type {
	case tree.Regular:
		return e, true
	case tree.Symlink, tree.Hardlink:
		at, ok := t.Target(e.Path)
		if !ok || at.Type != tree.Regular || strings.HasPrefix(at.Path, "bin/") {
			return tree.Entry{}, false
		}
		at.Path = e.Path
		return at, true
	}
	return tree.Entry{}, false
}

func readHead(e tree.Entry) ([]byte, error) {
	rc, err := e.Open()
	if err != nil {
		return nil, err
	}
	head, err := io.ReadAll(io.LimitReader(rc, headSize))
	return head, errors.Join(err, rc.Close())
}

func judge(name string, head []byte, want platform.Platform) (Finding, bool) {
	if line, _, _ := bytes.Cut(head, []byte("\n")); bytes.HasPrefix(line, []byte("#!")) && bytes.HasSuffix(line, []byte("\r")) {
		return Finding{Rule: RuleCarriageReturn, Path: name, Message: "its interpreter line ends in a carriage return"}, true
	}
	b, ok := identify(head)
	if !ok || b.format == formatPE && want.OS != "windows" && strings.EqualFold(path.Ext(name), ".dll") {
		return Finding{}, false // a .dll elsewhere is managed code, which any system runs
	}
	if why := b.mismatch(want); why != "" {
		return Finding{Rule: RuleForeignBinary, Path: name, Message: why}, true
	}
	return Finding{}, false
}
