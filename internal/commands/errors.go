package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/multipack/multipack/internal/fault"
)

// errorBody is what documents say of an error.
type errorBody struct {
	// Code is the exit code, Kind its name.
	Code    int    `json:"code"`
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// errorDocument is what -o prints for an error.
type errorDocument struct {
	Error errorBody `json:"error"`
}

func bodyOf(err error) errorBody {
	kind := kindOf(err)
	body := errorBody{Code: kind.ExitCode(), Kind: kind.String(), Message: err.Error(), Hint: fault.HintOf(err)}
	if body.Hint == "" && errors.Is(err, syscall.ENOSPC) {
		body.Hint = "free some space; temporary files go where TMPDIR says"
	}
	return body
}

// report shows err and returns its exit code.
func (s *session) report(err error) int {
	body := bodyOf(err)
	console := s.consoleOrPlain()
	if kindOf(err) == fault.Interrupted {
		body.Message, body.Hint = "interrupted: nothing more was written", ""
	}
	if _, said := errors.AsType[*documentedError](err); s.globals.output != "" && !said {
		_ = console.Document(s.globals.output, errorDocument{Error: body}) // the line on stderr says it too
	}
	console.Error("%s", body.Message)
	if body.Hint != "" {
		console.Tip("%s", body.Hint)
	}
	return body.Code
}

// documentedError is an error that the document on stdout tells of already:
// there is to be one document only.
type documentedError struct{ error }

// Unwrap gives the error.
func (e *documentedError) Unwrap() error { return e.error }

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
	out := fault.New(fault.Usage, "reading the flags of '%s': %w", cmd.CommandPath(), flagWords(err))
	if name, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		if near := nearestFlag(cmd, name); near != "" {
			return fault.Hint(out, "did you mean '--%s'?", near)
		}
	}
	return fault.Hint(out, "run '%s --help'", cmd.CommandPath())
}

// flagWords are the words for values that pflag could not read; pflag's own
// quote Go's parser.
func flagWords(err error) error {
	if missing, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return fmt.Errorf("'--%s' needs a value", missing.GetFlag().Name)
	}
	bad, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	name, value := bad.GetFlag().Name, bad.GetValue()
	switch bad.GetFlag().Value.Type() {
	case "int":
		return fmt.Errorf("'--%s' is a number, not '%s'", name, value)
	case "bool":
		return fmt.Errorf("'--%s' is true or false, not '%s'", name, value)
	case "stringToString":
		return fmt.Errorf("'--%s' wants name=value, not '%s'", name, value)
	default:
		return fmt.Errorf("'--%s' cannot be '%s': %w", name, value, bad.Unwrap())
	}
}

// args makes cobra's argument checks usage errors that say what is expected.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := check(cmd, given); err != nil {
			if strings.HasPrefix(err.Error(), "unknown command") { // cobra.NoArgs
				err = fmt.Errorf("it takes none, and was given '%s'", given[0])
			}
			return fault.Hint(fault.New(fault.Usage, "reading the arguments of '%s': %w", cmd.CommandPath(), err),
				"the form is '%s'", cmd.UseLine())
		}
		return nil
	}
}
