package session

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
)

// cleanUp ends what the session created in the cluster, and its lease. It has a context of its own that
// outlives ctx: most sessions that end early do so because ctx is cancelled.
func (s *session) cleanUp(ctx context.Context) {
	defer func() {
		if s.watch != nil {
			s.watch.stop()
		}
	}()
	if s.phase == detached {
		return
	}
	s.Reporter.Ready()
	defer s.Reporter.Ready()
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	if s.phase == requested {
		s.reconnect()
	}
	released := make(chan error, 1)
	go func() {
		var err error
		if s.Lease != nil {
			err = s.persist(limited, s.Lease.Release)
		}
		released <- err
	}()
	switch {
	case s.phase == planned:
		s.reportRelease(<-released)
	case s.plan.Ephemeral != nil:
		s.Reporter.Waiting("the end of " + s.where())
		s.stopContainer(limited)
		s.reportRelease(<-released)
	default:
		s.Reporter.Waiting("the server to delete " + s.where())
		s.reportDelete(s.deletePod(limited), <-released)
		s.awaitHolder(limited)
		if s.Wait && s.watch != nil && ctx.Err() == nil {
			s.waitUntilGone(ctx)
		}
	}
}

// awaitHolder lets the holder's stream open before the client breaks it off, for a moment.
func (s *session) awaitHolder(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	s.agent.AwaitHolder(ctx)
}

// deletePod deletes the clone, but not another pod that may have the same name by now.
func (s *session) deletePod(ctx context.Context) error {
	var options metav1.DeleteOptions
	if s.uid != "" {
		options.Preconditions = &metav1.Preconditions{UID: &s.uid}
	}
	return s.persist(ctx, func(ctx context.Context) error {
		return s.Client.CoreV1().Pods(s.plan.Namespace).Delete(ctx, s.plan.PodName, options)
	})
}

// persist retries request until it succeeds or the server refuses it. A request that hangs is broken off
// once, for a new connection. The next attempt has the rest of the time, in case the server is slow.
func (s *session) persist(ctx context.Context, request func(context.Context) error) error {
	backoff := wait.Backoff{Duration: retryInterval, Steps: int(cleanUpTimeout / retryInterval)}
	reconnected := false
	return retry.OnError(backoff, func(err error) bool {
		return !isRefused(err) && !errors.Is(err, lease.ErrLost) && ctx.Err() == nil
	}, func() error {
		if reconnected {
			return request(ctx)
		}
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		defer cancel()
		err := request(try)
		if err != nil && ctx.Err() == nil && try.Err() != nil {
			reconnected = true
			s.reconnect()
			return errNoAnswer
		}
		return err
	})
}

// reconnect makes the requests that follow use a new connection. All requests share one. If it is lost
// silently (a VPN that reconnects, a NAT that forgets it), client-go notices only after 45 s.
func (s *session) reconnect() {
	if s.Reconnect != nil {
		s.Reconnect()
	}
}

// reportDelete reports what happened to the clone. Either the delete of the pod or the release of the lease
// ends it.
func (s *session) reportDelete(deleted, released error) {
	byLease := s.Lease != nil && released == nil // the release may have been faster than the delete
	switch {
	case lease.IsGone(deleted) && s.phase == requested: // it was never created
		if s.Lease == nil { // a proxy that holds the create back may still send it, and nothing would end it
			s.Reporter.Warn("%s is not there, but might still be created\n%s", s.where(), hint.Command(
				"if it is, delete it: kubectl delete pod %s -n %s", s.plan.PodName, s.plan.Namespace))
		}
	case deleted == nil || byLease:
		s.Reporter.Say("%s is being deleted", s.where())
	case lease.IsGone(deleted):
		s.Reporter.Say("%s was already gone", s.where())
	default:
		otherEnd := "it ends by itself within " + s.remaining()
		if s.Lease == nil {
			otherEnd = hint.Command("delete it: kubectl delete pod %s -n %s", s.plan.PodName,
				s.plan.Namespace)
		}
		s.Reporter.Warn("%s could not be deleted: %v\n%s", s.where(), deleted, otherEnd)
		return
	}
	s.reportRelease(released)
}

func (s *session) reportRelease(err error) {
	if err != nil {
		s.Reporter.Warn("the lease could not be released; it ends by itself within %s: %v", s.remaining(),
			err)
	}
}

// remaining returns how long the lease still lives, plus the time that the controllers need to act on its
// end.
func (s *session) remaining() string {
	unrenewed, _ := s.left()
	return duration.HumanDuration(max(unrenewed, 0) + controllersDelay)
}

// waitUntilGone waits until the clone is gone. It has a time limit of its own: the deletes, which must not be
// late, are already done.
func (s *session) waitUntilGone(ctx context.Context) {
	s.Reporter.Waiting(s.where() + " to be gone")
	late := fmt.Errorf("it is still being deleted after %s", goneTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, goneTimeout, late)
	defer cancel()
	for {
		switch err := s.watch.next(ctx); {
		case errors.Is(err, errDeleted):
			return
		case err != nil:
			s.Reporter.Warn("%s might not be gone yet: %v", s.where(), err)
			return
		}
	}
}
