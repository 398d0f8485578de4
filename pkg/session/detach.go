package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// Start carries out p as far as Run does before its command, writes the session's name to Stdout and leaves
// it running: its lease, or where there is none its own time, ends it. After an error nothing of it is left
// running, or the Teller was warned of what is.
func Start(ctx context.Context, c Config, p *plan.Plan) error {
	s := newSession(c, p)
	return s.carryOut(ctx, func(watch *podWatch) error {
		err := s.kept(ctx, func(ctx context.Context) error { return s.waitUntilStarted(ctx, watch) })
		if err != nil {
			return s.outlived(ctx, 0, err)
		}
		return interrupted(ctx, s.leave(ctx))
	})
}

// leave lets the session go on without its client. The lease comes first: a debug container that is to
// stay shall be on record.
func (s *session) leave(ctx context.Context) error {
	if err := s.detachLease(ctx); err != nil {
		return err
	}
	if s.plan.Ephemeral != nil {
		if err := s.tellToStay(ctx); err != nil {
			return fmt.Errorf("%s could not be told to stay: %w", s.where(), err)
		}
	}
	if _, err := fmt.Fprintln(s.Stdout, s.plan.Name()); err != nil { // nobody would know of it
		return &OutputError{err}
	}
	s.stays = true
	return nil
}

func (s *session) detachLease(ctx context.Context) error {
	if s.Lease == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cleanUpTime, errNoAnswer)
	defer cancel()
	err := s.persist(ctx, func(ctx context.Context) error { return s.Lease.Detach(ctx, s.plan.Record) })
	switch {
	case errors.Is(err, lease.ErrLost):
		return s.over(err)
	case err != nil:
		return fmt.Errorf("the lease of %s could not be made to last: %w", s.where(), interrupted(ctx, err))
	}
	return nil
}

// tellToStay attaches to stdin alone: that ends when all of it has been taken.
func (s *session) tellToStay(ctx context.Context) error {
	return s.Streamer.Attach(ctx, s.container(), remotecommand.StreamOptions{Stdin: strings.NewReader(plan.TellStay)})
}

// End ends the process of a detached debug session, and returns when it has ended. One that has ended
// already is no error.
func End(ctx context.Context, client kubernetes.Interface, streamer Streamer, c Container) error {
	limited, cancel := context.WithTimeout(ctx, cleanUpTime)
	defer cancel()
	err := endSurely(limited, func(ctx context.Context) error { return endResident(ctx, streamer, c) },
		func(ctx context.Context) bool { return isOver(ctx, client, c) })
	if err != nil {
		return fmt.Errorf("end container %s in pod/%s: %w", c.Name, c.Pod, interrupted(ctx, err))
	}
	return nil
}

// endResident keeps stdin open: without stdinOnce the stream would end with it, not with the container.
func endResident(ctx context.Context, streamer Streamer, c Container) error {
	in, told := io.Pipe()
	defer in.Close()
	go func() { _, _ = io.WriteString(told, plan.TellEnd) }()
	return streamer.Attach(ctx, c, remotecommand.StreamOptions{Stdin: in, Stdout: io.Discard})
}

// isOver reports a container that does not run, as the pod's status says, or whose pod is gone. One that
// has not started ends soon when it does: nobody tells it to stay.
func isOver(ctx context.Context, client kubernetes.Interface, c Container) bool {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	pod, err := client.CoreV1().Pods(c.Namespace).Get(ctx, c.Pod, metav1.GetOptions{})
	if err != nil {
		return apierrors.IsNotFound(err)
	}
	status := statusOf(pod, c.Name)
	return status == nil || status.State.Running == nil
}
