package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/remotecommand"
)

// statusTime is how long the kubelet may take to report a process that has ended: it looks once a
// second, and its report queues behind those of other pods.
const statusTime = 2 * time.Minute

// byCtrlC is the exit status of a gate that got the key before its command began.
const byCtrlC = 128 + 2

// brokenTime is how long a command whose stream broke may take to have ended, if it has.
const brokenTime = 5 * time.Second

// runByAttach joins the container's own process. Its exit status is what it tells itself, or else the
// container's, as the kubelet reports it.
func (s *session) runByAttach(ctx context.Context, watch *podWatch) (int, error) {
	streamCtx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	told, err := s.attach(streamCtx, stop, watch)
	if err == nil && told == nil && s.plan.End != "" && s.gate.process() != "" {
		err = errUntold
	}
	switch {
	case streamCtx.Err() != nil:
		return 0, context.Cause(streamCtx)
	case errors.Is(err, errNotBack) || errors.Is(err, errNoStatus):
		return 0, fmt.Errorf("the connection to %s was lost: %w", s.where(), err)
	case told != nil && err != nil:
		return 0, s.lostOutput(*told, err)
	case told != nil && *told != killed: // why it was killed says the container's status
		s.ended = true
		return *told, nil
	}
	return s.containerStatus(ctx, watch, told, err)
}

// containerStatus is the exit status of the container. told is what it said itself, if it did, and broken
// what broke its stream, if it broke.
func (s *session) containerStatus(ctx context.Context, watch *podWatch, told *int, broken error) (int, error) {
	patience := statusTime
	switch {
	case told != nil:
		patience = reasonTime
	case broken != nil && !isAnswer(broken):
		patience = brokenTime
	}
	end, err := s.waitUntilTerminated(ctx, watch, patience)
	switch {
	case errors.Is(err, errDeleted):
		return 0, fmt.Errorf("%s ended under the session: %w", s.where(), errDeleted)
	case err != nil && told != nil:
		return *told, nil
	case err != nil && broken != nil:
		return 0, fmt.Errorf("the connection to %s was lost: %w", s.where(), broken)
	case err != nil:
		return 0, fmt.Errorf("the connection to %s was lost: %w", s.where(), err)
	}
	s.ended = true
	switch {
	case watch.pod.DeletionTimestamp != nil:
		return 0, fmt.Errorf("%s ended under the session: %w", s.where(), errDeleted)
	case s.plan.Gate != "" && s.gate.process() == "" && end.ExitCode == byCtrlC:
		return byCtrlC, nil
	case s.plan.Gate != "" && s.gate.process() == "":
		return 0, endedEarly(watch.pod, s.plan.Container, end).err
	case broken != nil && (end.ExitCode != killed || !errors.Is(broken, errUntold)): // who was killed tells nothing
		return 0, s.lostOutput(int(end.ExitCode), broken)
	case outOfMemory(end):
		words := howEnded(watch.pod, s.plan.Container, end)
		s.Teller.Warn("%s ended: %s\n%s", s.where(), words, remedy(watch.pod, s.plan.Container, words))
	}
	return int(end.ExitCode), nil
}

func (s *session) attach(ctx context.Context, stop context.CancelCauseFunc, watch *podWatch) (told *int, err error) {
	err = s.onTerminal(func(user terminal) error {
		streams := s.streams(stop, user)
		streams.Stdin = orNothing(s.Stdin)
		if s.plan.TTY {
			return s.stayAttached(ctx, stop, watch, streams)
		}
		told, err = s.untilEnd(ctx, streams, func(ctx context.Context, streams remotecommand.StreamOptions) error {
			late, err := s.attachFirst(ctx, stop, streams)
			return s.missed(ctx, watch, late, err)
		})
		return err
	})
	return told, err
}

// attachFirst attaches to a command that waits behind a gate, or has started without waiting: then there
// is a backlog.
func (s *session) attachFirst(ctx context.Context, stop context.CancelCauseFunc, streams remotecommand.StreamOptions) (*backlog, error) {
	if s.plan.Gate == "" {
		return s.attachLate(ctx, streams)
	}
	defer s.throughGate(ctx, stop, &streams)()
	return nil, s.Streamer.Attach(ctx, s.container(), streams)
}

var errNoStatus = errors.New("the container has no exit status")

func (s *session) waitUntilTerminated(ctx context.Context, watch *podWatch, patience time.Duration) (*corev1.ContainerStateTerminated, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%w after %s", errNoStatus, patience))
	defer cancel()
	told := time.AfterFunc(3*time.Second, func() { s.Teller.Say("waiting for the exit status of %s", s.where()) })
	defer told.Stop()
	for {
		if end := diagnose(watch.pod, s.plan.Container).terminated; end != nil {
			return end, nil
		}
		if err := watch.next(ctx); err != nil {
			return nil, err
		}
	}
}
