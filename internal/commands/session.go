package commands

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/registry"
)

// session is what one run shares: the flags of every command, the console and
// what is built from them when it is first needed. Starting costs nothing:
// network, configuration and engine are touched by whoever asks for them.
type session struct {
	app     *App
	globals globals
	console *ui.Console

	mu      sync.Mutex
	tmp     string
	client  *registry.Client
	cleanup []func()
}

// formatsKey annotates a command with the documents that -o can name.
const formatsKey = "multipack.output"

// start is called before the command's own code, when the flags are known.
func (s *session) start(cmd *cobra.Command) error {
	formats := []string{ui.JSON}
	if cmd.Annotations[formatsKey] != "" {
		formats = documentFormats
	}
	err := s.globals.check(formats)
	s.console = s.newConsole()
	return err
}

// documents lets -o of cmd name yaml and toml besides json.
func documents(cmd *cobra.Command) *cobra.Command {
	cmd.Annotations = map[string]string{formatsKey: "all"}
	return cmd
}

func (s *session) newConsole() *ui.Console {
	dull := s.globals.noColor || s.app.Getenv("NO_COLOR") != "" || s.app.Getenv("TERM") == "dumb"
	outFile, errFile := terminal(s.app.Out), terminal(s.app.Err)
	o := ui.Options{
		Out: s.app.Out, Err: s.app.Err, Now: s.app.Now,
		Quiet: s.globals.quiet, Verbose: s.globals.verbose, Timestamps: s.globals.timestamps,
		Terminal: errFile != nil && s.app.Getenv("TERM") != "dumb",
		Color:    s.globals.forceColor || errFile != nil && !dull,
		ColorOut: s.globals.forceColor || outFile != nil && !dull,
		Width:    width(errFile), OutWidth: width(outFile),
	}
	return ui.New(o)
}

// terminal is w where it is a terminal, else nil.
func terminal(w any) *os.File {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// width is the number of columns of a terminal; 0 where there is none.
func width(terminal *os.File) int {
	if terminal == nil {
		return 0
	}
	columns, _, err := term.GetSize(int(terminal.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// consoleOrPlain is the console, also where the flags could not be read.
func (s *session) consoleOrPlain() *ui.Console {
	if s.console == nil {
		s.console = s.newConsole()
	}
	return s.console
}

// yieldStdout leaves stdout to an artifact: what else would go there goes to
// stderr. A terminal does not want one.
func (s *session) yieldStdout() error {
	if terminal(s.app.Out) != nil {
		return fault.Hint(fault.New(fault.Usage, "writing to standard output: it is a terminal"), "send it into a file or a pipe")
	}
	s.console.Divert()
	return nil
}

// lost is why a part of the result did not reach stdout, nil where all did.
func (s *session) lost() error {
	if s.console == nil {
		return nil
	}
	return s.console.Lost()
}

// jobs is the number of compressions at once, requests that of requests.
func (s *session) jobs() int {
	if s.globals.jobs > 0 {
		return s.globals.jobs
	}
	return runtime.GOMAXPROCS(0)
}

func (s *session) requests() int {
	if s.globals.jobs > 0 {
		return s.globals.jobs
	}
	return max(4, 2*runtime.GOMAXPROCS(0))
}

// scratch is a folder of this run, removed at its end.
func (s *session) scratch() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tmp != "" {
		return s.tmp, nil
	}
	dir, err := os.MkdirTemp(s.app.Getenv("TMPDIR"), "multipack-")
	if err != nil {
		return "", fault.New(fault.Failed, "creating a temporary folder: %w", err)
	}
	s.tmp = dir
	return dir, nil
}

// cacheDir is where things are kept that only cost time when they are missing:
// $MULTIPACK_CACHE, else the cache folder of the system. "" where there is none,
// and where $MULTIPACK_CACHE is "off".
func (s *session) cacheDir() string {
	switch dir := s.app.Getenv("MULTIPACK_CACHE"); dir {
	case "off":
		return ""
	case "":
	default:
		return dir
	}
	if dir := s.app.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "multipack")
	}
	home := s.app.Getenv("HOME")
	switch {
	case runtime.GOOS == "windows" && s.app.Getenv("LocalAppData") != "":
		return filepath.Join(s.app.Getenv("LocalAppData"), "multipack")
	case home == "":
		return ""
	case runtime.GOOS == "darwin":
		return filepath.Join(home, "Library", "Caches", "multipack")
	}
	return filepath.Join(home, ".cache", "multipack")
}

// atEnd runs f when the run ends, the last one first.
func (s *session) atEnd(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanup = append(s.cleanup, f)
}

func (s *session) close() {
	for i := len(s.cleanup) - 1; i >= 0; i-- {
		s.cleanup[i]()
	}
	if s.tmp != "" {
		_ = os.RemoveAll(s.tmp)
	}
}
