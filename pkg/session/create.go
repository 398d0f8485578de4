package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/ephemeral"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
)

// answerTime is how long an interrupted session still waits for the answer to its create.
const answerTime = 5 * time.Second

// cleanUpTime bounds the whole clean-up: a closed terminal's process may not live for long. Until
// then what failed is tried again every retryTime, and what hung for tryTime on a new connection.
const (
	cleanUpTime = 15 * time.Second
	retryTime   = 250 * time.Millisecond
	tryTime     = cleanUpTime / 3
)

// doomed is what the session brought into the cluster.
type doomed int

const (
	nothing   doomed = iota
	uncertain        // asked for, but no answer came
	certain          // the server has it
)

// create creates what the plan says, and returns the pod that the session runs in.
func (s *session) create(ctx context.Context) (*corev1.Pod, error) {
	s.doomed = uncertain
	ctx, cancel := Answered(ctx)
	defer cancel()
	pod, err := s.createOrJoin(ctx)
	err = withProposal(s.plan, err)
	switch {
	case err == nil:
		s.doomed = certain
		s.Teller.Created(s.plan)
	case refused(err):
		s.doomed = nothing
	}
	return pod, err
}

// Answered returns a context that outlives ctx by answerTime: a create that is broken off may still
// happen, after the delete that was to undo it.
func Answered(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(answerTime, func() { cancel(context.Cause(ctx)) })
	})
	return longer, func() {
		stop()
		cancel(nil)
	}
}

func (s *session) createOrJoin(ctx context.Context) (*corev1.Pod, error) {
	pods := s.Client.CoreV1().Pods(s.plan.Namespace)
	if s.plan.Ephemeral != nil {
		return ephemeral.New(pods).Add(ctx, s.plan.PodName, s.plan.PodUID, *s.plan.Ephemeral)
	}
	pod, err := pods.Create(ctx, s.plan.Pod, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("create pod/%s in namespace %s: %w", s.plan.PodName, s.plan.Namespace, err)
	}
	s.uid = pod.UID
	return pod, nil
}

// refused tells an answer that says no from a failure that leaves open whether the server acted:
// a lost connection, a timeout, an internal error behind the write.
func refused(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	code := status.Status().Code
	return code >= http.StatusBadRequest && code < http.StatusInternalServerError && code != http.StatusRequestTimeout
}

// cleanUp ends what the session brought into the cluster, and its lease with it. Its own context
// outlives ctx, which may be cancelled: that is how most sessions end that end early.
func (s *session) cleanUp(ctx context.Context, watch *podWatch) {
	s.Teller.Ready()
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	if s.doomed == uncertain {
		s.reconnect()
	}
	released := make(chan error, 1)
	go func() { released <- s.release(limited) }()
	switch {
	case s.doomed == nothing:
		s.tellRelease(<-released)
	case s.plan.Ephemeral != nil:
		s.endProcess(limited, watch)
		s.tellRelease(<-released)
	default:
		s.tellDelete(s.deletePod(limited), <-released)
		if s.Wait && watch != nil && ctx.Err() == nil {
			s.waitUntilGone(ctx, watch)
		}
	}
}

// release gives the lease up, and with it what it owns.
func (s *session) release(ctx context.Context) error {
	if s.Lease == nil {
		return nil
	}
	return s.persist(ctx, s.Lease.Release)
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

// persist tries again while there is no answer. A try that hangs is broken off once, for a new connection; the
// next one has the rest of the time, for a server that is slow.
func (s *session) persist(ctx context.Context, request func(context.Context) error) error {
	backoff := wait.Backoff{Duration: retryTime, Steps: int(cleanUpTime / retryTime)}
	reconnected := false
	return retry.OnError(backoff, func(err error) bool {
		return !refused(err) && !errors.Is(err, lease.ErrLost) && ctx.Err() == nil
	}, func() error {
		if reconnected {
			return request(ctx)
		}
		try, cancel := context.WithTimeout(ctx, tryTime)
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

// tellDelete tells what became of the clone: the pod's delete ends it, and so does the lease's.
func (s *session) tellDelete(deleted, released error) {
	byLease := s.Lease != nil && released == nil // which may have been the faster one
	switch {
	case gone(deleted) && s.doomed != certain: // it never came to be
	case deleted == nil || byLease:
		s.Teller.Say("%s is being deleted", s.where())
	case gone(deleted):
		s.Teller.Say("%s was already gone", s.where())
	default:
		s.Teller.Warn("%s could not be deleted: %v\n%s", s.where(), deleted, s.otherEnd())
		return
	}
	s.tellRelease(released)
}

// otherEnd is how a clone ends that could not be deleted.
func (s *session) otherEnd() string {
	if s.Lease == nil {
		return fmt.Sprintf("delete it: kubectl delete pod %s -n %s", s.plan.PodName, s.plan.Namespace)
	}
	return "it ends by itself within " + s.remaining()
}

func (s *session) tellRelease(err error) {
	if err != nil {
		s.Teller.Warn("the lease could not be given up; it ends by itself within %s: %v", s.remaining(), err)
	}
}

// remaining is how long the lease lives yet, and the controllers need that act on its end.
func (s *session) remaining() string {
	unrenewed, _ := s.left()
	return duration.HumanDuration(max(unrenewed, 0) + controllersTime)
}

// controllersTime is how long Kubernetes' controllers may take from a lease's end to its pod's.
const controllersTime = 30 * time.Second

// goneTime is how long a deleted pod may take to go: its grace period, and a slow node.
const goneTime = time.Minute

// waitUntilGone has a time of its own: the deletes, which must not be late, are done.
func (s *session) waitUntilGone(ctx context.Context, watch *podWatch) {
	ctx, cancel := context.WithTimeoutCause(ctx, goneTime, fmt.Errorf("it is still being deleted after %s", goneTime))
	defer cancel()
	for {
		switch err := watch.next(ctx); {
		case errors.Is(err, errDeleted):
			return
		case err != nil:
			s.Teller.Warn("%s may not be gone yet: %v", s.where(), err)
			return
		}
	}
}

// gone covers the UID precondition too: another pod has the name, so ours is not there.
func gone(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsConflict(err) }
