package publish

import (
	"context"

	"github.com/multipack/multipack/pkg/manifest"
)

// DryRun does everything but the writing: its reports have the digests that
// the real run gives, and what that would do with every manifest and blob.
type DryRun struct {
	// Next is what would publish.
	Next Stager
}

// Publish implements Publisher.
func (d *DryRun) Publish(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	return d.Next.Plan(ctx, a, to)
}
