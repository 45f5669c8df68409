package publish

import (
	"context"
	"errors"
	"sync"
)

// parallel bounds how many blobs and manifests of one artifact are worked on at
// once, local files included; requests have the registry client's own limit.
const parallel = 16

// gate admits a bounded number of leaf tasks. A task that waits for others must
// not be inside it.
type gate chan struct{}

func newGate() gate { return make(gate, parallel) }

func (g gate) run(ctx context.Context, fn func() error) error {
	select {
	case g <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-g }()
	if err := ctx.Err(); err != nil {
		return err
	}
	return fn()
}

// each runs fn for 0 … n-1 at once. The first error cancels the others; all
// errors are joined in the order of i.
func each(ctx context.Context, n int, fn func(ctx context.Context, i int) error) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if errs[i] = fn(inner, i); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return joined(errs)
}

// joined is errors.Join, flat, without repetitions (several images wait for the
// same blob) and, where there are others, without the cancellations that they caused.
func joined(errs []error) error {
	var causes, cancelled []error
	seen := map[string]bool{}
	var add func(error)
	add = func(err error) {
		switch {
		case err == nil:
		case isJoin(err):
			for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
				add(e)
			}
		case seen[err.Error()]:
		case errors.Is(err, context.Canceled):
			seen[err.Error()] = true
			cancelled = append(cancelled, err)
		default:
			seen[err.Error()] = true
			causes = append(causes, err)
		}
	}
	for _, err := range errs {
		add(err)
	}
	switch {
	case len(causes) == 1:
		return causes[0]
	case len(causes) > 1:
		return errors.Join(causes...)
	case len(cancelled) > 0:
		return cancelled[0]
	}
	return nil
}

// isJoin reports whether err is what errors.Join makes, which adds no words of
// its own, unlike an fmt.Errorf with several %w.
func isJoin(err error) bool {
	many, ok := err.(interface{ Unwrap() []error })
	return ok && errors.Join(many.Unwrap()...).Error() == err.Error()
}

// once runs a task for the first caller and gives its error to all.
type once struct {
	once sync.Once
	err  error
}

func (o *once) do(fn func() error) error {
	o.once.Do(func() { o.err = fn() })
	return o.err
}
