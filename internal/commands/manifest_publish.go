package commands

import (
	"context"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/reference"
)

// changePublished makes the change on the tag in the registry.
func (s *session) changePublished(_ context.Context, job listJob) error {
	familiar := reference.Familiar(job.tag)
	return fault.Hint(fault.New(fault.Usage, "changing '%s' in its registry: this needs a local list", familiar),
		"leave '--publish' out and run 'multipack manifest push %s'", familiar)
}
