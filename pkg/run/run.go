// Package run connects the other packages. It finds a workload, takes a lease, plans a session and runs it.
package run

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/diagnosis"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// Request is what the user asked for, and where it runs.
type Request struct {
	Cluster workload.Cluster
	Query   workload.Query
	Mode    plan.Mode
	Plan    plan.Options
	Session session.Config // without a lease, which is taken here
	// UseTerminal decides, once the workload is found, whether the command runs on the user's terminal.
	UseTerminal func(*Request)
	// Prepare begins to open the connections of n streams; nil: they are opened when they are needed.
	Prepare func(ctx context.Context, n int)
	// Shells remembers images without a shell; nil: nothing is remembered.
	Shells Shells
	// Users remembers the caller's name on the server; nil: nothing is remembered.
	Users Users
}

// Session runs a session of the requested workload and returns the exit status of its command. The errors are
// those of session.Run. After an error nothing is left, or the Reporter was given a warning about what is
// left.
func Session(ctx context.Context, r Request) (int, error) {
	w, planned, status, err := r.resolveAndStart(ctx)
	if errors.Is(err, diagnosis.ErrTargetEnded) && r.Mode == plan.ModeDebug && ctx.Err() == nil {
		r.Session.Reporter.Say("container %s has ended meanwhile: another debug container is added",
			w.Container)
		w, planned, status, err = r.resolveAndStart(ctx)
	}
	if errors.Is(err, diagnosis.ErrNoShell) {
		return r.startWithoutShell(ctx, w, planned, err)
	}
	return status, err
}

// resolveAndStart resolves the workload while the lease is taken, and starts a session of it.
func (r *Request) resolveAndStart(ctx context.Context) (*workload.Workload, *plan.Plan, int, error) {
	pending := r.takeLease(ctx, r.terms(r.Query.Namespace))
	if r.Prepare != nil && !r.Plan.Detach {
		r.Prepare(ctx, r.streams())
	}
	w, err := workload.Resolve(ctx, r.Cluster, r.Query)
	if err != nil {
		r.giveUp(ctx, pending)
		return nil, nil, 0, session.Interrupted(ctx, err)
	}
	if r.UseTerminal != nil {
		r.UseTerminal(r)
		r.UseTerminal = nil
	}
	planned, status, err := r.start(ctx, w, pending)
	return w, planned, status, err
}

// streams returns how many streams a session begins with: that of its command and, by exec, that of the
// process that ends with its client.
func (r *Request) streams() int {
	if r.Plan.Via == agent.ViaAttach {
		return 1
	}
	return 2
}

// Preview plans a session of the requested workload. It creates nothing.
func Preview(ctx context.Context, r Request) (*plan.Plan, *workload.Workload, error) {
	r.Query.Preview = true
	w, err := workload.Resolve(ctx, r.Cluster, r.Query)
	if err != nil {
		return nil, nil, session.Interrupted(ctx, err)
	}
	r.Plan.Preview, r.Plan.Session = true, rand.String(5)
	planned, err := r.plan(w)
	if err != nil {
		return nil, w, err
	}
	if lacks := r.lacksShell(ctx, w, planned); lacks != nil {
		if r, err = r.withoutShell(ctx, planned, lacks); err != nil {
			return nil, w, err
		}
		told := r.withoutShellNote(planned)
		if planned, err = r.plan(w); err == nil {
			planned.Notes = append(planned.Notes, plan.Note{Kind: plan.Warning, What: told})
		}
	}
	return planned, w, err
}

// Rehearse plans a session, and sends what it would create as a dry run: the server judges it and stores
// nothing. The error is why there would be no session, and noLease why it would have no lease.
func Rehearse(ctx context.Context, r Request) (noLease, err error) {
	planned, w, err := Preview(ctx, r)
	if err != nil {
		return nil, err
	}
	terms := r.terms(w.Namespace)
	terms.User = w.Access.User
	var asked sync.WaitGroup
	asked.Go(func() { noLease = lease.DryRun(ctx, r.Cluster.Client, terms) })
	_, err = session.DryRun(ctx, r.Cluster.Client, planned, r.Session.Write)
	asked.Wait()
	return noLease, session.Interrupted(ctx, r.hintProfile(ctx, w, err))
}

func (r Request) plan(w *workload.Workload) (*plan.Plan, error) {
	if r.Mode == plan.ModeDebug {
		return plan.Debug(w, r.Plan)
	}
	return plan.Clone(w, r.Plan)
}

// start plans a session and runs it. The session releases its lease.
func (r Request) start(ctx context.Context, w *workload.Workload, pending *pendingLease) (planned *plan.Plan,
	status int, err error) {
	pending = r.resolveLease(ctx, w, pending)
	if ctx.Err() != nil {
		r.giveUp(ctx, pending)
		return nil, 0, context.Cause(ctx)
	}
	r.Plan.Session, r.Plan.NoLease = pending.terms.Session, pending.err
	if pending.lease != nil {
		r.Plan.Lease = &plan.Lease{Name: pending.lease.Name, UID: pending.lease.UID}
		r.Session.Lease = pending.lease
	}
	if planned, err = r.plan(w); err == nil {
		err = cmp.Or(pending.refusal(planned), r.lacksShell(ctx, w, planned))
	}
	if err != nil {
		r.giveUp(ctx, pending)
		return planned, 0, err
	}
	switch {
	case planned.Joins: // another client keeps that session
		r.giveUp(ctx, pending)
		return r.join(ctx, w, planned)
	case planned.Agent.Detached:
		return planned, 0, r.hintProfile(ctx, w, r.detach(ctx, planned))
	}
	status, err = session.Run(ctx, r.Session, planned)
	return planned, status, r.hintProfile(ctx, w, err)
}

// join runs the command in a session that another client keeps. If that session ends before a shell begins,
// join adds another. It does not do that for a command, which might have begun unheard: nothing runs twice.
func (r Request) join(ctx context.Context, w *workload.Workload, planned *plan.Plan) (*plan.Plan, int,
	error) {
	config := r.Session
	config.Lease = nil
	status, err := session.Join(ctx, config, planned)
	if !errors.Is(err, session.ErrNotBegun) || ctx.Err() != nil || len(r.Plan.Command) > 0 {
		return planned, status, err
	}
	r.Session.Reporter.Say("container %s has ended meanwhile: another one is added", planned.Container)
	r.Plan.Debug.New = true
	return r.start(ctx, w, r.takeLease(ctx, r.terms(w.Namespace)))
}

// detach starts a session, which prints its name, and leaves it running.
func (r Request) detach(ctx context.Context, planned *plan.Plan) error {
	if err := session.Start(ctx, r.Session, planned); err != nil {
		return err
	}
	if planned.Ephemeral != nil && r.Session.Lease == nil { // only a lease records the session
		r.Session.Reporter.Say("%s", hint.Command("a shell in it: kubectl exec -it %s -c %s -n %s -- sh",
			planned.PodName, planned.Container, planned.Namespace))
		return nil
	}
	r.Session.Reporter.Say("%s", hint.Command("a shell in it: kubectl eshell attach %s -n %s", planned.Name(),
		planned.Namespace))
	return nil
}
