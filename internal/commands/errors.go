package commands

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/ui"
)

// errorDocument is what -o json prints for an error.
type errorDocument struct {
	Error struct {
		// Code is the exit code, Kind its name.
		Code    int    `json:"code"`
		Kind    string `json:"kind"`
		Message string `json:"message"`
		Hint    string `json:"hint,omitempty"`
	} `json:"error"`
}

// report shows err and returns its exit code. A reported error that was shown
// as part of the result already (silent) is not shown again.
func (s *session) report(err error) int {
	kind := kindOf(err)
	console := s.consoleOrPlain()
	if errors.Is(err, errShown) {
		return kind.ExitCode()
	}
	hint := fault.HintOf(err)
	message := err.Error()
	if kind == fault.Interrupted {
		message, hint = "interrupted: nothing more was written", ""
	}
	if s.globals.output == ui.JSON {
		var doc errorDocument
		doc.Error.Code, doc.Error.Kind = kind.ExitCode(), kind.String()
		doc.Error.Message, doc.Error.Hint = message, hint
		_ = ui.WriteDocument(s.app.Out, ui.JSON, doc)
	}
	console.Error("%s", message)
	if hint != "" {
		console.Tip("%s", hint)
	}
	return kind.ExitCode()
}

// errShown marks an error whose text is in the result on stdout already.
var errShown = errors.New("shown")

// kindOf is the kind of any error: classified ones say it themselves.
func kindOf(err error) fault.Kind {
	if kind, ok := fault.KindOf(err); ok {
		return kind
	}
	switch {
	case errors.Is(err, context.Canceled):
		return fault.Interrupted
	case errors.Is(err, fs.ErrNotExist):
		return fault.NotFound
	default:
		return fault.Failed
	}
}

// flagError makes cobra's words for a bad flag a usage error with a tip.
func flagError(cmd *cobra.Command, err error) error {
	if err == nil || strings.Contains(err.Error(), "help requested") {
		return err
	}
	out := fault.New(fault.Usage, "reading the flags of '%s': %w", cmd.CommandPath(), err)
	if name, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		if near := nearestFlag(cmd, name); near != "" {
			return fault.Hint(out, "did you mean '--%s'?", near)
		}
	}
	return fault.Hint(out, "run '%s --help'", cmd.CommandPath())
}

// args makes cobra's argument checks usage errors that say what is expected.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := check(cmd, given); err != nil {
			return fault.Hint(fault.New(fault.Usage, "reading the arguments of '%s': %w", cmd.CommandPath(), err),
				"the form is '%s'", cmd.UseLine())
		}
		return nil
	}
}
