// Package session carries out a plan: it creates what the plan says, waits until that runs, runs the command
// and cleans up. From the moment that the create is sent, clean-up is certain, whatever happens to the rest.
package session

import (
	"context"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// Reporter reports to the user while a session lives.
type Reporter interface {
	// Created reports that the session exists from now on: its headline and notes.
	Created(p *plan.Plan)
	// Waiting reports what the session waits for. It is called again with each change.
	Waiting(what string)
	// Ready ends the waiting: the terminal is about to belong to the session.
	Ready()
	// Say reports one line.
	Say(format string, args ...any)
	// Warn reports one line on which the user should act.
	Warn(format string, args ...any)
	// Raw reports that the terminal belongs to the session from now on, or no longer does. Lines that
	// are reported meanwhile come in between.
	Raw(raw bool)
}

// Config is what every session needs.
type Config struct {
	Client       kubernetes.Interface
	Reconnect    func() // closes Client's connections, so that it makes a new one; nil: it cannot
	Streams      stream.Client
	Reporter     Reporter
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
// cancelled, and diagnosis.ErrNoShell where the image lacks the shell that the plan relies on. Either way
// nothing of the session is left running, or the Reporter was warned of what is.
func Run(ctx context.Context, c Config, p *plan.Plan) (status int, err error) {
	s := newSession(c, p)
	defer s.cleanUp(ctx)
	if err := s.create(ctx); err != nil {
		return 0, err
	}
	leased, stopRenewing := s.renewLease(ctx)
	if err = s.waitUntilStarted(leased); err == nil {
		status, err = s.runCommand(leased)
	}
	err = stopRenewing(err)
	return status, s.preferLeaseError(ctx, status, err)
}

// Start carries out p as far as Run does before its command, writes the session's name to Stdout and leaves
// it running: its lease, or where there is none its own time, ends it. After an error nothing of it is left
// running, or the Reporter was warned of what is.
func Start(ctx context.Context, c Config, p *plan.Plan) error {
	s := newSession(c, p)
	defer s.cleanUp(ctx)
	if err := s.create(ctx); err != nil {
		return err
	}
	leased, stopRenewing := s.renewLease(ctx)
	if err := stopRenewing(s.waitUntilStarted(leased)); err != nil {
		return s.preferLeaseError(ctx, 0, err)
	}
	return Interrupted(ctx, s.detach(ctx))
}

// phase is how far a session has come; from running on, the container has started.
type phase int

const (
	planned   phase = iota // nothing of it is in the cluster, or it has joined another session
	requested              // the create was sent, and not answered
	created                // the server has it
	failed                 // its container will never run
	running                // its container has been seen to run
	ended                  // its container has been seen to end
	detached               // it is left running, for others to end
)

// session is one run of a plan.
type session struct {
	Config
	plan      *plan.Plan
	agent     *agent.Client
	container stream.Container
	user      stream.User

	phase phase
	uid   types.UID // of the pod, once the server has answered
	watch *podWatch // on the session's pod, once it is known
	ends  time.Time // where there is no lease
}

func newSession(c Config, p *plan.Plan) *session {
	container := stream.Container{Namespace: p.Namespace, Pod: p.PodName, Name: p.Container}
	return &session{
		Config: c, plan: p, container: container, agent: agent.NewClient(&p.Agent, c.Streams, container),
		user: stream.User{In: c.Stdin, Out: c.Stdout, Err: c.Stderr, TTY: p.Agent.TTY, Raw: c.Reporter.Raw,
			Interrupt: sendInterrupt},
		ends: time.Now().Add(c.TTL),
	}
}

// enter is the one place where the phase changes.
func (s *session) enter(p phase) { s.phase = p }

func (s *session) where() string {
	if s.plan.InPod() {
		return "container " + s.plan.Container + " in pod/" + s.plan.PodName
	}
	return "pod/" + s.plan.PodName
}

// Interrupted prefers the reason why ctx was cancelled, if it was, to err, which is what the cancelling
// broke.
func Interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

const (
	// answerTimeout is how long an interrupted session still waits for the answer to its create: the server
	// may act on it after the delete that was to undo it.
	answerTimeout = 5 * time.Second

	// cleanUpTimeout bounds the whole clean-up: the process of a terminal that was closed is killed soon.
	cleanUpTimeout = 15 * time.Second
	// retryInterval is how soon a request of the clean-up that failed is tried again.
	retryInterval = 250 * time.Millisecond
	// tryTimeout is how long one may hang before it is tried on a new connection.
	tryTimeout = cleanUpTimeout / 3
	// startingTimeout is how long a container whose image is on the node takes to start, and more: one that
	// was about to start can be ended only then.
	startingTimeout = 5 * time.Second
	// controllersDelay is how long Kubernetes' controllers may take from a lease's end to its pod's.
	controllersDelay = 30 * time.Second
	// goneTimeout is how long a deleted pod may take to go: its grace period, and a slow node.
	goneTimeout = time.Minute

	// statusTimeout is how long the kubelet may take to report a process that has ended: it looks once a
	// second, and its report queues behind those of other pods.
	statusTimeout = 2 * time.Minute
	// reasonTimeout is how long that may take where only the reason is not known.
	reasonTimeout = 15 * time.Second
	// brokenTimeout is how long a command whose stream broke may take to have ended, if it has.
	brokenTimeout = 5 * time.Second
	// settleTime is how long the pod's status gets to say that a stream has ended because its process has,
	// before the connection is taken for lost, and how often it is tried to bring it back.
	settleTime = time.Second
	// holderDelay is how long the holder's stream may take to end after that of a command that got KILL,
	// where both got it.
	holderDelay = 2 * time.Second
	// togetherDelay is how soon after one another two streams end that are lost with the same connection.
	togetherDelay = 50 * time.Millisecond

	// lookTimeout bounds a look at events or a log: it is the last thing before an error that is due.
	lookTimeout = 3 * time.Second
)
