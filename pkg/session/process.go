package session

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// endProcess ends the process of an ephemeral container: the container itself can be neither
// stopped nor removed through the API. The session has ended only when its process has, so it waits
// for that, and says so where it cannot be sure.
func (s *session) endProcess(ctx context.Context, watch *podWatch) {
	if s.failed {
		s.Teller.Say("%s never ran; the pod keeps its entry", s.where())
		return
	}
	if !s.started && !s.startsAfterAll(ctx, watch) {
		s.Teller.Warn("%s cannot be taken back: should it still start, it ends by itself within %s", s.where(), duration.HumanDuration(s.plan.Patience))
		return
	}
	if err := s.endStarted(ctx); err != nil && !s.isTerminated(ctx, watch) {
		s.Teller.Warn("%s may still run: %v", s.where(), err)
		return
	}
	s.Teller.Say("%s has ended", s.where())
}

// isTerminated reports whether the container has ended by itself: it can neither be told to nor be killed
// then, and says so before its status does.
func (s *session) isTerminated(ctx context.Context, watch *podWatch) bool {
	for watch != nil && diagnose(watch.pod, s.plan.Container).terminated == nil {
		if err := watch.next(ctx); err != nil {
			return errors.Is(err, errDeleted)
		}
	}
	return watch != nil
}

// startsAfterAll waits a little for a container that was about to start when the session was
// interrupted: only then can it be ended.
func (s *session) startsAfterAll(ctx context.Context, watch *podWatch) bool {
	ctx, cancel := context.WithTimeout(ctx, startingTime)
	defer cancel()
	for watch != nil {
		now := diagnose(watch.pod, s.plan.Container)
		if now.waiting == "" && now.err == nil {
			s.ended = now.terminated != nil
			return true
		}
		if now.err != nil || now.unlikely || watch.next(ctx) != nil {
			return false
		}
	}
	return false
}

// startingTime is how long a container with its image on the node takes to start, and more.
const startingTime = 5 * time.Second

// endStarted ends the container's process in the way that fits how the client is connected to it.
func (s *session) endStarted(ctx context.Context) error {
	switch {
	case s.ended:
		return nil
	case s.plan.Detached:
		return endResident(ctx, s.Streamer, s.container())
	case s.holder != nil:
		return s.holder.end(ctx)
	case s.gate.process() != "":
		return s.kill(ctx)
	default:
		return s.endUnheard(ctx)
	}
}

// endUnheard ends a holder or gate that has not heard from us yet: it ends when its input does. On a
// terminal that is a character, which without one makes no line either.
func (s *session) endUnheard(ctx context.Context) error {
	return s.Streamer.Attach(ctx, s.container(), remotecommand.StreamOptions{
		Stdin: strings.NewReader("\x04"), Stdout: io.Discard, Tty: s.plan.TTY && s.plan.Via == plan.ViaAttach,
	})
}

// kill ends the gate's process and what it has started: a terminal's end does not reach it (containerd
// closes stdin only without a TTY). If it is the container's own, all else ends with the container, and
// so does the shell that kills it.
func (s *session) kill(ctx context.Context) error {
	command := append(slices.Clone(s.plan.Kill), s.gate.process(), s.gate.watchdog())
	err := s.Streamer.Exec(ctx, s.container(), command, remotecommand.StreamOptions{Stdout: io.Discard, Stderr: io.Discard})
	var exit exec.CodeExitError
	if errors.As(err, &exit) && exit.Code == killed {
		return nil
	}
	return err
}
