package run

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/access"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/policy"
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

// Users remembers the caller's name on the server. A lease states it from its creation on, so without a known
// name it takes a round trip more.
type Users interface {
	// Known returns the name by which the server knew the caller last, or "". It may be another by now.
	Known(ctx context.Context) string
	Remember(ctx context.Context, user string)
}

// takeLease requests a session's lease and does not wait for it.
func (r Request) takeLease(ctx context.Context, terms lease.Terms) *pendingLease {
	t := &pendingLease{terms: terms, ready: make(chan struct{})}
	go func() {
		defer close(t.ready)
		if t.err = ctx.Err(); t.err != nil {
			return
		}
		ctx, cancel := session.AnsweredWithin(ctx, r.Session.StartTimeout, createOf(terms.Session))
		defer cancel()
		if t.terms.User == "" {
			t.terms.User = r.user(ctx)
		}
		t.lease, t.err = lease.Take(ctx, r.Cluster.Client, t.terms)
	}()
	return t
}

// user returns the caller's name: the one that is known, or else the server's answer.
func (r Request) user(ctx context.Context) string {
	if r.Users == nil {
		return access.UserName(ctx, r.Cluster.Client)
	}
	if known := r.Users.Known(ctx); known != "" {
		return known
	}
	name := access.UserName(ctx, r.Cluster.Client)
	r.Users.Remember(ctx, name)
	return name
}

// terms returns the terms of a new session's lease.
func (r Request) terms(namespace string) lease.Terms {
	return lease.Terms{Namespace: namespace, Session: rand.String(5), Length: r.Plan.HeartbeatTimeout,
		TTL: r.Plan.TTL, Reason: r.Plan.Reason,
		Annotations: map[string]string{owned.ModeAnnotation: string(r.Mode)}}
}

// resolveLease waits for the lease. It takes another one if this one turns out to be unusable: the workload
// is in another namespace, the caller is not allowed to renew the lease, or the caller's name is not the one
// that was known.
func (r Request) resolveLease(ctx context.Context, w *workload.Workload, t *pendingLease) *pendingLease {
	r.awaitLease(t)
	user, fixed := w.Access.User, !w.Access.PatchJobs
	renamed := user != "" && user != t.terms.User
	if renamed && r.Users != nil {
		r.Users.Remember(ctx, user)
	}
	if t.terms.Namespace == w.Namespace && !renamed && (!fixed || t.lease == nil) {
		return t
	}
	r.giveUp(ctx, t)
	terms := r.terms(w.Namespace)
	terms.User, terms.Fixed = user, fixed
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

// refusal returns the refusal of a lease by one of our policies that would refuse the rest of the session
// too: its sentence names a flag. Another one is about the Job alone, as when a webhook has changed it, and
// the session does without. A plan that joins another session needs no lease.
func (t *pendingLease) refusal(planned *plan.Plan) error {
	refused := policy.Refusal(t.err)
	if planned.Joins || refused == nil || !strings.Contains(refused.Sentence, "(--") {
		return nil
	}
	return fmt.Errorf("create job/%s in namespace %s: %w", owned.LeaseName(t.terms.Session),
		t.terms.Namespace, t.err)
}

// awaitLease waits until a lease is taken, or is not to be had.
func (r Request) awaitLease(t *pendingLease) {
	over := session.AwaitAnswer(r.Session.Reporter, r.Session.StartTimeout, createOf(t.terms.Session))
	defer over()
	<-t.ready
}

// createOf names the create of a session's lease.
func createOf(id string) string { return "the create of job/" + owned.LeaseName(id) }

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
