package session

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
)

// cleanUp ends what the session brought into the cluster, and its lease with it. Its own context
// outlives ctx, which may be cancelled: that is how most sessions end that end early.
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
		s.stopContainer(limited)
		s.reportRelease(<-released)
	default:
		s.reportDelete(s.deletePod(limited), <-released)
		if s.Wait && s.watch != nil && ctx.Err() == nil {
			s.waitUntilGone(ctx)
		}
	}
}

// deletePod deletes the clone, and no other pod that might have its name by now.
func (s *session) deletePod(ctx context.Context) error {
	var options metav1.DeleteOptions
	if s.uid != "" {
		options.Preconditions = &metav1.Preconditions{UID: &s.uid}
	}
	return s.persist(ctx, func(ctx context.Context) error {
		return s.Client.CoreV1().Pods(s.plan.Namespace).Delete(ctx, s.plan.PodName, options)
	})
}

// persist tries again while there is no answer. A try that hangs is broken off once, for a new connection;
// the next one has the rest of the time, for a server that is slow.
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

// reconnect gives the requests that follow a new connection. All share one, and where that was lost in
// silence (a VPN that reconnects, a NAT that forgets) client-go notices only after 45 s.
func (s *session) reconnect() {
	if s.Reconnect != nil {
		s.Reconnect()
	}
}

// reportDelete reports what became of the clone: the pod's delete ends it, and so does the lease's.
func (s *session) reportDelete(deleted, released error) {
	byLease := s.Lease != nil && released == nil // which may have been the faster one
	switch {
	case lease.IsGone(deleted) && s.phase == requested: // it never came to be
	case deleted == nil || byLease:
		s.Reporter.Say("%s is being deleted", s.where())
	case lease.IsGone(deleted):
		s.Reporter.Say("%s was already gone", s.where())
	default:
		otherEnd := "it ends by itself within " + s.remaining()
		if s.Lease == nil {
			otherEnd = fmt.Sprintf("delete it: kubectl delete pod %s -n %s", s.plan.PodName, s.plan.Namespace)
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

// remaining is how long the lease lives yet, and the controllers need that act on its end.
func (s *session) remaining() string {
	unrenewed, _ := s.left()
	return duration.HumanDuration(max(unrenewed, 0) + controllersDelay)
}

// waitUntilGone has a time of its own: the deletes, which must not be late, are done.
func (s *session) waitUntilGone(ctx context.Context) {
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
