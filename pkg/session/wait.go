package session

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/diagnosis"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// errLate is the cause of a start that takes too long.
var errLate = errors.New("the session did not start in time")

// waitUntilStarted waits until the container's process runs, or by attach has already run to its
// end. It says what it waits for, and fails with the server's words when that cannot come any more
// or has not come in time.
func (s *session) waitUntilStarted(ctx context.Context) error {
	defer s.Reporter.Ready()
	session := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, s.StartTimeout, errLate)
	defer cancel()
	for {
		now := diagnosis.Of(s.watch.pod, s.plan.Container)
		switch {
		case now.Terminated != nil && s.agent.Via == agent.ViaExec:
			now = diagnosis.EndedEarly(s.watch.pod, s.plan.Container, now.Terminated)
		case now.Waiting == "" && now.Err == nil:
			s.enter(running)
			return nil
		}
		if now.Err != nil {
			return s.failure(session, now)
		}
		s.Reporter.Waiting(now.Waiting)
		switch err := s.watch.next(ctx); {
		case errors.Is(err, errLate):
			return s.late(session, now)
		case errors.Is(err, errDeleted):
			return fmt.Errorf("%s did not start: %w", s.where(), diagnosis.Deleted(s.watch.pod, err))
		case err != nil:
			return fmt.Errorf("%s did not start: %w", s.where(), err)
		}
	}
}

// failure adds to what the pod's status tells what else can be known before the pod is deleted.
func (s *session) failure(ctx context.Context, now diagnosis.Status) error {
	if !now.Retrying && now.Terminated == nil {
		s.enter(failed)
	}
	if now.Logs != "" {
		s.reportLog(ctx, now.Logs)
	}
	err := fmt.Errorf("%s did not start: %w", s.where(), now.Err)
	if now.Retrying {
		return s.withPullSecret(ctx, err)
	}
	return err
}

// withPullSecret adds to a pull that failed that it was made without its secret.
func (s *session) withPullSecret(ctx context.Context, err error) error {
	if warning := s.missingPullSecret(ctx); warning != "" {
		return hint.Wrap(fmt.Errorf("%w: %s", err, warning), diagnosis.PullSecretsHint(s.plan.Namespace))
	}
	return err
}

// late is a start that takes too long.
func (s *session) late(ctx context.Context, now diagnosis.Status) error {
	if now.Logs != "" {
		s.reportLog(ctx, now.Logs)
	}
	if !now.Retrying { // the registry's answer is in the status
		now = s.withWarning(ctx, now)
	}
	if now.Next == "" {
		now.Next = fmt.Sprintf("wait longer: --start-timeout %s", 5*s.StartTimeout)
	}
	err := hint.Wrap(fmt.Errorf("%s did not start within %s: it still waits for %s", s.where(),
		s.StartTimeout, now.Waiting), now.Next)
	if now.Retrying {
		return s.withPullSecret(ctx, err)
	}
	return err
}

// withWarning adds to what a start waits for why that does not come.
func (s *session) withWarning(ctx context.Context, now diagnosis.Status) diagnosis.Status {
	warning := s.lastWarning(ctx, now.Subject)
	if warning == "" || strings.Contains(now.Waiting, warning) {
		return now
	}
	now.Waiting += ": " + warning
	if next := diagnosis.Hint(s.watch.pod, now.Subject, warning); next != "" {
		now.Next = next
	}
	return now
}
