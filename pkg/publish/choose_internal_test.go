package publish

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/multipack/multipack/pkg/platform"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		have []string
		want string
		at   int
	}{
		{[]string{"linux/arm64", "linux/amd64"}, "linux/amd64", 1},
		{[]string{"linux/amd64/v3", "linux/amd64"}, "linux/amd64", 1},
		{[]string{"linux/amd64/v3"}, "linux/amd64", -1},
		{[]string{"linux/amd64", "linux/amd64/v2"}, "linux/amd64/v3", 1},
		{[]string{"linux/arm/v5", "linux/arm/v6"}, "linux/arm/v7", 1},
		{[]string{"linux/arm/v7"}, "linux/arm/v6", -1},
		{[]string{"linux/arm64/v9", "linux/arm64/v8"}, "linux/arm64", 1},
		{[]string{"windows/amd64:10.0.1"}, "linux/amd64", -1},
		{[]string{"linux/amd64:22.04", "linux/amd64:24.04"}, "linux/amd64", 0},
		{nil, "linux/amd64", -1},
	} {
		var have []platform.Platform
		for _, s := range c.have {
			have = append(have, parsed(t, s))
		}
		if got := choose(have, parsed(t, c.want)); got != c.at {
			t.Errorf("of %v for %s: got %d, want %d", c.have, c.want, got, c.at)
		}
	}
}

func parsed(t *testing.T, s string) platform.Platform {
	t.Helper()
	p, err := platform.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestJoinedTellsCausesOnce(t *testing.T) {
	t.Parallel()
	a, b := errors.New("a"), errors.New("b")
	cancelled := fmt.Errorf("waiting: %w", context.Canceled)
	if got := joined([]error{cancelled, errors.Join(a, b), a}); got == nil || got.Error() != "a\nb" || !errors.Is(got, b) {
		t.Errorf("got %v", got)
	}
	if got := joined([]error{nil, cancelled}); !errors.Is(got, context.Canceled) {
		t.Errorf("got %v", got)
	}
	if got := joined([]error{nil, nil}); got != nil {
		t.Errorf("got %v", got)
	}
	both := fmt.Errorf("doing: %w: %w", a, b)
	if got := joined([]error{both}); got != both {
		t.Errorf("the words of %v are lost: %v", both, got)
	}
}
