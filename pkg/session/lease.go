package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// Lease keeps what a session creates in the cluster for as long as it is renewed.
type Lease interface {
	// Renew postpones the end of the lease and sets the session's annotations on it. It returns lease.ErrLost
	// if it is too late.
	Renew(ctx context.Context, annotations map[string]string) error
	// Detach makes what was created live for as long as it is allowed to, without further renewals.
	Detach(ctx context.Context, annotations map[string]string) error
	// Left returns how long what was created lives without another renewal, and how long it may live at most.
	Left() (unrenewed, most time.Duration)
	// Visit returns who has last attached to the session from elsewhere, and when:
	// "bob 2026-11-26T07:15:00Z".
	Visit() string
	// Release deletes what the session created.
	Release(ctx context.Context) error
}

// renewLease renews the lease until stop is called. The context that it returns ends when the lease, or the
// session's own time, has ended. stop returns err, or the reason why that context has ended. Only one
// goroutine at a time may use the lease: after stop it belongs to the caller. The first renewal comes at the
// end of creating, unless it is due before.
func (s *session) renewLease(ctx, creating context.Context) (leased context.Context,
	stop func(err error) error) {
	leased, cancel := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() {
		s.sleep(creating, s.pause(false))
		s.renewUntil(leased, cancel)
	})
	return leased, func(err error) error {
		err = Interrupted(leased, err)
		cancel(nil)
		renewing.Wait()
		return err
	}
}

// renewUntil renews the lease until ctx ends, and calls stop to end the session when its time is over. It
// reports changes: when renewals begin to fail or succeed again, and when the end is near.
func (s *session) renewUntil(ctx context.Context, stop context.CancelCauseFunc) {
	more := "" // how to extend the session's time, if that is possible
	if s.Lease != nil {
		more = hint.Command("; for more: kubectl eshell extend %s 1h -n %s", s.plan.Name(), s.plan.Namespace)
	}
	visit := ""         // the last one that was told
	failing := false    // whether the last renewal failed
	_, last := s.left() // the session's remaining time at the last look
	for ctx.Err() == nil {
		err := s.renew(ctx)
		if ctx.Err() != nil {
			return
		}
		if expired := s.leaseExpired(err); expired != nil {
			stop(expired)
			return
		}
		unrenewed, most := s.left()
		switch {
		case err != nil && unrenewed == most: // nothing depends on the renewal
			err = nil
		case err != nil && !failing:
			s.Reporter.Warn("the lease could not be renewed; %s ends in %s unless it can: %v", s.where(),
				duration.HumanDuration(unrenewed), err)
		case err == nil && failing:
			s.Reporter.Say("the lease is renewed again")
		}
		for _, before := range warnings() {
			if last > before && most <= before {
				s.Reporter.Warn("%s ends in %s (--ttl)%s", s.where(),
					duration.HumanDuration(most.Round(time.Second)), more)
			}
		}
		if s.Lease != nil && s.Lease.Visit() != visit {
			visit = s.Lease.Visit()
			who, _, _ := strings.Cut(visit, " ")
			s.Reporter.Say("%s has opened a shell in this session", who)
		}
		failing, last = err != nil, most
		s.sleep(ctx, s.pause(failing))
	}
}

// sleep waits until the lease has aged by d. It looks often, because the lease ages while the computer is
// suspended, and timers do not.
func (s *session) sleep(ctx context.Context, d time.Duration) {
	_, before := s.left()
	for slept := time.Duration(0); slept < d; {
		step := min(d-slept, s.agent.HeartbeatInterval())
		select {
		case <-time.After(step):
		case <-ctx.Done():
			return
		}
		_, most := s.left()
		slept = max(slept+step, before-most)
	}
}

// renew renews the lease. The lease names the pod only once the pod exists: one that names a missing pod
// counts as one whose clone was deleted, and anybody's gc removes it.
func (s *session) renew(ctx context.Context) error {
	if s.Lease == nil {
		return nil
	}
	var record map[string]string
	if s.isThere.Load() {
		record = s.plan.Record
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.agent.HeartbeatInterval(), errNoAnswer)
	defer cancel()
	return Interrupted(ctx, s.Lease.Renew(ctx, record))
}

var errNoAnswer = errors.New("the API server does not answer")

func (s *session) left() (unrenewed, most time.Duration) {
	if s.Lease == nil {
		most = time.Until(s.ends)
		return most, most
	}
	return s.Lease.Left()
}

// leaseExpired returns why the session is not allowed to go on, or nil. err is the result of the last
// renewal.
func (s *session) leaseExpired(err error) error {
	unrenewed, most := s.left()
	switch {
	case most <= 0:
		return s.outOfTime()
	case errors.Is(err, lease.ErrLost):
		return fmt.Errorf("%s ended with its lease: %w", s.where(), err)
	case err != nil && unrenewed <= 0:
		return fmt.Errorf("%s ended: its lease could not be renewed in time: %w", s.where(), err)
	}
	return nil
}

func (s *session) outOfTime() error {
	return fmt.Errorf("%s has reached the end of its time (--ttl)", s.where())
}

// preferLeaseError returns the end of the lease instead of an error that is only its consequence. The pod is
// deleted with its lease, and what runs in it ends when its client is silent, as a stopped client is. It is a
// matter of chance which of these is seen first.
func (s *session) preferLeaseError(ctx context.Context, status int, err error) error {
	unrenewed, _ := s.left()
	suspicious := errors.Is(err, errDeleted) || unrenewed <= 0 && (err != nil || status == agent.Killed)
	if ctx.Err() != nil || !suspicious {
		return err
	}
	if expired := s.leaseExpired(s.renew(ctx)); expired != nil {
		return expired
	}
	return err
}

// warnings returns how long before a session's end the user is warned.
func warnings() []time.Duration { return []time.Duration{5 * time.Minute, time.Minute} }

// renewals is how many times a lease is renewed in its length, if nothing fails: as seldom as is safe,
// because the API server and etcd pay for each of them, in each session.
const renewals = 3

// pause returns the time until the next renewal, or until something must be reported or done before it. A
// renewal that has failed is tried again sooner.
func (s *session) pause(failing bool) time.Duration {
	unrenewed, most := s.left()
	pause := min(s.agent.HeartbeatTimeout/renewals, unrenewed)
	if failing {
		pause = min(s.agent.HeartbeatInterval(), unrenewed)
	}
	for _, before := range warnings() {
		if most > before {
			pause = min(pause, most-before)
		}
	}
	return pause
}

// errUnread means that nobody has read the name of a detached session.
var errUnread = errors.New("nobody has read the session's name while it lived")

// detach lets the session go on without its client. It starts with the lease: a debug container that is to
// stay must be on record.
func (s *session) detach(ctx context.Context) error {
	if s.Lease != nil {
		limited, cancel := context.WithTimeoutCause(ctx, cleanUpTimeout, errNoAnswer)
		defer cancel()
		if err := s.keepLease(limited); err != nil {
			return err
		}
	}
	if s.plan.Ephemeral != nil {
		ctx, cancel := context.WithTimeoutCause(ctx, cleanUpTimeout, errNoAnswer)
		defer cancel()
		if err := s.agent.Stay(ctx); err != nil {
			return fmt.Errorf("%s could not be left running: %w", s.where(), err)
		}
	}
	left, _ := s.left()
	ctx, cancel := context.WithTimeoutCause(ctx, left, errUnread)
	defer cancel()
	_, err := fmt.Fprintln(stream.Interruptible(ctx, s.Stdout), s.plan.Name())
	if err != nil { // nobody would know of it
		return &stream.OutputError{Err: err}
	}
	s.enter(detached)
	return nil
}
