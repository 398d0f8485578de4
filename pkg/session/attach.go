package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/diagnosis"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// byCtrlC is the exit status of a gate that got Ctrl-C before its command began.
const byCtrlC = 128 + 2

// runByAttach attaches to the container's own process. The exit status is the one that the command reports
// itself or, failing that, the container's, as the kubelet reports it.
func (s *session) runByAttach(ctx context.Context) (int, error) {
	streamCtx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	told, err := s.connect(streamCtx, stop)
	if err == nil && told == nil && s.agent.TellsEnd() && s.agent.IsOpen() {
		err = errUntold
	}
	switch {
	case streamCtx.Err() != nil:
		return 0, context.Cause(streamCtx)
	case errors.Is(err, errNotBack) || errors.Is(err, errNoStatus):
		return 0, fmt.Errorf("the connection to %s was lost: %w", s.where(), err)
	case told != nil && err != nil:
		return 0, s.lostOutput(*told, err)
	case told != nil && *told != agent.Killed: // the container's status shows why it was killed
		s.enter(ended)
		return *told, nil
	}
	return s.containerStatus(ctx, told, err)
}

// containerStatus returns the exit status of the container. told is the status that the command reported
// itself, or nil. broken is the error that broke its stream, or nil.
func (s *session) containerStatus(ctx context.Context, told *int, broken error) (int, error) {
	patience := statusTimeout
	switch {
	case told != nil:
		patience = reasonTimeout
	case broken != nil && s.isRefusal(broken):
		patience = reasonTimeout
	case broken != nil && !stream.IsAnswer(broken):
		patience = brokenTimeout
	}
	end, err := s.waitUntilTerminated(ctx, patience)
	switch {
	case errors.Is(err, errDeleted):
		return 0, fmt.Errorf("%s ended during the session: %w", s.where(), errDeleted)
	case err != nil && told != nil:
		return *told, nil
	case err != nil && broken != nil:
		return 0, s.lostStream(broken)
	case err != nil:
		return 0, fmt.Errorf("the connection to %s was lost: %w", s.where(), err)
	}
	s.enter(ended)
	switch {
	case s.reachedTTL(s.watch.pod):
		return 0, s.outOfTime()
	case s.watch.pod.DeletionTimestamp != nil:
		return 0, fmt.Errorf("%s ended during the session: %w", s.where(), errDeleted)
	case s.agent.HasGate() && !s.agent.IsOpen() && end.ExitCode == byCtrlC:
		return byCtrlC, nil
	case s.agent.HasGate() && !s.agent.IsOpen():
		return 0, diagnosis.EndedEarly(s.watch.pod, s.plan.Container, end).Err
	case broken != nil &&
		(end.ExitCode != agent.Killed || !errors.Is(broken, errUntold)): // a killed command reports nothing
		return 0, s.lostOutput(int(end.ExitCode), broken)
	case diagnosis.OutOfMemory(end):
		words := diagnosis.DescribeExit(s.watch.pod, s.plan.Container, end)
		s.Reporter.Warn("%s ended: %s\n%s", s.where(), words,
			diagnosis.Hint(s.watch.pod, s.plan.Container, words))
	}
	return int(end.ExitCode), nil
}

// attach attaches to the container's own process. told has the same meaning as by exec.
func (s *session) attach(ctx context.Context, streams remotecommand.StreamOptions) (told *int, err error) {
	if streams.Stdin == nil && !s.agent.TellsEnd() {
		streams.Stdin = strings.NewReader("")
	}
	if s.agent.TTY {
		return nil, s.stayAttached(ctx, streams)
	}
	return s.agent.UntilEnd(ctx, streams,
		func(ctx context.Context, streams remotecommand.StreamOptions) error {
			late, err := s.attachFirst(ctx, streams)
			return s.missed(ctx, late, err)
		})
}

// attachFirst attaches to a command that waits behind a gate, or to one that has started without waiting.
// Only in the second case is there a backlog.
func (s *session) attachFirst(ctx context.Context, streams remotecommand.StreamOptions) (*stream.Backlog,
	error) {
	if s.agent.HasGate() {
		return nil, s.agent.Attach(ctx, streams, s.user.Size)
	}
	return stream.AttachLate(ctx, s.Streams, s.container, streams, func() []byte { return s.log(ctx) })
}

// missed shows the output of a command to which the runtime attached too late, even if the stream was open by
// then. Nothing came through the stream, so the log has everything. If output may be lost, missed returns
// err, which ended the stream. If that cannot be determined, it also returns the reason.
func (s *session) missed(ctx context.Context, late *stream.Backlog, err error) error {
	lost := err != nil && !stream.IsAnswer(err) || err == nil && s.agent.TTY // there, nil proves nothing
	if late == nil || late.HasSpoken() || lost && late.HasTyped() {
		return err
	}
	patience := statusTimeout
	if lost { // the command may still be running
		patience = brokenTimeout
	}
	if _, unknown := s.waitUntilTerminated(ctx, patience); unknown != nil {
		if err != nil {
			return fmt.Errorf("%w (%w)", err, unknown)
		}
		return unknown
	}
	late.Finish(ctx)
	return nil
}

var errNoStatus = errors.New("the container has no exit status")

func (s *session) waitUntilTerminated(ctx context.Context,
	patience time.Duration) (*corev1.ContainerStateTerminated, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%w after %s", errNoStatus, patience))
	defer cancel()
	told := time.AfterFunc(3*time.Second,
		func() { s.Reporter.Say("waiting for the exit status of %s", s.where()) })
	defer told.Stop()
	for {
		if end := diagnosis.Of(s.watch.pod, s.plan.Container).Terminated; end != nil {
			return end, nil
		}
		if err := s.watch.next(ctx); err != nil {
			return nil, err
		}
	}
}

// errNotBack means that a lost connection was not restored while the session could wait for it.
var errNotBack = errors.New("it was not restored")

// stayAttached attaches to a process on a terminal, and attaches again whenever the connection is lost while
// the process runs. The process does keep running: a container's terminal stays open when its client is gone.
// (Without a terminal the runtime closes the process's input, so there is nothing to attach to again.)
func (s *session) stayAttached(ctx context.Context, streams remotecommand.StreamOptions) error {
	user := stream.NewConsole(streams, s.user.Interrupt)
	first, giveBack := user.Lend(func() {})
	late, err := s.attachFirst(ctx, first)
	giveBack()
	err = s.missed(ctx, late, err)
	if s.agent.HasGate() && !s.agent.IsOpen() {
		return err // the mark where the command's output begins was lost with the connection
	}
	for !s.hasEnded(ctx) {
		if err := s.reattach(ctx, user); err != nil {
			return fmt.Errorf("%w: %w", errNotBack, err)
		}
	}
	return nil
}

// reattach brings the connection back, and returns when it is lost again or the session is over. It
// fails when it has tried for as long as a session outlives its client, or as the status of a process that
// has ended may take; a lease that cannot be renewed has ended the session before.
func (s *session) reattach(ctx context.Context, user *stream.Console) error {
	ctx = stream.WithOpening(ctx, stream.Opening{}) // as any, whatever the first has waited for
	lost := time.Now()
	for told := false; ; {
		var back atomic.Bool
		err := user.Reattach(ctx, s.Streams, s.container, func() {
			back.Store(true)
			s.Reporter.Say("reattached to %s: the connection was lost for %s; what was shown meanwhile: %s",
				s.where(), duration.HumanDuration(time.Since(lost)), hint.Command(
					"kubectl logs %s -c %s -n %s", s.plan.PodName, s.plan.Container, s.plan.Namespace))
		})
		switch {
		case back.Load() || s.hasEnded(ctx):
			return nil
		case time.Since(lost) > max(s.agent.HeartbeatTimeout+2*s.agent.HeartbeatInterval(), statusTimeout):
			return err
		case !told && time.Since(lost) > 2*settleTime: // the status of a process that has ended may be late
			told = true
			s.Reporter.Warn("the connection to %s was lost and is not restored yet; "+
				"Ctrl-C ends the session: %v", s.where(), err)
		}
	}
}

// hasEnded reports whether the session is over or its process has ended. It waits up to settleTime, since the
// pod's status may be a little late.
func (s *session) hasEnded(ctx context.Context) bool {
	limited, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		if ctx.Err() != nil || s.watch.pod.DeletionTimestamp != nil || diagnosis.Of(s.watch.pod,
			s.plan.Container).Terminated != nil {
			return true
		}
		if err := s.watch.next(limited); err != nil {
			return !errors.Is(err, context.DeadlineExceeded)
		}
	}
}
