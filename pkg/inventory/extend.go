package inventory

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
)

// Extend lets a session live longer by a duration of whole seconds, and returns when it ends then.
func Extend(ctx context.Context, client kubernetes.Interface, s Session, by time.Duration) (time.Time, error) {
	switch {
	case s.job == nil && leaseOwner(s) != nil:
		return time.Time{}, fmt.Errorf("the lease of %s was not found, or may not be listed", s.Name)
	case s.job == nil:
		return time.Time{}, hint.Wrap(fmt.Errorf("%s has no lease: its time is its pod's own activeDeadlineSeconds, which Kubernetes lets nobody raise", s.Name), "open a new one that may live longer: kubectl eshell TYPE/NAME --ttl DURATION")
	case s.Unattended():
		return time.Time{}, hint.Wrap(fmt.Errorf("%s keeps its own time: its container was told when it started how long it may live", s.Name), "open a new one that may live longer: kubectl eshell TYPE/NAME --mode debug --detach --ttl DURATION")
	}
	ends, err := lease.Extend(ctx, client, s.Namespace, s.Lease, by)
	if err != nil {
		return time.Time{}, fmt.Errorf("extend %s: %w", s.Name, err)
	}
	return ends, nil
}
