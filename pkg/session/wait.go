package session

import (
	"context"
	"fmt"
	"strings"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// waitUntilStarted waits until the container's process runs, or by attach has already run to its
// end. It says what it waits for, and fails with the server's words when that cannot come any more
// or has not come in time.
func (s *session) waitUntilStarted(ctx context.Context, watch *podWatch) error {
	defer s.Teller.Ready()
	var late lateError
	session := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, s.StartTimeout, &late)
	defer cancel()
	for {
		now := diagnose(watch.pod, s.plan.Container)
		switch {
		case now.err != nil:
			s.failed = !now.unlikely
			return fmt.Errorf("%s did not start: %w", s.where(), now.err)
		case now.terminated != nil && s.plan.Via == plan.ViaExec:
			return fmt.Errorf("%s ended before the session began: %s, exit status %d", s.where(), now.terminated.Reason, now.terminated.ExitCode)
		case now.waiting == "":
			s.started = true
			return nil
		}
		s.Teller.Waiting(now.waiting)
		late.waiting = now.waiting
		if err := watch.next(ctx); err != nil {
			return s.notStarted(session, err, &late)
		}
	}
}

// lateError is the cause of a start that takes too long.
type lateError struct{ waiting string }

func (e *lateError) Error() string { return "it still waits for " + e.waiting }

func (s *session) notStarted(ctx context.Context, err error, late *lateError) error {
	if err != error(late) { //nolint:errorlint // the very value, not its kind
		return fmt.Errorf("%s did not start: %w", s.where(), err)
	}
	if warning := s.lastWarning(ctx); warning != "" && !strings.Contains(late.waiting, warning) {
		late.waiting += ": " + warning
	}
	return hint.Errorf("wait longer with --start-timeout; look with: kubectl get events -n "+s.plan.Namespace+" --field-selector involvedObject.name="+s.plan.PodName,
		"%s did not start within %s: %w", s.where(), s.StartTimeout, err)
}
