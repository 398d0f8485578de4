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

// giveUpTime is how long releasing a lease that no session uses may take.
const giveUpTime = 15 * time.Second

// pendingLease is a lease that is being taken. It is requested at the same time as the workload, so that it
// costs no round trip.
type pendingLease struct {
	terms lease.Terms
	ready chan struct{} // closed when lease or err is set
	lease *lease.Lease
	err   error
}

// takeLease requests a session's lease and does not wait for it.
func (r Request) takeLease(ctx context.Context, terms lease.Terms) *pendingLease {
	t := &pendingLease{terms: terms, ready: make(chan struct{})}
	go func() {
		defer close(t.ready)
		if t.err = ctx.Err(); t.err != nil {
			return
		}
		ctx, cancel := session.AnsweredWithin(ctx, r.Session.StartTimeout, createOf(terms))
		defer cancel()
		t.lease, t.err = lease.Take(ctx, r.Cluster.Client, terms)
	}()
	return t
}

// terms returns the terms of a new session's lease.
func (r Request) terms(namespace string) lease.Terms {
	annotations := owned.Who("", r.Plan.Reason)
	annotations[owned.ModeAnnotation] = string(r.Mode)
	return lease.Terms{Namespace: namespace, Session: rand.String(5), Length: r.Plan.HeartbeatTimeout,
		TTL: r.Plan.TTL, Annotations: annotations}
}

// resolveLease waits for the lease. It takes another one if this one turns out to be unusable, because the
// workload is in another namespace or the caller is not allowed to renew the lease.
func (r Request) resolveLease(ctx context.Context, w *workload.Workload, t *pendingLease) *pendingLease {
	r.awaitLease(t)
	elsewhere, fixed := t.terms.Namespace != w.Namespace, !w.Access.PatchJobs
	if !elsewhere && (!fixed || t.lease == nil) {
		return t
	}
	r.giveUp(ctx, t)
	terms := r.terms(w.Namespace)
	terms.Fixed = fixed
	if fixed { // no renewal will set the annotations, so they are set now
		asked := r.Plan
		asked.Session = terms.Session
		terms.Annotations = plan.Record(r.Mode, w, asked)
		terms.Annotations[owned.KeptAnnotation] = owned.Fixed
		if asked.Detach {
			terms.Annotations[owned.KeptAnnotation] = owned.Detached
		}
	}
	other := r.takeLease(ctx, terms)
	r.awaitLease(other)
	return other
}

// awaitLease waits until a lease is taken, or is not to be had.
func (r Request) awaitLease(t *pendingLease) {
	over := session.AwaitAnswer(r.Session.Reporter, r.Session.StartTimeout, createOf(t.terms))
	defer over()
	<-t.ready
}

func createOf(t lease.Terms) string { return "the create of job/" + owned.LeaseName(t.Session) }

// giveUp releases a lease that no session uses.
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
