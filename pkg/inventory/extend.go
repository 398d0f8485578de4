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
func Extend(ctx context.Context, client kubernetes.Interface, s Session, by time.Duration) (time.Time,
	error) {
	switch {
	case s.job == nil && leaseOwner(s) != nil:
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
	ends, err := lease.Extend(ctx, client, s.Namespace, s.Lease, by)
	if err != nil {
		return time.Time{}, fmt.Errorf("extend %s: %w", s.Name, err)
	}
	return ends, nil
}
