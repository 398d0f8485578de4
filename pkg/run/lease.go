package run

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// giveUpTime bounds the giving up of a lease that no session has come to use.
const giveUpTime = 15 * time.Second

// pendingLease is a lease on its way: it is asked for while the workload is, so that it costs no round trip.
type pendingLease struct {
	terms lease.Terms
	ready chan struct{} // closed when lease or err is there
	lease *lease.Lease
	err   error
}

// takeLease asks for a session's lease.
func (r Request) takeLease(ctx context.Context, terms lease.Terms) *pendingLease {
	t := &pendingLease{terms: terms, ready: make(chan struct{})}
	go func() {
		defer close(t.ready)
		if t.err = ctx.Err(); t.err != nil {
			return
		}
		ctx, cancel := session.Answered(ctx)
		defer cancel()
		t.lease, t.err = lease.Take(ctx, r.Cluster.Client, terms)
	}()
	return t
}

// terms are those of a new session.
func (r Request) terms(namespace string) lease.Terms {
	annotations := owned.Who("", r.Plan.Reason)
	annotations[owned.ModeAnnotation] = string(r.Mode)
	return lease.Terms{Namespace: namespace, Session: rand.String(5), Length: r.Plan.HeartbeatTimeout,
		TTL: r.Plan.TTL, Annotations: annotations}
}

// resolveLease waits for the lease, and takes another where it turns out that this one will not do: the
// workload is in another namespace, or the caller may not renew it.
func (r Request) resolveLease(ctx context.Context, w *workload.Workload, t *pendingLease) *pendingLease {
	<-t.ready
	elsewhere, fixed := t.terms.Namespace != w.Namespace, !w.Access.PatchJobs
	if !elsewhere && (!fixed || t.lease == nil) {
		return t
	}
	r.giveUp(ctx, t)
	terms := r.terms(w.Namespace)
	terms.Fixed = fixed
	if fixed { // what renewals would say is said now
		asked := r.Plan
		asked.Session = terms.Session
		terms.Annotations = plan.Record(r.Mode, w, asked)
		terms.Annotations[owned.KeptAnnotation] = owned.Fixed
		if asked.Detach {
			terms.Annotations[owned.KeptAnnotation] = owned.Detached
		}
	}
	other := r.takeLease(ctx, terms)
	<-other.ready
	return other
}

// giveUp gives back a lease that no session uses.
func (r Request) giveUp(ctx context.Context, t *pendingLease) {
	<-t.ready
	if t.lease == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTime)
	defer cancel()
	if err := t.lease.Release(ctx); err != nil {
		left, _ := t.lease.Left()
		r.Session.Reporter.Warn("a lease could not be released; it ends by itself within %s: %v",
			duration.HumanDuration(left), err)
	}
}
