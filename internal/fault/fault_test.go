package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/multipack/multipack/internal/fault"
)

func TestKindAndHint(t *testing.T) {
	t.Parallel()
	inner := fault.Hint(fault.New(fault.NotFound, "opening 'x': %w", errors.New("gone")), "run %s", "y")
	err := fmt.Errorf("packaging: %w", inner)
	if k, ok := fault.KindOf(err); !ok || k != fault.NotFound {
		t.Errorf("kind of a wrapped error: %v, %v", k, ok)
	}
	if got := fault.HintOf(err); got != "run y" {
		t.Errorf("hint: %q", got)
	}
	if got := err.Error(); got != "packaging: opening 'x': gone" {
		t.Errorf("message: %q", got)
	}
	joined := errors.Join(errors.New("plain"), err)
	if !fault.Is(joined, fault.NotFound) {
		t.Error("the classified one of joined errors decides")
	}
	plain := fault.Hint(errors.New("plain"), "tip")
	if _, ok := fault.KindOf(plain); ok {
		t.Error("a hint alone is no kind")
	}
	if !fault.Is(fault.As(fault.Usage, inner), fault.Usage) {
		t.Error("the outer kind decides")
	}
	if fault.As(fault.Usage, nil) != nil || fault.Hint(nil, "x") != nil {
		t.Error("nil stays nil")
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for kind, want := range map[fault.Kind]int{
		fault.Failed: 1, fault.Usage: 2, fault.NotFound: 3, fault.Denied: 4, fault.Conflict: 5, fault.Check: 6, fault.Interrupted: 130,
	} {
		if got := kind.ExitCode(); got != want {
			t.Errorf("%s: %d, want %d", kind, got, want)
		}
	}
}
