package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/diagnosis"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// runCommand runs the plan's command and returns its exit status. By exec it attaches to the holder and runs
// the command beside it, both at once.
func (s *session) runCommand(ctx context.Context) (int, error) {
	if s.agent.Via == agent.ViaAttach {
		return s.runByAttach(ctx)
	}
	s.agent.AttachHolder(ctx)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	told, err := s.exec(ctx, stop)
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if err == nil && s.agent.TTY {
		if together, _ := s.agent.HolderEnded(togetherDelay); together {
			err = errUntold
		}
	}
	if isNotRun(err) {
		if why := s.terminationCause(ctx, brokenTimeout); why != nil {
			return 0, why
		}
	}
	return s.outcome(told, err, func() error { return s.terminationCause(ctx, reasonTimeout) })
}

// isNotRun reports whether a command by exec was not run, or not any more: its container may be gone.
func isNotRun(err error) bool {
	var exit exec.CodeExitError
	return stream.IsAnswer(err) && !errors.As(err, &exit) && !errors.Is(err, errUntold)
}

// errUntold is a stream that ended without the command's end. client-go takes a stream that was closed
// without a status for a command that succeeded.
var errUntold = errors.New("the stream ended without the command's exit status")

// outcome makes an exit status of how a command by exec ended. under says why its container ended, if
// that is what killed it.
func (s *session) outcome(told *int, err error, under func() error) (int, error) {
	if err == nil && s.agent.TellsEnd() && told == nil {
		err = errUntold
	}
	var exit exec.CodeExitError
	switch {
	case err == nil && told == nil:
		return 0, nil
	case err == nil: // the stream was cut, because it did not end
		return *told, nil
	case errors.As(err, &exit) && exit.Code == agent.Killed:
		if why := under(); why != nil {
			return 0, why
		}
		return agent.Killed, nil
	case errors.As(err, &exit):
		return exit.Code, nil
	case told != nil:
		return 0, s.lostOutput(*told, err)
	}
	return 0, fmt.Errorf("the connection to %s was lost: %w", s.where(), err)
}

// exec runs the command. told is its exit status, if it was told before the stream's own.
func (s *session) exec(ctx context.Context, stop context.CancelCauseFunc) (told *int, err error) {
	err = s.user.Connect(ctx, stop, func(streams remotecommand.StreamOptions) error {
		defer s.stopUnlessOpen(stop)()
		told, err = s.agent.Exec(ctx, streams, s.user.Size)
		return err
	})
	return told, err
}

// stopUnlessOpen ends the session by stop where the gate is not open in time: an entrypoint may not run its
// arguments. done is to be called when the streams have ended.
func (s *session) stopUnlessOpen(stop context.CancelCauseFunc) (done func()) {
	timer := time.AfterFunc(s.StartTimeout, func() {
		if s.agent.HasGate() && !s.agent.IsOpen() {
			stop(fmt.Errorf("the command in %s did not start within %s: "+
				"the container's process does not run it",
				s.where(), s.StartTimeout))
		}
	})
	return func() { timer.Stop() }
}

// lostOutput is for a command whose end is known, and whose stream broke before it had ended.
func (s *session) lostOutput(status int, err error) error {
	return fmt.Errorf("the connection to %s was lost before all of the output had come; "+
		"the command's exit status was %d: %w", s.where(), status, err)
}

// terminationCause says why the container ended under its shell, as the pod's status tells it within
// patience; nil: it has not ended.
func (s *session) terminationCause(ctx context.Context, patience time.Duration) error {
	holderEnded, holderErr := s.agent.HolderEnded(holderDelay)
	if !holderEnded {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if why := s.podFailure(s.watch.pod); why != nil {
			return why
		}
		switch err := s.watch.next(ctx); {
		case err == nil:
		case errors.Is(err, errDeleted):
			return fmt.Errorf("%s ended during the session: %w", s.where(), errDeleted)
		case !errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf("%s ended during the session: %w", s.where(), err)
		case holderErr != nil:
			return fmt.Errorf("the connection to %s was lost: %w", s.where(), holderErr)
		default:
			return fmt.Errorf("%s ended during the session, and its status does not say why", s.where())
		}
	}
}

// podFailure is what a pod's status says of the end of the session's container, or nil.
func (s *session) podFailure(pod *corev1.Pod) error {
	switch end := diagnosis.Of(pod, s.plan.Container).Terminated; {
	case pod.Status.Reason != "":
		return fmt.Errorf("%s ended during the session: %s: %s", s.where(), pod.Status.Reason,
			pod.Status.Message)
	case pod.DeletionTimestamp != nil:
		return fmt.Errorf("%s ended during the session: %w", s.where(), errDeleted)
	case end != nil && end.Reason == "Completed": // the pod's reason would have come before
		return fmt.Errorf("%s ended during the session: the process that keeps it alive was ended", s.where())
	case end != nil:
		words := diagnosis.DescribeExit(pod, s.plan.Container, end)
		return hint.Wrap(fmt.Errorf("%s ended during the session: %s", s.where(), words),
			diagnosis.Hint(pod, s.plan.Container, words))
	}
	return nil
}
