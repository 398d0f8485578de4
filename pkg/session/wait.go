package session

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// errLate is the cause of a start that takes too long.
var errLate = errors.New("the session did not start in time")

// waitUntilStarted waits until the container's process runs, or by attach has already run to its
// end. It says what it waits for, and fails with the server's words when that cannot come any more
// or has not come in time.
func (s *session) waitUntilStarted(ctx context.Context, watch *podWatch) error {
	defer s.Teller.Ready()
	session := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, s.StartTimeout, errLate)
	defer cancel()
	for {
		now := diagnose(watch.pod, s.plan.Container)
		switch {
		case now.terminated != nil && s.plan.Via == plan.ViaExec:
			now = endedEarly(watch.pod, s.plan.Container, now.terminated)
		case now.waiting == "" && now.err == nil:
			s.started = true
			return nil
		}
		if now.err != nil {
			return s.failure(session, now)
		}
		s.Teller.Waiting(now.waiting)
		switch err := watch.next(ctx); {
		case errors.Is(err, errLate):
			return s.late(session, watch.pod, now)
		case err != nil:
			return fmt.Errorf("%s did not start: %w", s.where(), deleted(watch.pod, err))
		}
	}
}

// endedEarly is a holder that has ended before anything could run beside it.
func endedEarly(pod *corev1.Pod, container string, end *corev1.ContainerStateTerminated) start {
	if pod.Status.Reason != "" { // the container's end is only what came of it
		return start{terminated: end, err: podFailed(pod)}
	}
	words := howEnded(pod, container, end)
	next := remedy(pod, container, words)
	if next == "" {
		next = eventsOf(pod)
	}
	return start{terminated: end, logs: container, err: hint.Errorf(next, "container %s ended before the session began: %s", container, words)}
}

// failure adds to what the pod's status tells what else can be known before the pod is deleted.
func (s *session) failure(ctx context.Context, now start) error {
	s.failed = !now.unlikely && now.terminated == nil
	if now.logs != "" {
		s.tellLog(ctx, now.logs)
	}
	err := fmt.Errorf("%s did not start: %w", s.where(), now.err)
	if now.unlikely {
		return s.withPullSecret(ctx, err)
	}
	return err
}

// withPullSecret adds to a pull that failed that it was made without its secret.
func (s *session) withPullSecret(ctx context.Context, err error) error {
	if warning := s.missingPullSecret(ctx); warning != "" {
		return hint.Errorf(pullSecrets(s.plan.Namespace), "%w: %s", err, warning)
	}
	return err
}

// late is a start that takes too long.
func (s *session) late(ctx context.Context, pod *corev1.Pod, now start) error {
	if now.logs != "" {
		s.tellLog(ctx, now.logs)
	}
	if !now.unlikely { // the registry's answer is in the status
		now = s.withWarning(ctx, pod, now)
	}
	if now.next == "" {
		now.next = fmt.Sprintf("wait longer: --start-timeout %s", 5*s.StartTimeout)
	}
	err := hint.Errorf(now.next, "%s did not start within %s: it still waits for %s", s.where(), s.StartTimeout, now.waiting)
	if now.unlikely {
		return s.withPullSecret(ctx, err)
	}
	return err
}

// withWarning adds to what a start waits for why that does not come.
func (s *session) withWarning(ctx context.Context, pod *corev1.Pod, now start) start {
	warning := s.lastWarning(ctx, now.subject)
	if warning == "" || strings.Contains(now.waiting, warning) {
		return now
	}
	now.waiting += ": " + warning
	if next := remedy(pod, now.subject, warning); next != "" {
		now.next = next
	}
	return now
}
