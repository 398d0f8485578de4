package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/diagnosis"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// runCommand runs the plan's command and returns its exit status. By exec, it attaches to the holder and runs
// the command beside it at the same time.
func (s *session) runCommand(ctx context.Context) (int, error) {
	if s.agent.Via == agent.ViaAttach {
		return s.runByAttach(ctx)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go s.watchHolder(ctx, s.agent.AttachHolder(ctx), stop)
	told, err := s.connect(ctx, stop)
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	var exit exec.CodeExitError
	switch {
	case err == nil && s.agent.TTY:
		if together, _ := s.agent.HolderEnded(ctx, togetherDelay); together {
			err = errUntold
		}
	case errors.Is(err, stream.ErrNoAnswer):
		limited, cancel := context.WithTimeout(ctx, settleTime)
		defer cancel()
		if why, _ := s.whyEnded(limited, s.watch); why != nil {
			return 0, why
		}
	case stream.IsAnswer(err) && !errors.As(err, &exit):
		// The command did not run, or no longer runs: its container may be gone.
		if why := s.terminationCause(ctx, brokenTimeout); why != nil {
			return 0, why
		}
	}
	return s.outcome(told, err, func() error { return s.terminationCause(ctx, reasonTimeout) })
}

// watchHolder ends the session if the command runs and the holder's stream does not open in time: a holder
// that hears nobody ends the container, and with it the command. (A command that does not run has a limit of
// its own.)
func (s *session) watchHolder(ctx context.Context, opened <-chan struct{}, stop context.CancelCauseFunc) {
	limit := s.agent.HolderTimeout()
	began := time.Now()
	isLate := func(after time.Duration) bool {
		select {
		case <-opened:
		case <-ctx.Done():
		case <-time.After(after - time.Since(began)):
			return true
		}
		return false
	}
	late := isLate(min(holderTime, limit/2))
	for late && !s.agent.HasBegun() {
		late = isLate(time.Since(began) + settleTime)
	}
	if !late {
		return
	}
	left := max(limit-time.Since(began), 0)
	s.Reporter.Warn("the connection that keeps %s alive has not opened yet: "+
		"the session ends in %s without it", s.where(), duration.HumanDuration(left))
	if isLate(limit) {
		stop(fmt.Errorf("the connection that keeps %s alive did not open within %s", s.where(), limit))
	}
}

// errUntold means that a stream ended without the command's exit status. client-go treats a stream that was
// closed without a status as a command that succeeded.
var errUntold = errors.New("the stream ended without the command's exit status")

// outcome returns the exit status of a command that ran by exec. told is the exit status that the command
// reported, or nil. err is the error with which its stream ended. under returns why the container
// ended, if that is what killed the command.
func (s *session) outcome(told *int, err error, under func() error) (int, error) {
	if err == nil && s.agent.TellsEnd() && told == nil {
		err = errUntold
	}
	var exit exec.CodeExitError
	switch {
	case err == nil && told == nil:
		return 0, nil
	case err == nil: // the stream was cut or broke when everything had come
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
	return 0, s.lostStream(err)
}

// lostStream returns the error for a stream that ended with err, without the command's exit status.
func (s *session) lostStream(err error) error {
	if s.isRefusal(err) {
		return s.notBegun(err)
	}
	return fmt.Errorf("the connection to %s was lost: %w", s.where(), err)
}

// connect carries the user's streams until the command has ended. told is the exit status that the command
// reported before its stream ended, or nil. If the command does not begin in time, connect ends the session
// by calling stop.
func (s *session) connect(ctx context.Context, stop context.CancelCauseFunc) (told *int, err error) {
	watchIdle, over := s.watchIdle(ctx, stop)
	defer over()
	err = s.user.Connect(ctx, stop, func(streams remotecommand.StreamOptions) error {
		awaitBegin, over := s.awaitBegin(stop)
		defer over()
		opened := s.awaitStream(ctx, stop)
		defer opened()
		ctx := stream.WithOpening(ctx, stream.Opening{Within: s.openTime(), Opened: func() {
			s.opened.Store(true)
			opened()
			awaitBegin()
			watchIdle()
			s.Record.Keep()
		}})
		if s.agent.Via == agent.ViaAttach {
			told, err = s.attach(ctx, streams)
		} else {
			told, err = s.agent.Exec(ctx, streams, s.user.Size)
		}
		return err
	})
	return told, err
}

// isRefusal reports whether a stream ended with err because the server answered instead of starting the
// command: a policy may refuse streams, and a node may not answer. The connection is not what failed. (API
// servers before 1.36 open the stream before they ask the node.)
func (s *session) isRefusal(err error) bool {
	if !stream.IsAnswer(err) || errors.Is(err, errUntold) {
		return false
	}
	if s.agent.Via == agent.ViaAttach && !s.agent.HasGate() { // the command is the container's own process
		return false
	}
	return !s.opened.Load() || s.agent.TellsBegin() && !s.agent.HasBegun()
}

func (s *session) notBegun(err error) error {
	return fmt.Errorf("no command could be started in %s: %w", s.where(), err)
}

// awaitBegin ends the session by calling stop if its command does not begin within the time of a start, and
// says before that what it waits for: an entrypoint might not run its arguments, the node might hang behind
// an API server that has opened the stream, and a proxy that has opened it might wait for somebody's approval
// without a word. opened begins that time, and over ends it. The stream's own limit comes first, with its
// words.
func (s *session) awaitBegin(stop context.CancelCauseFunc) (opened, over func()) {
	unlessBegun := func(do func()) func() {
		return func() {
			if s.agent.TellsBegin() && !s.agent.HasBegun() {
				do()
			}
		}
	}
	held := "a proxy might be waiting for somebody's approval"
	why := "its node, or a proxy on the way, does not answer"
	if s.agent.Via == agent.ViaAttach {
		held = "the image's entrypoint might still be at work, or " + held
		why = "the container's process does not run it"
	}
	waiting := time.AfterFunc(s.StartTimeout+heldTime, unlessBegun(func() {
		s.Reporter.Warn("still waiting: the command in %s to begin\nhint: %s; %s", s.where(), held,
			waitLonger(s.StartTimeout))
	}))
	late := time.AfterFunc(s.StartTimeout+settleTime, unlessBegun(func() {
		stop(fmt.Errorf("the command in %s did not start within %s: %s", s.where(), s.StartTimeout, why))
	}))
	return func() {
			waiting.Reset(heldTime)
			late.Reset(s.StartTimeout)
		}, func() {
			waiting.Stop()
			late.Stop()
		}
}

// openTime returns how long the command's stream may take to open: a proxy may hold it back until somebody
// approves it. What runs in the container does not wait for its client any longer.
func (s *session) openTime() time.Duration {
	if s.agent.AttachTimeout == 0 { // it runs beside another client's
		return s.StartTimeout
	}
	return min(s.StartTimeout, max(s.agent.HolderTimeout(), holderTime))
}

// awaitStream reports that the command's stream has not opened yet, and ends the session by calling stop if
// its container is gone meanwhile. It does so until opened is called.
func (s *session) awaitStream(ctx context.Context, stop context.CancelCauseFunc) (opened func()) {
	over := AwaitAnswer(s.Reporter, s.openTime(), "the request for a stream to "+s.where())
	if s.watch == nil {
		return over
	}
	ctx, cancel := context.WithCancel(ctx)
	looking := make(chan struct{})
	go func() {
		defer close(looking)
		if why := s.goneBefore(ctx); why != nil {
			stop(why)
		}
	}()
	return func() {
		cancel()
		<-looking // only one goroutine at a time follows the pod
		over()
	}
}

// goneBefore returns why the session's container is gone, or nil if ctx ends first. By attach, a process that
// has ended still has a status and a log.
func (s *session) goneBefore(ctx context.Context) error {
	for {
		pod := s.watch.pod
		if pod.DeletionTimestamp != nil || s.agent.Via == agent.ViaExec &&
			diagnosis.Of(pod, s.plan.Container).Terminated != nil {
			why, _ := s.whyEnded(ctx, s.watch)
			return why
		}
		switch err := s.watch.next(ctx); {
		case errors.Is(err, errDeleted):
			return fmt.Errorf("%s ended during the session: %w", s.where(), errDeleted)
		case err != nil:
			return nil
		}
	}
}

// lostOutput returns the error for a command whose exit status is known, but whose stream broke before it had
// ended.
func (s *session) lostOutput(status int, err error) error {
	return fmt.Errorf("the connection to %s was lost before all of the output had come; "+
		"the command's exit status was %d: %w", s.where(), status, err)
}

// terminationCause returns why the container ended while its shell was running, as the pod's status shows it
// within patience. It returns nil if the container has not ended.
func (s *session) terminationCause(ctx context.Context, patience time.Duration) error {
	holderEnded, holderErr := s.agent.HolderEnded(ctx, holderDelay)
	if !holderEnded {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch why, err := s.whyEnded(ctx, s.watch); {
	case why != nil:
		return why
	case !errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s ended during the session: %w", s.where(), err)
	case holderErr != nil:
		return s.lostStream(holderErr)
	}
	return fmt.Errorf("%s ended during the session, and its status does not say why", s.where())
}

// reachedTTL reports whether the kubelet has ended the pod at the activeDeadlineSeconds that it was created
// with: that is its session's --ttl, if there is no lease. Another deadline is somebody else's. The kubelet
// and this client both end the session then, and either may be first.
// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
func (s *session) reachedTTL(pod *corev1.Pod) bool {
	if s.plan.Pod == nil || pod.Status.Reason != "DeadlineExceeded" {
		return false
	}
	set, is := s.plan.Pod.Spec.ActiveDeadlineSeconds, pod.Spec.ActiveDeadlineSeconds
	return set != nil && is != nil && *set == *is
}

// whyEnded waits until a pod's status shows why the session's container ended, and returns that as why. err
// is the reason if that does not happen.
func (s *session) whyEnded(ctx context.Context, watch *podWatch) (why, err error) {
	for why == nil {
		pod := watch.pod
		switch end := diagnosis.Of(pod, s.plan.Container).Terminated; {
		case s.reachedTTL(pod):
			return s.outOfTime(), nil
		case pod.Status.Reason != "":
			why = fmt.Errorf("%s: %s", pod.Status.Reason, pod.Status.Message)
		case pod.DeletionTimestamp != nil:
			why = errDeleted
		case end != nil && end.Reason == "Completed": // a reason in the pod's status would have come first
			why = errors.New("the process that keeps it alive was ended")
		case end != nil:
			words := diagnosis.DescribeExit(pod, s.plan.Container, end)
			why = hint.Wrap(errors.New(words), diagnosis.Hint(pod, s.plan.Container, words))
		default:
			if err = watch.next(ctx); errors.Is(err, errDeleted) {
				why = errDeleted
			} else if err != nil {
				return nil, err
			}
		}
	}
	return fmt.Errorf("%s ended during the session: %w", s.where(), why), nil
}
