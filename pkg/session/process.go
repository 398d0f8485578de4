package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	watch, err := s.untilStarted(ctx, watch)
	switch {
	case errors.Is(err, errDeleted): // it went with its pod
		return
	case errors.Is(err, errNotAdded):
		s.Teller.Warn("container %s is not in pod/%s: should it still be added, it ends by itself within %s",
			s.plan.Container, s.plan.PodName, duration.HumanDuration(s.plan.Patience))
		return
	case err != nil:
		s.Teller.Warn("%s cannot be taken back: should it still start, it ends by itself within %s", s.where(), duration.HumanDuration(s.plan.Patience))
		return
	}
	over := func(ctx context.Context) bool { return s.isTerminated(ctx, watch) }
	if err := endSurely(ctx, s.endStarted, over); err != nil {
		s.Teller.Warn("%s may still run: %v", s.where(), err)
		return
	}
	s.Teller.Say("%s has ended", s.where())
}

// endSurely tries again to end a container's process until it has ended, as end's success says, or over.
// A container that is paused for a moment takes no exec, and a try that hangs is not to use up the time
// of all.
func endSurely(ctx context.Context, end func(context.Context) error, over func(context.Context) bool) error {
	began := time.Now()
	var why error
	for {
		next := time.After(retryTime)
		try, cancel := context.WithTimeout(ctx, tryTime)
		err := end(try)
		if try.Err() == nil { // otherwise it says only that
			why = err
		}
		cancel()
		if err == nil || over(ctx) {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return cmp.Or(why, fmt.Errorf("it has not ended after %s", time.Since(began).Round(time.Second)))
		}
	}
}

// isTerminated reports whether the container has ended by itself: it can neither be told to nor be killed
// then, and says so a moment before its status does, for which it waits.
func (s *session) isTerminated(ctx context.Context, watch *podWatch) bool {
	ctx, cancel := context.WithTimeout(ctx, retryTime)
	defer cancel()
	for watch != nil && diagnose(watch.pod, s.plan.Container).terminated == nil {
		if err := watch.next(ctx); err != nil {
			return errors.Is(err, errDeleted)
		}
	}
	return watch != nil
}

// What a debug container is that was not seen to start.
var (
	errNotAdded   = errors.New("it was not added")
	errNotStarted = errors.New("it has not started")
)

// untilStarted returns a watch on the pod of a container that has started, by which it can be ended. The
// error is errDeleted if the pod is gone, and errNotAdded if the container is not there.
func (s *session) untilStarted(ctx context.Context, watch *podWatch) (*podWatch, error) {
	if s.started {
		return watch, nil
	}
	if watch == nil {
		var err error
		if watch, err = s.lookUp(ctx); err != nil {
			return nil, err
		}
	}
	return watch, s.startsAfterAll(ctx, watch)
}

// lookUp reads the pod that a container was to be added to, and watches it from there until ctx ends: the
// answer was lost, and the server may have acted, or be about to.
func (s *session) lookUp(ctx context.Context) (*podWatch, error) {
	var pod *corev1.Pod
	err := s.persist(ctx, func(ctx context.Context) (err error) {
		pod, err = s.Client.CoreV1().Pods(s.plan.Namespace).Get(ctx, s.plan.PodName, metav1.GetOptions{})
		return err
	})
	switch {
	case apierrors.IsNotFound(err) || err == nil && pod.UID != s.plan.PodUID:
		return nil, errDeleted
	case err != nil:
		return nil, err
	}
	return s.watch(ctx, pod)
}

// startsAfterAll waits a little for a container that was about to start when the session was
// interrupted: only then can it be ended.
func (s *session) startsAfterAll(ctx context.Context, watch *podWatch) error {
	ctx, cancel := context.WithTimeout(ctx, startingTime)
	defer cancel()
	for {
		now, added := diagnose(watch.pod, s.plan.Container), specOf(watch.pod, s.plan.Container) != nil
		switch {
		case added && now.waiting == "" && now.err == nil:
			s.ended = now.terminated != nil
			return nil
		case added && (now.err != nil || now.unlikely):
			return errNotStarted
		}
		switch err := watch.next(ctx); {
		case errors.Is(err, context.DeadlineExceeded) && !added:
			return errNotAdded
		case err != nil:
			return err
		}
	}
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
		attached := s.holder
		s.holder = nil // a stream that is lost does not come back: the next try attaches anew
		return attached.end(ctx)
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
