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
	s := &session{Config: c, plan: p, ends: time.Now().Add(c.TTL)}
	var watch *podWatch // clean-up watches too: it outlives ctx
	defer func() {
		s.cleanUp(ctx, watch)
		if watch != nil {
			watch.stop()
		}
	}()
	pod, err := s.create(ctx)
	if err != nil {
		return 0, interrupted(ctx, err)
	}
	if watch, err = s.watch(context.WithoutCancel(ctx), pod); err != nil {
		return 0, interrupted(ctx, err)
	}
	return s.live(ctx, watch)
}

// live waits until the session has started and runs its command, and keeps the lease meanwhile.
func (s *session) live(ctx context.Context, watch *podWatch) (status int, err error) {
	kept, stop := context.WithCancelCause(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() { s.keep(kept, stop) })
	if err = s.waitUntilStarted(kept, watch); err == nil {
		status, err = s.runCommand(kept, watch)
	}
	err = interrupted(kept, err)
	stop(nil)
	keeping.Wait() // one at a time uses the lease
	return status, s.outlived(ctx, status, err)
}

// session is one run of a plan.
type session struct {
	Config
	plan *plan.Plan

	doomed  doomed    // what clean-up has to see to
	uid     types.UID // of the clone, once the server has answered
	started bool      // the container's process has been seen running
	failed  bool      // the container's process will never run
	ended   bool      // the container's process has been seen to end
	holder  *holder   // by exec: the client's end, once it is attached
	ends    time.Time // where there is no lease
	gate    gate      // by attach
}

// where names what the session runs in.
func (s *session) where() string {
	if s.plan.Ephemeral != nil {
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
