package session

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/remotecommand"
)

// statusTime is how long the kubelet may take to report a process that has ended: it looks once a
// second, and its report queues behind others.
const statusTime = 30 * time.Second

// runByAttach joins the container's own process. Its exit status is the container's, as the
// kubelet reports it.
func (s *session) runByAttach(ctx context.Context, watch *podWatch) (int, error) {
	streamCtx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	attachErr := s.attach(streamCtx, stop)
	if streamCtx.Err() != nil {
		return 0, context.Cause(streamCtx)
	}
	end, err := s.waitUntilTerminated(ctx, watch)
	if err != nil {
		if attachErr != nil {
			err = attachErr
		}
		return 0, fmt.Errorf("the connection to %s was lost: %w", s.where(), err)
	}
	s.ended = true
	if watch.pod.DeletionTimestamp != nil {
		return 0, fmt.Errorf("%s ended under the session: %w", s.where(), errDeleted)
	}
	return int(end.ExitCode), nil
}

func (s *session) attach(ctx context.Context, stop context.CancelCauseFunc) error {
	return s.onTerminal(func(sizes remotecommand.TerminalSizeQueue) error {
		streams := s.streams(stop, sizes)
		streams.Stdin = orNothing(s.Stdin)
		if s.plan.Gate == "" {
			return s.attachLate(ctx, streams)
		}
		streams.Stdin = io.MultiReader(strings.NewReader("\n"), streams.Stdin)
		late := time.AfterFunc(s.StartTimeout, func() {
			if s.process.Load() == nil { // an entrypoint that does not run its arguments
				stop(fmt.Errorf("the command in %s did not start within %s: the container's process does not run it", s.where(), s.StartTimeout))
			}
		})
		defer late.Stop()
		streams.Stdout = &gated{Writer: streams.Stdout, mark: s.plan.Gate, opened: s.opened}
		return s.Streamer.Attach(ctx, s.container(), streams)
	})
}

func orNothing(in io.Reader) io.Reader {
	if in == nil {
		return strings.NewReader("")
	}
	return in
}

// opened takes the PID of the gate, by which clean-up can end the process.
func (s *session) opened(pid string) {
	s.process.Store(&pid)
}

func (s *session) waitUntilTerminated(ctx context.Context, watch *podWatch) (*corev1.ContainerStateTerminated, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, statusTime, fmt.Errorf("the container has no exit status after %s", statusTime))
	defer cancel()
	for {
		if end := diagnose(watch.pod, s.plan.Container).terminated; end != nil {
			return end, nil
		}
		if err := watch.next(ctx); err != nil {
			return nil, err
		}
	}
}
