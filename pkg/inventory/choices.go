package inventory

import (
	"cmp"
	"context"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/access"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// Choices lists the sessions of a namespace for somebody who chooses one: the caller's own first, the latest
// first. It makes one request, for the leases. So a clone has the name that its lease states, its state is
// Unknown, and a session without a lease is not found. Only if the caller is not allowed to list Jobs, a
// second request lists the clones; and only if there are sessions of several users, one asks who the caller
// is, for half of the time that ctx has left.
func Choices(ctx context.Context, client kubernetes.Interface, namespace string) ([]Session, error) {
	i := &Inventory{Namespace: namespace}
	jobs, err := client.BatchV1().Jobs(namespace).List(ctx, listOurs())
	switch {
	case err == nil:
		leases := slices.DeleteFunc(jobs.Items, func(j batchv1.Job) bool { return !isLease(&j) })
		i.Sessions = i.join(nil, leases)
	case apierrors.IsForbidden(err):
		pods, podsErr := client.CoreV1().Pods(namespace).List(ctx, listOurs())
		if podsErr != nil {
			return nil, podsErr
		}
		if err := i.take(pods.Items, nil, nil, err); err != nil {
			return nil, err
		}
	default:
		return nil, err
	}
	for n := range i.Sessions {
		i.Sessions[n].takeStatedName()
	}
	if areOfSeveral(i.Sessions) {
		i.User = userSoon(ctx, client)
	}
	slices.SortStableFunc(i.Sessions, func(a, b Session) int {
		return cmp.Or(i.distance(a)-i.distance(b), b.Created.Compare(a.Created.Time))
	})
	return i.Sessions, nil
}

// takeStatedName gives a clone whose pod was not read its name, as its lease states it. Anybody can have
// written that, so it is used only if it is a name.
func (s *Session) takeStatedName() {
	if s.pod != nil || s.Mode != modeClone {
		return
	}
	if name := s.job.Annotations[owned.PodAnnotation]; len(validation.IsDNS1123Subdomain(name)) == 0 {
		s.Name, s.Pod = name, name
	}
}

func areOfSeveral(sessions []Session) bool {
	return slices.ContainsFunc(sessions, func(s Session) bool { return s.User != sessions[0].User })
}

// userSoon returns the caller's name, or "" if it does not come in half of the time that is left.
func userSoon(ctx context.Context, client kubernetes.Interface) string {
	if ends, limited := ctx.Deadline(); limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(ends)/2)
		defer cancel()
	}
	return access.UserName(ctx, client)
}

// distance is 0 for the caller's own session, else 1.
func (i *Inventory) distance(s Session) int {
	if i.User != "" && s.User == i.User {
		return 0
	}
	return 1
}
