// Package fault classifies errors by what a caller can do about them, and
// carries the hint that tells a user the next step. It decides no wording of
// its own: the message stays with the error that is wrapped.
package fault

import (
	"errors"
	"fmt"
)

// Kind is the class of an error; each has one exit code (docs/cli, "Exit codes").
type Kind int

// The kinds, in the order of their exit codes.
const (
	// Failed: network, disk, or a registry that said no for another reason.
	Failed Kind = iota + 1
	// Usage: flags, arguments, unparsable reference or platform; nothing was touched.
	Usage
	// NotFound: list, image, entry, platform or file does not exist.
	NotFound
	// Denied: 401, 403 or missing credentials.
	Denied
	// Conflict: list exists, platform taken, tag immutable, tag kept moving.
	Conflict
	// Check: lint, verify, diff or skew found differences.
	Check
	// Interrupted: the first SIGINT or SIGTERM cancelled the run.
	Interrupted
)

// ExitCode is the process exit code of the kind.
func (k Kind) ExitCode() int {
	if k == Interrupted {
		return 130
	}
	return int(k)
}

// String is the kind's name in JSON errors.
func (k Kind) String() string {
	switch k {
	case Usage:
		return "usage"
	case NotFound:
		return "not-found"
	case Denied:
		return "denied"
	case Conflict:
		return "conflict"
	case Check:
		return "check"
	case Interrupted:
		return "interrupted"
	default:
		return "failed"
	}
}

// Error is an error with a kind and, where the next step is known, a hint.
type Error struct {
	Kind Kind
	Hint string
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the classified error.
func (e *Error) Unwrap() error { return e.Err }

// New is a classified error with a formatted message; %w wraps as in fmt.Errorf.
func New(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// As classifies err; nil stays nil.
func As(kind Kind, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: kind, Err: err}
}

// Hint adds what to run or change next; nil stays nil. The kind is kept.
func Hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	kind, _ := KindOf(err)
	return &Error{Kind: kind, Hint: fmt.Sprintf(format, args...), Err: err}
}

// KindOf is the kind of the outermost classified error in err's chain; false
// when nothing in the chain was classified. Hint alone (Kind 0) does not count.
// Of joined errors the first classified one decides.
func KindOf(err error) (Kind, bool) {
	for err != nil {
		if e, ok := err.(*Error); ok && e.Kind != 0 {
			return e.Kind, true
		}
		switch u := err.(type) {
		case interface{ Unwrap() error }:
			err = u.Unwrap()
		case interface{ Unwrap() []error }:
			for _, inner := range u.Unwrap() {
				if k, ok := KindOf(inner); ok {
					return k, true
				}
			}
			return 0, false
		default:
			return 0, false
		}
	}
	return 0, false
}

// HintOf is the outermost hint in err's chain, "" when there is none.
func HintOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}

// Is reports whether err is of the kind.
func Is(err error, kind Kind) bool {
	k, ok := KindOf(err)
	return ok && k == kind
}
