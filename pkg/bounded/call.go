// Package bounded bounds calls that take no context.
package bounded

import "context"

// Call returns what do returns, unless ctx ends first: then it returns the cause of ctx, and do is left to
// itself.
func Call[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}
