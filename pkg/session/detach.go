package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// detach lets the session go on without its client. The lease comes first: a debug container that is to
// stay shall be on record.
func (s *session) detach(ctx context.Context) error {
	if err := s.detachLease(ctx); err != nil {
		return err
	}
	if s.plan.Ephemeral != nil {
		if err := s.agent.Stay(ctx); err != nil {
			return fmt.Errorf("%s could not be left running: %w", s.where(), err)
		}
	}
	if _, err := fmt.Fprintln(s.Stdout, s.plan.Name()); err != nil { // nobody would know of it
		return &stream.OutputError{Err: err}
	}
	s.enter(detached)
	return nil
}

func (s *session) detachLease(ctx context.Context) error {
	if s.Lease == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cleanUpTimeout, errNoAnswer)
	defer cancel()
	err := s.persist(ctx, func(ctx context.Context) error { return s.Lease.Detach(ctx, s.plan.Record) })
	switch {
	case errors.Is(err, lease.ErrLost):
		return s.leaseExpired(err)
	case err != nil:
		return fmt.Errorf("the lease of %s could not be extended for its full time: %w", s.where(),
			Interrupted(ctx, err))
	}
	return nil
}
