package dependency_test

import (
	"strings"
	"testing"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/dependency"
)

func TestTheLongestID(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("a", 253)
	if id, err := dependency.ParseID(longest + "/" + longest + "@1"); err != nil || id.Namespace != longest || id.Name != longest || id.Version != "1" {
		t.Errorf("got %v, %v", id, err)
	}
	for _, bad := range []string{longest + "a/b", "b/" + longest + "a", "/b", "a/", "a/b@", "A/b", "../b", "a/b/c"} {
		if _, err := dependency.ParseID(bad); !fault.Is(err, fault.Usage) {
			t.Errorf("'%s': %v", bad, err)
		}
	}
}
