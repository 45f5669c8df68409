package reference_test

import (
	"strings"
	"testing"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/reference"
)

func TestTheLongestTag(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("a", 128)
	if _, err := reference.ParseName("acme/bp:" + longest); err != nil {
		t.Error(err)
	}
	if _, err := reference.ParseName("acme/bp:" + longest + "a"); !fault.Is(err, fault.Usage) {
		t.Errorf("a tag of 129 characters: %v", err)
	}
	if _, err := reference.ParseName("acme/bp:"); !fault.Is(err, fault.Usage) {
		t.Errorf("an empty tag: %v", err)
	}
}
