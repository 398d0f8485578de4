package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// killed is the exit status of a process that got KILL: what a shell ends with whose container ends.
const killed = 128 + 9

// runCommand runs the plan's command and returns its exit status.
func (s *session) runCommand(ctx context.Context, watch *podWatch) (int, error) {
	if s.plan.Via == plan.ViaAttach {
		return s.runByAttach(ctx, watch)
	}
	return s.runByExec(ctx, watch)
}

// runByExec attaches to the holder and runs the command beside it, both at once.
func (s *session) runByExec(ctx context.Context, watch *podWatch) (int, error) {
	s.holder = hold(ctx, s.Streamer, s.container(), s.beat())
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	told, err := s.exec(ctx, stop)
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if err == nil && s.plan.TTY && s.holder.hasEnded(togetherTime) {
		err = errUntold
	}
	if isRefusal(err) {
		if why := s.endedUnder(ctx, watch, brokenTime); why != nil {
			return 0, why
		}
	}
	return s.outcome(told, err, func() error { return s.endedUnder(ctx, watch, reasonTime) })
}

// isRefusal reports whether a command by exec was not run, or not any more: its container may be gone.
func isRefusal(err error) bool {
	var exit exec.CodeExitError
	return isAnswer(err) && !errors.As(err, &exit) && !errors.Is(err, errUntold)
}

// errUntold is a stream that ended without the command's end. client-go takes a stream that was closed
// without a status for a command that succeeded.
var errUntold = errors.New("the stream ended, and the command's end was not told")

// underTime is how long the holder's stream may take to end after that of a command that got KILL, where
// both got it.
const underTime = 2 * time.Second

// togetherTime is how soon after one another two streams end that are lost with the same connection.
const togetherTime = 50 * time.Millisecond

// outcome makes an exit status of how a command by exec ended. under says why its container ended, if
// that is what killed it.
func (s *session) outcome(told *int, err error, under func() error) (int, error) {
	if err == nil && s.plan.End != "" && told == nil {
		err = errUntold
	}
	var exit exec.CodeExitError
	switch {
	case err == nil && told == nil:
		return 0, nil
	case err == nil: // the stream was cut, because it did not end
		return *told, nil
	case errors.As(err, &exit) && exit.Code == killed:
		if why := under(); why != nil {
			return 0, why
		}
		return killed, nil
	case errors.As(err, &exit):
		return exit.Code, nil
	case told != nil:
		return 0, s.lostOutput(*told, err)
	}
	return 0, fmt.Errorf("the connection to %s was lost: %w", s.where(), err)
}

// exec runs the command. told is its exit status, if it was told before the stream's own.
func (s *session) exec(ctx context.Context, stop context.CancelCauseFunc) (told *int, err error) {
	err = s.onTerminal(func(user terminal) error {
		told, err = s.untilEnd(ctx, s.streams(stop, user), func(ctx context.Context, streams remotecommand.StreamOptions) error {
			if s.plan.Gate != "" {
				defer s.throughGate(ctx, stop, &streams)()
			}
			return s.Streamer.Exec(ctx, s.container(), s.plan.CommandAt(s.size()), streams)
		})
		return err
	})
	return told, err
}

// lostOutput is for a command whose end is known, and whose stream broke before it had ended.
func (s *session) lostOutput(status int, err error) error {
	return fmt.Errorf("the connection to %s was lost before all of the output had come; the command's exit status was %d: %w", s.where(), status, err)
}

func (s *session) container() Container {
	return Container{Namespace: s.plan.Namespace, Pod: s.plan.PodName, Name: s.plan.Container}
}

// streams are the user's own. Output that cannot be written ends the session: otherwise the command
// would go on for nobody.
func (s *session) streams(stop context.CancelCauseFunc, user terminal) remotecommand.StreamOptions {
	streams := remotecommand.StreamOptions{
		Stdin: s.Stdin, Stdout: &output{user.out, stop}, Tty: s.plan.TTY, TerminalSizeQueue: user.sizes,
	}
	if !s.plan.TTY {
		streams.Stderr = &output{s.Stderr, stop}
	}
	return streams
}

// reasonTime is how long the pod's status may take to say why its container ended.
const reasonTime = 15 * time.Second

// endedUnder says why the container ended under its shell, as the pod's status tells it within patience;
// nil: it has not ended.
func (s *session) endedUnder(ctx context.Context, watch *podWatch, patience time.Duration) error {
	if !s.holder.hasEnded(underTime) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if why := s.whyEnded(watch.pod); why != nil {
			return why
		}
		if err := watch.next(ctx); errors.Is(err, context.DeadlineExceeded) && s.holder.err != nil {
			return fmt.Errorf("the connection to %s was lost: %w", s.where(), s.holder.err)
		} else if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%s ended under the session, and its status does not say why", s.where())
		} else if err != nil {
			return fmt.Errorf("%s ended under the session: %w", s.where(), err)
		}
	}
}

// whyEnded is what a pod's status says of the end of the session's container, or nil.
func (s *session) whyEnded(pod *corev1.Pod) error {
	switch end := diagnose(pod, s.plan.Container).terminated; {
	case pod.Status.Reason != "":
		return fmt.Errorf("%s ended under the session: %s: %s", s.where(), pod.Status.Reason, pod.Status.Message)
	case pod.DeletionTimestamp != nil:
		return fmt.Errorf("%s ended under the session: %w", s.where(), errDeleted)
	case end != nil && end.Reason == "Completed": // the pod's reason would have come before
		return fmt.Errorf("%s ended under the session: the process that kept it was ended", s.where())
	case end != nil:
		words := howEnded(pod, s.plan.Container, end)
		return hint.Errorf(remedy(pod, s.plan.Container, words), "%s ended under the session: %s", s.where(), words)
	}
	return nil
}
