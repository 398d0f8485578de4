package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// Lease keeps what a session creates in the cluster for as long as it is renewed.
type Lease interface {
	// Renew pushes the end forward and tells the lease about the session; lease.ErrLost: it is too late.
	Renew(ctx context.Context, annotations map[string]string) error
	// Detach makes what was created live as long as it may, without being renewed any more.
	Detach(ctx context.Context, annotations map[string]string) error
	// Left is how long what was created lives without another renewal, and how long it may live at most.
	Left() (unrenewed, most time.Duration)
	// Release deletes what the session created.
	Release(ctx context.Context) error
}

// keeper renews a session's lease and watches over its end.
type keeper struct {
	*session
	failing bool          // the last renewal failed
	most    time.Duration // how long the session was still allowed to live when that was looked at last
}

// keep renews the lease until ctx ends, and ends the session by stop when its time is over.
func (s *session) keep(ctx context.Context, stop context.CancelCauseFunc) {
	_, most := s.left()
	k := &keeper{session: s, most: most}
	for ctx.Err() == nil {
		err := s.renew(ctx)
		if ctx.Err() != nil {
			return
		}
		if over := s.over(err); over != nil {
			stop(over)
			return
		}
		k.tell(err)
		select {
		case <-time.After(k.pause()):
		case <-ctx.Done():
		}
	}
}

func (s *session) renew(ctx context.Context) error {
	if s.Lease == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.beat(), errNoAnswer)
	defer cancel()
	err := s.Lease.Renew(ctx, s.plan.Record)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

var errNoAnswer = errors.New("the API server does not answer")

func (s *session) beat() time.Duration { return plan.Beat(s.plan.Silence) }

func (s *session) left() (unrenewed, most time.Duration) {
	if s.Lease == nil {
		most = time.Until(s.ends)
		return most, most
	}
	return s.Lease.Left()
}

// over says why the session may not go on, if it may not: err is how the last renewal ended.
func (s *session) over(err error) error {
	unrenewed, most := s.left()
	switch {
	case most <= 0:
		return fmt.Errorf("%s has lived as long as it may (--ttl)", s.where())
	case errors.Is(err, lease.ErrLost):
		return fmt.Errorf("%s ended with its lease: %w", s.where(), err)
	case err != nil && unrenewed <= 0:
		return fmt.Errorf("%s ended: its lease could not be renewed in time: %w", s.where(), err)
	}
	return nil
}

// outlived prefers the end of the lease to what came of it: the pod is deleted with its lease, and what
// runs in it ends when its client is silent (which a stopped client is), and which is seen first is chance.
func (s *session) outlived(ctx context.Context, status int, err error) error {
	unrenewed, _ := s.left()
	suspicious := errors.Is(err, errDeleted) || unrenewed <= 0 && (err != nil || status == killed)
	if ctx.Err() != nil || !suspicious {
		return err
	}
	if over := s.over(s.renew(ctx)); over != nil {
		return over
	}
	return err
}

// warnings are how long before its end a session is told of it.
func warnings() []time.Duration { return []time.Duration{5 * time.Minute, time.Minute} }

// tell tells of changes: of renewals that begin to fail or succeed again, and of the end as it comes near.
func (k *keeper) tell(err error) {
	unrenewed, most := k.left()
	switch {
	case err != nil && unrenewed == most: // nothing depends on it
		err = nil
	case err != nil && !k.failing:
		k.Teller.Warn("the lease could not be renewed; %s ends in %s unless it can: %v", k.where(), duration.HumanDuration(unrenewed), err)
	case err == nil && k.failing:
		k.Teller.Say("the lease is renewed again")
	}
	for _, before := range warnings() {
		if k.most > before && most <= before {
			k.Teller.Warn("%s ends in %s (--ttl)%s", k.where(), duration.HumanDuration(most.Round(time.Second)), k.moreTime())
		}
	}
	k.failing, k.most = err != nil, most
}

// moreTime is how the session's time can be made longer, if it can.
func (k *keeper) moreTime() string {
	if k.Lease == nil {
		return ""
	}
	return "; for more: kubectl eshell extend " + k.plan.Name() + " 1h -n " + k.plan.Namespace
}

// pause is until the next renewal, or until something is to be told or done before it.
func (k *keeper) pause() time.Duration {
	unrenewed, most := k.left()
	pause := min(k.beat(), unrenewed)
	for _, before := range warnings() {
		if most > before {
			pause = min(pause, most-before)
		}
	}
	return pause
}
