package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// killed is the exit status of a process that got KILL: what a shell ends with whose container ends.
const killed = 128 + 9

// runCommand runs the plan's command and returns its exit status.
func (s *session) runCommand(ctx context.Context, watch *podWatch) (int, error) {
	if s.plan.Via == plan.ViaAttach {
		return s.runByAttach(ctx, watch)
	}
	return s.runByExec(ctx)
}

// runByExec attaches to the holder and runs the command beside it, both at once.
func (s *session) runByExec(ctx context.Context) (int, error) {
	s.holder = hold(ctx, s.Streamer, s.container())
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err := onTerminal(s.plan.TTY, s.Stdin, s.Stdout, func(sizes remotecommand.TerminalSizeQueue) error {
		return s.Streamer.Exec(ctx, s.container(), s.plan.Command, s.streams(stop, sizes))
	})
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	var exit exec.CodeExitError
	switch {
	case err == nil:
		return 0, nil
	case !errors.As(err, &exit):
		return 0, fmt.Errorf("the connection to %s was lost: %w", s.where(), err)
	case exit.Code == killed && s.holder.hasEnded(time.Second):
		return 0, s.endedUnder(ctx)
	}
	return exit.Code, nil
}

func (s *session) container() Container {
	return Container{Namespace: s.plan.Namespace, Pod: s.plan.PodName, Name: s.plan.Container}
}

// streams are the user's own. Output that cannot be written ends the session: otherwise the command
// would go on for nobody.
func (s *session) streams(stop context.CancelCauseFunc, sizes remotecommand.TerminalSizeQueue) remotecommand.StreamOptions {
	streams := remotecommand.StreamOptions{
		Stdin: s.Stdin, Stdout: &output{s.Stdout, stop}, Tty: s.plan.TTY, TerminalSizeQueue: sizes,
	}
	if !s.plan.TTY {
		streams.Stderr = &output{s.Stderr, stop}
	}
	return streams
}

// endedUnder says why the container ended under its shell.
func (s *session) endedUnder(ctx context.Context) error {
	pod, err := s.Client.CoreV1().Pods(s.plan.Namespace).Get(ctx, s.plan.PodName, metav1.GetOptions{})
	switch {
	case err != nil:
		return fmt.Errorf("%s ended under the session: %w", s.where(), err)
	case pod.DeletionTimestamp != nil:
		return fmt.Errorf("%s ended under the session: %w", s.where(), errDeleted)
	case pod.Status.Reason != "":
		return fmt.Errorf("%s ended under the session: %s: %s", s.where(), pod.Status.Reason, pod.Status.Message)
	}
	return fmt.Errorf("%s ended under the session", s.where())
}
