// Package session carries out a plan: it creates, waits until the session runs, joins the streams
// and cleans up. What it creates is doomed from then on, whatever happens to the rest.
package session

import (
	"context"
	"io"
	"sync/atomic"
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
	s := &session{Config: c, plan: p}
	var watch *podWatch // clean-up watches too: it outlives ctx
	defer func() {
		s.cleanUp(ctx, watch)
		if watch != nil {
			watch.stop()
		}
	}()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	pod, err := s.create(ctx)
	if err != nil {
		return 0, interrupted(ctx, err)
	}
	s.ends = time.Now().Add(s.TTL)
	go s.keep(ctx, stop)
	if watch, err = s.watch(context.WithoutCancel(ctx), pod); err != nil {
		return 0, interrupted(ctx, err)
	}
	if err := s.waitUntilStarted(ctx, watch); err != nil {
		return 0, interrupted(ctx, err)
	}
	status, err = s.runCommand(ctx, watch)
	return status, interrupted(ctx, err)
}

// session is one run of a plan.
type session struct {
	Config
	plan *plan.Plan

	doomed  doomed        // what clean-up has to see to
	uid     types.UID     // of the clone, once the server has answered
	started bool          // the container's process has been seen running
	failed  bool          // the container's process will never run
	ended   bool          // the container's process has been seen to end
	holder  *holder       // by exec: the client's end, once it is attached
	ends    time.Time     // where there is no lease
	warned  time.Duration // how long before the end the user was told of it
	// process is, by attach, the PID of the container's process, once the stream has told it.
	process atomic.Pointer[string]
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
