package inventory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// End deletes the session's lease and its clone, but no others that might have their names by now. What is
// already gone is not an error. One of the two deletions is enough for a clone, because deleting the lease
// also deletes the clone.
//
// If user is not empty, the session's client is told first who ends the session, if it has one that was heard
// lately, and is given the time to end it.
func End(ctx context.Context, client kubernetes.Interface, s Session, user string) error {
	if user != "" && s.hasClient(time.Now()) && lease.AskForEnd(ctx, client, s.job, user) == nil {
		s.awaitClient(ctx, client)
	}
	var podErr, jobErr error
	var asked sync.WaitGroup
	if s.pod != nil {
		asked.Go(func() { podErr = s.deletePod(ctx, client) })
	}
	if s.job != nil {
		asked.Go(func() { jobErr = lease.Delete(ctx, client, s.job) })
	}
	asked.Wait()
	if s.pod != nil && s.job != nil && (podErr == nil || jobErr == nil) {
		return nil
	}
	return errors.Join(podErr, jobErr)
}

const (
	// noticeTime is how long a client may take to release its lease when its pod is being deleted.
	noticeTime = 3 * time.Second
	// renewalTime is longer than the time from one renewal of a lease to the next, by default.
	renewalTime = 45 * time.Second
	// heardTime is how long ago a client was heard that probably lives.
	heardTime = 2 * renewalTime
)

// awaitClient gives the session's client the time to end it.
func (s Session) awaitClient(ctx context.Context, client kubernetes.Interface) {
	within := renewalTime
	if s.pod != nil {
		within = noticeTime
		if s.deletePod(ctx, client) != nil { // it goes with the lease
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	lease.AwaitRelease(ctx, client, s.job)
}

// hasClient reports whether a client keeps the session, as far as can be seen.
func (s Session) hasClient(now time.Time) bool {
	return s.job != nil && s.Kept == "" && s.State == Running && s.Heard != nil &&
		now.Sub(s.Heard.Time) < heardTime
}

func (s Session) deletePod(ctx context.Context, client kubernetes.Interface) error {
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &s.pod.UID}}
	err := client.CoreV1().Pods(s.Namespace).Delete(ctx, s.pod.Name, options)
	if err == nil || lease.IsGone(err) {
		return nil
	}
	return fmt.Errorf("delete pod/%s: %w", s.pod.Name, err)
}

// AnnounceVisit tells the session's client that a user attaches to it.
func AnnounceVisit(ctx context.Context, client kubernetes.Interface, s Session, user string) error {
	if s.job == nil {
		return errors.New("it has no lease on which word could be left")
	}
	return lease.AnnounceVisit(ctx, client, s.job, user)
}

// Extend lets a session live longer by a duration of whole seconds, and returns when it will end.
func Extend(ctx context.Context, client kubernetes.Interface, s Session, by time.Duration) (time.Time,
	error) {
	switch {
	case s.job == nil && leaseOwner(s.pod) != nil:
		return time.Time{}, fmt.Errorf("the lease of %s was not found, or you are not allowed to list it",
			s.Name)
	case s.job == nil:
		return time.Time{}, hint.Wrap(
			fmt.Errorf("%s has no lease: it ends at its pod's activeDeadlineSeconds, which cannot be raised",
				s.Name), "open a new session with a longer time: kubectl eshell TYPE/NAME --ttl DURATION")
	case s.Unattended():
		return time.Time{}, hint.Wrap(
			fmt.Errorf("%s cannot be extended: its container was given its time when it started", s.Name),
			"open a new session with a longer time: "+
				"kubectl eshell TYPE/NAME --mode debug --detach --ttl DURATION")
	}
	ends, err := lease.Extend(ctx, client, s.job, by)
	if err != nil {
		return time.Time{}, fmt.Errorf("extend %s: %w", s.Name, err)
	}
	return ends, nil
}

// GarbageReason returns why nobody needs a session any more, or "" for one that lives or might live. A lease
// that is being renewed keeps everything, because its client may still be reading the output of an ended pod.
// If a lease is missing, GarbageReason requests it once more, because the lists are not of the same moment.
// If that request fails, the result is an error.
func (i *Inventory) GarbageReason(ctx context.Context, client kubernetes.Interface, s Session,
	now time.Time) (string, error) {
	switch {
	case s.job != nil && s.job.DeletionTimestamp == nil && lease.HasEnded(s.job):
		return "its lease has ended", nil
	case s.State == Deleted && s.Kept != owned.Fixed: // such a lease names its clone before there is one
		return deletedByOthers(ctx, client, s)
	case s.job != nil || s.State == Ending:
		return "", nil
	}
	if owner := leaseOwner(s.pod); owner != nil {
		return i.orphaned(ctx, client, s, owner)
	}
	if s.State == Ended {
		return "it has ended", nil
	}
	if left, limited := s.Left(now); limited && left <= 0 {
		return "its time is over", nil
	}
	return "", nil
}

// deletedByOthers asks once more for a clone that was not listed, because the lists are not of the same
// moment.
func deletedByOthers(ctx context.Context, client kubernetes.Interface, s Session) (string, error) {
	clone := s.job.Annotations[owned.PodAnnotation]
	_, err := client.CoreV1().Pods(s.Namespace).Get(ctx, clone, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "its pod was deleted", nil
	}
	if err != nil {
		return "", fmt.Errorf("job/%s: is its clone gone? %w", s.Lease, err)
	}
	return "", nil
}

// orphaned returns why nobody needs a clone whose lease was not found, or "". The lease existed before the
// clone, so a missing lease will not appear later.
func (i *Inventory) orphaned(ctx context.Context, client kubernetes.Interface, s Session,
	owner *metav1.OwnerReference) (string, error) {
	if !i.leasesRead {
		return "", nil
	}
	job, err := client.BatchV1().Jobs(s.Namespace).Get(ctx, owner.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && job.UID != owner.UID {
		return "its lease is gone", nil
	}
	if err != nil {
		return "", fmt.Errorf("pod/%s: is its lease gone? %w", s.Pod, err)
	}
	return "", nil
}

// leaseOwner returns the reference to the lease that a clone was made under, or nil.
func leaseOwner(pod *corev1.Pod) *metav1.OwnerReference {
	for _, owner := range pod.OwnerReferences {
		if owner.APIVersion == batchv1.SchemeGroupVersion.String() && owner.Kind == "Job" {
			return &owner
		}
	}
	return nil
}
