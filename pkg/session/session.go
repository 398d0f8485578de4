// Package session carries out a plan: it creates, waits until the session runs, joins the streams
// and cleans up. What it creates is doomed from then on, whatever happens to the rest.
package session

import (
	"context"
	"io"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// Teller is told what the user should know while a session lives.
type Teller interface {
	// Created says that the session exists from now on: its headline and notes.
	Created(p *plan.Plan)
	// Waiting says what the session waits for. It is called again with each change.
	Waiting(what string)
	// Ready ends the waiting: the terminal is about to belong to the session.
	Ready()
	// Say tells one line.
	Say(format string, args ...any)
	// Warn tells one line that the user should act on.
	Warn(format string, args ...any)
	// Raw says that the terminal belongs to the session from now on, or does not any more. Lines that
	// are told meanwhile come in between.
	Raw(raw bool)
}

// Config is what every session needs.
type Config struct {
	Client       kubernetes.Interface
	Reconnect    func() // closes Client's connections, so that it makes a new one; nil: it cannot
	Streamer     Streamer
	Teller       Teller
	StartTimeout time.Duration
	Lease        Lease         // nil: nothing but the session itself keeps or ends what it creates
	Wait         bool          // at the end, until what was created is gone
	TTL          time.Duration // how long the session may live where there is no lease

	Stdin  io.Reader // nil: the command gets no stdin
	Stdout io.Writer
	Stderr io.Writer
}

// Run carries out p and returns the exit status of its command. An error means that eshell itself
// failed, was interrupted, or could not write the output: it is the cause of ctx where ctx was
// cancelled, and ErrNoShell where the image lacks the shell that the plan relies on. Either way
// nothing of the session is left running, or the Teller was warned of what is.
func Run(ctx context.Context, c Config, p *plan.Plan) (status int, err error) {
	s := newSession(c, p)
	err = s.carryOut(ctx, func(watch *podWatch) error {
		err := s.kept(ctx, func(ctx context.Context) error {
			if err := s.waitUntilStarted(ctx, watch); err != nil {
				return err
			}
			status, err = s.runCommand(ctx, watch)
			return err
		})
		return s.outlived(ctx, status, err)
	})
	return status, err
}

// carryOut creates what the plan says and lets the session live until act returns. Unless it is left
// running, it is cleaned up then.
func (s *session) carryOut(ctx context.Context, act func(*podWatch) error) error {
	var watch *podWatch // clean-up watches too: it outlives ctx
	defer func() {
		if !s.stays {
			s.cleanUp(ctx, watch)
		}
		if watch != nil {
			watch.stop()
		}
	}()
	pod, err := s.create(ctx)
	if err != nil {
		return interrupted(ctx, err)
	}
	if watch, err = s.watch(context.WithoutCancel(ctx), pod); err != nil {
		return interrupted(ctx, err)
	}
	return act(watch)
}

// kept keeps the lease while act runs, and ends it when the lease does.
func (s *session) kept(ctx context.Context, act func(context.Context) error) error {
	kept, stop := context.WithCancelCause(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() { s.keep(kept, stop) })
	err := interrupted(kept, act(kept))
	stop(nil)
	keeping.Wait() // one at a time uses the lease
	return err
}

// session is one run of a plan.
type session struct {
	Config
	plan *plan.Plan

	doomed  doomed    // what clean-up has to see to
	uid     types.UID // of the clone, once the server has answered
	stays   bool      // it is left running, for others to end
	started bool      // the container's process has been seen running
	failed  bool      // the container's process will never run
	ended   bool      // the container's process has been seen to end
	holder  *holder   // by exec: the client's end, once it is attached
	ends    time.Time // where there is no lease
	gate    gate      // of a command that waits behind one
}

func newSession(c Config, p *plan.Plan) *session {
	return &session{Config: c, plan: p, ends: time.Now().Add(c.TTL)}
}

// where names what the session runs in.
func (s *session) where() string {
	if s.plan.InPod() {
		return "container " + s.plan.Container + " in pod/" + s.plan.PodName
	}
	return "pod/" + s.plan.PodName
}

// interrupted prefers the reason why ctx was cancelled, if it was, to what the cancelling broke.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
