package session

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// endless is a Streamer whose command tells its end and whose stream never ends by itself.
type endless struct{ Streamer }

func (endless) Exec(ctx context.Context, _ Container, _ []string, streams remotecommand.StreamOptions) error {
	fmt.Fprint(streams.Stderr, "mark 3\n")
	<-ctx.Done()
	return ctx.Err()
}

// TestLostEnd: the status is the one that was told, and the session ends.
func TestLostEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		defer stop(nil)
		s := &session{Config: Config{Streamer: endless{}, Stdout: io.Discard, Stderr: io.Discard}, plan: &plan.Plan{End: "mark "}}
		told, _ := s.exec(ctx, stop)
		if told == nil || *told != 3 || ctx.Err() != nil {
			t.Errorf("told %v, session %v; want 3, alive", told, ctx.Err())
		}
	})
}
