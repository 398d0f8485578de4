package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// Lease keeps what a session creates in the cluster for as long as it is renewed.
type Lease interface {
	// Renew pushes the end forward and tells the lease about the session; lease.ErrLost: it is too late.
	Renew(ctx context.Context, annotations map[string]string) error
	// Left is how long what was created lives without another renewal, and how long it may live at most.
	Left() (unrenewed, most time.Duration)
	// Release deletes what the session created.
	Release(ctx context.Context) error
}

// errOver is the cause of a session that has lived as long as it may.
var errOver = errors.New("the session has reached its --ttl")

// keep renews the session's lease until ctx ends, and ends the session by stop when the lease is
// lost, cannot be renewed in time, or has reached its hard limit. It waits for nothing.
func (s *session) keep(ctx context.Context, stop context.CancelCauseFunc) {
	ticker := time.NewTicker(plan.Beat(s.plan.Silence))
	defer ticker.Stop()
	var failing sync.Once
	for {
		err := s.renew(ctx)
		unrenewed, most := s.left()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, lease.ErrLost):
			stop(fmt.Errorf("%s: %w: somebody deleted it, or it was not renewed in time", s.where(), err))
		case most <= 0:
			stop(fmt.Errorf("%s: %w", s.where(), errOver))
		case err != nil && unrenewed <= 0:
			stop(fmt.Errorf("%s: its lease could not be renewed in time: %w", s.where(), err))
		case err != nil:
			failing.Do(func() {
				s.Teller.Warn("the lease could not be renewed, it ends in %s: %v", unrenewed.Round(time.Second), err)
			})
		}
		s.warnOfEnd(most)
		select {
		case <-ticker.C:
		case <-time.After(max(most, 0)):
		case <-ctx.Done():
			return
		}
	}
}

func (s *session) renew(ctx context.Context) error {
	if s.Lease == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, plan.Beat(s.plan.Silence))
	defer cancel()
	return s.Lease.Renew(ctx, map[string]string{owned.PodAnnotation: s.plan.PodName, owned.ContainerAnnotation: s.plan.Container})
}

func (s *session) left() (unrenewed, most time.Duration) {
	if s.Lease == nil {
		most = time.Until(s.ends)
		return most, most
	}
	return s.Lease.Left()
}

// warnings are how long before its end a session is told of it.
func warnings() []time.Duration { return []time.Duration{time.Minute, 5 * time.Minute} }

// warnOfEnd tells the user once per warning, in one line, so that a full-screen program loses no
// more than that.
func (s *session) warnOfEnd(most time.Duration) {
	for _, before := range warnings() {
		if most > 0 && most <= before && s.warned != before && (s.warned == 0 || s.warned > before) {
			s.warned = before
			s.Teller.Warn("this session ends in %s (--ttl)", most.Round(time.Second))
			return
		}
	}
}
