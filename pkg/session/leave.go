package session

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
)

// errLeft is the cause of the end of a session's streams if the user leaves the session.
var errLeft = errors.New("the session was left")

// askToLeave calls leave if the session can go on without its client: something has to end it later, and its
// process has to stay. Otherwise it says why, and the session goes on as before.
func (s *session) askToLeave(ctx context.Context, leave context.CancelCauseFunc) {
	if s.plan.Ephemeral != nil || s.Lease == nil {
		s.Reporter.Answer("this session cannot be left: nothing would end it. " +
			"To have one that goes on without you, start it with --detach")
		return
	}
	go func() { // the keyboard goes on
		switch err := s.agent.LetStay(ctx); {
		case ctx.Err() != nil:
		case err != nil:
			s.Reporter.Warn("%s could not be left: %v", s.where(), err)
		default:
			leave(errLeft)
		}
	}()
}

// leave lets a clone go on without its client, for as long as it is allowed to, and reports its name. By
// exec, what runs in it loses its terminal.
func (s *session) leave(ctx context.Context) error {
	limited, cancel := context.WithTimeoutCause(ctx, cleanUpTimeout, errNoAnswer)
	defer cancel()
	if err := s.keepLease(limited); err != nil {
		return err
	}
	s.enter(detached)
	left, _ := s.left()
	terminal, next := "; what runs in its shell has no terminal any more, and might end", hint.Command(
		"a shell in it: kubectl eshell attach %s -n %s", s.plan.Name(), s.plan.Namespace)
	if s.agent.Via == agent.ViaAttach {
		terminal, next = ", with its terminal", hint.Command(
			"return to it: kubectl attach -it %s -c %s -n %s", s.plan.PodName, s.plan.Container,
			s.plan.Namespace)
	}
	s.Reporter.Answer("%s goes on without you, for at most %s%s\nits name: %s\n%s", s.where(),
		duration.HumanDuration(left), terminal, s.plan.Name(), next)
	return nil
}

// keepLease makes the lease last for the full time without its client.
func (s *session) keepLease(ctx context.Context) error {
	err := s.persist(ctx, func(ctx context.Context) error { return s.Lease.Detach(ctx, s.plan.Record) })
	switch {
	case errors.Is(err, lease.ErrLost):
		return s.leaseExpired(err)
	case err != nil:
		return fmt.Errorf("the lease of %s could not be made to last for the full time: %w", s.where(),
			Interrupted(ctx, err))
	}
	return nil
}
