package inventory

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// GarbageReason says why nobody needs a session any more, or returns "" for one that lives or may live.
// A lease that is renewed keeps everything: its client may still be reading what an ended pod said.
// That a lease is gone is asked for once more, because the lists are not of the same moment; what cannot be
// asked is an error.
func (i *Inventory) GarbageReason(ctx context.Context, client kubernetes.Interface, s Session,
	now time.Time) (string, error) {
	switch {
	case s.job != nil && s.job.DeletionTimestamp == nil && lease.HasEnded(s.job):
		return "its lease has ended", nil
	case s.job != nil || s.State == Ending:
		return "", nil
	}
	if owner := leaseOwner(s); owner != nil {
		return i.orphaned(ctx, client, s, owner)
	}
	left, limited := s.Left(now)
	switch {
	case s.State == Ended:
		return "it has ended", nil
	case limited && left <= 0:
		return "its time is over", nil
	}
	return "", nil
}

// orphaned says why a clone goes whose lease was not found. Its lease was there before it, so one
// that is not there now will not come.
func (i *Inventory) orphaned(ctx context.Context, client kubernetes.Interface, s Session,
	owner *metav1.OwnerReference) (string, error) {
	if !i.leasesRead {
		return "", nil
	}
	job, err := client.BatchV1().Jobs(s.Namespace).Get(ctx, owner.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return "its lease is gone", nil
	case err != nil:
		return "", fmt.Errorf("pod/%s: is its lease gone? %w", s.Pod, err)
	case job.UID != owner.UID:
		return "its lease is gone", nil
	}
	return "", nil
}

// leaseOwner is the lease that a clone was made under, or nil.
func leaseOwner(s Session) *metav1.OwnerReference {
	for _, owner := range s.pod.OwnerReferences {
		if owner.Kind == "Job" && owner.Name == owned.LeaseName(s.pod.Labels[owned.SessionLabel]) {
			return &owner
		}
	}
	return nil
}
