package publish

import (
	"context"

	"github.com/multipack/multipack/pkg/manifest"
)

// BeforeTags publishes through Next and does something at the moment when all
// content is there and nothing has a name for it yet.
type BeforeTags struct {
	Next Stager
	// Do may fail: then no name is written.
	Do func(ctx context.Context) error
}

// Publish implements Publisher.
func (b *BeforeTags) Publish(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	s, err := b.Next.Stage(ctx, a, to)
	if err != nil {
		return Report{}, err
	}
	if err := b.Do(ctx); err != nil {
		s.Abort()
		return Report{}, err
	}
	return s.Commit(ctx)
}
