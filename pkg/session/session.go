// Package session carries out a plan. It creates what the plan describes, waits until that runs, runs the
// command and cleans up. Once the create request has been sent, the clean-up always runs, whatever else
// fails.
package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/record"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// Reporter reports to the user while a session lives.
type Reporter interface {
	// Created reports that the session now exists, with its headline and notes.
	Created(p *plan.Plan)
	// Waiting reports what the session is waiting for. It is called again after each change.
	Waiting(what string)
	// Trouble reports once what keeps the session from starting, and the command to type, if there is one.
	Trouble(what, next string)
	// Ready reports that the waiting is over. The session is about to take over the terminal.
	Ready()
	// Say reports one line.
	Say(format string, args ...any)
	// Answer reports one line that the user has asked for from the keyboard.
	Answer(format string, args ...any)
	// Warn reports one line that the user should act on.
	Warn(format string, args ...any)
	// Raw reports whether the terminal belongs to the session from now on. Lines that are reported while it
	// does appear amid the session's output.
	Raw(raw bool)
}

// Config is what every session needs.
type Config struct {
	Client       kubernetes.Interface
	Reconnect    func() // closes Client's connections, so that it opens a new one; nil: not possible
	Streams      stream.Client
	Reporter     Reporter
	Write        Write // how its pod or container is sent
	StartTimeout time.Duration
	Lease        Lease         // nil: only the session itself keeps or ends what it creates
	Wait         bool          // at the end, wait until what was created is gone
	Interrupt    func()        // ends the session's context, as Ctrl-C does on a terminal that is not raw
	TTL          time.Duration // how long the session may live if it has no lease
	Escape       byte          // what begins keys for eshell itself on a terminal, after Enter; 0: nothing
	DetachKeys   []byte        // what leaves the session on a terminal; nil: nothing
	Idle         time.Duration // how long nothing may be typed or shown before the session ends; 0: for ever
	End          func()        // ends the session's context, when the user types so

	Stdin  io.Reader // nil: the command gets no stdin
	Stdout io.Writer
	Stderr io.Writer
	Record *record.Recording // of these; nil: nothing is recorded
}

// Run carries out p and returns the exit status of its command. An error means that eshell itself failed, was
// interrupted, or could not write the output. It is the cause of ctx if ctx was cancelled, and
// diagnosis.ErrNoShell if the image lacks the shell that the plan relies on. With or without an error,
// nothing of the session is left running, or the Reporter was warned about what is.
func Run(ctx context.Context, c Config, p *plan.Plan) (status int, err error) {
	s := newSession(c, p)
	defer func() { err = s.flush(ctx, err) }() // last: nobody might read
	defer s.cleanUp(ctx)
	going, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	s.user.Leave = func() { s.askToLeave(going, leave) }
	leased, stopRenewing, err := s.createLeased(going)
	if err != nil {
		return 0, err
	}
	if err = s.waitUntilStarted(leased); err == nil {
		status, err = s.runCommand(leased)
	}
	if err = stopRenewing(err); errors.Is(err, errLeft) {
		return 0, s.leave(ctx)
	}
	return status, s.preferLeaseError(ctx, status, err)
}

// Start carries out p as Run does, up to the start of the command. It then writes the session's name to
// Stdout and leaves the session running until its lease or, without one, its own time limit ends it. After an
// error nothing of the session is left running, or the Reporter was warned about what is.
func Start(ctx context.Context, c Config, p *plan.Plan) error {
	s := newSession(c, p)
	defer s.cleanUp(ctx)
	leased, stopRenewing, err := s.createLeased(ctx)
	if err != nil {
		return err
	}
	if err := stopRenewing(s.waitUntilStarted(leased)); err != nil {
		return s.preferLeaseError(ctx, 0, err)
	}
	return Interrupted(ctx, s.detach(ctx))
}

// phase is how far a session has come. From running on, the container has started.
type phase int

const (
	planned   phase = iota // it has created nothing in the cluster, or has joined another session
	requested              // the create request was sent, but not answered
	created                // the server has created it
	failed                 // its container will never run
	running                // its container has been seen running
	ended                  // its container has been seen to end
	detached               // it has been left running, for others to end
)

// session is one run of a plan.
type session struct {
	Config
	plan      *plan.Plan
	agent     *agent.Client
	container stream.Container
	user      stream.User

	phase   phase
	opened  atomic.Bool // the command's stream
	isThere atomic.Bool // what the session creates, so that renewals of its lease may name the pod
	uid     types.UID   // of the pod, once the server has answered
	watch   *podWatch   // on the session's pod, once that is known
	ends    time.Time   // when the session ends if it has no lease
}

func newSession(c Config, p *plan.Plan) *session {
	container := stream.Container{Namespace: p.Namespace, Pod: p.PodName, Name: p.Container}
	client := agent.NewClient(&p.Agent, c.Streams, container)
	client.Told = func(line string) { c.Reporter.Say("the server says: %s", line) }
	return &session{
		Config: c, plan: p, container: container, agent: client,
		user: stream.User{In: c.Stdin, Out: c.Stdout, Err: c.Stderr, TTY: p.Agent.TTY, Raw: c.Reporter.Raw,
			Begun: client.HasBegun, Interrupt: c.Interrupt, Escape: c.Escape, DetachKeys: c.DetachKeys,
			Record:      c.Record,
			End:         c.End,
			Leave:       func() { c.Reporter.Answer("%s", stays(c.Escape)) },
			ListEscapes: func() { c.Reporter.Answer("%s", escapes(p, c.Escape, c.DetachKeys)) }},
		ends: time.Now().Add(c.TTL),
	}
}

// stays returns what is to be said to a user who leaves a session that another client keeps, or none.
func stays(char byte) string {
	if char == 0 {
		return "the session stays when this shell ends"
	}
	return fmt.Sprintf("the session stays; %c. ends this shell", char)
}

// escapes returns what the user can type for eshell itself: after the escape character, and the keys that
// leave a session.
func escapes(p *plan.Plan, char byte, keys []byte) string {
	ends := fmt.Sprintf("%[1]c. ends the session, %[1]cd leaves it", char)
	switch {
	case p.Ephemeral == nil && p.Pod != nil && len(keys) > 0:
		ends = fmt.Sprintf("%[1]c. ends the session, %[1]cd and %[2]s leave it", char, keyNames(keys))
	case p.Ephemeral != nil:
		ends = fmt.Sprintf("%c. ends the session", char)
	case p.Pod == nil:
		ends = fmt.Sprintf("%c. ends this shell, and the session stays", char)
	}
	return fmt.Sprintf("%[1]s, %[2]c%[2]c types %[2]c, %[2]c? lists these", ends, char)
}

// keyNames returns keys as --detach-keys has them.
func keyNames(keys []byte) string {
	names := make([]string, len(keys))
	for n, key := range keys {
		switch names[n] = string(rune(key)); {
		case key < ' ':
			names[n] = "ctrl-" + strings.ToLower(string(rune(key+'@')))
		case key == 0x7f:
			names[n] = "DEL"
		}
	}
	return strings.Join(names, ",")
}

// enter sets the phase. Nothing else changes it.
func (s *session) enter(p phase) { s.phase = p }

// flush waits for the readers of the output, unless the session has failed with err: that is to be told.
func (s *session) flush(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	return s.user.Flush(ctx)
}

func (s *session) where() string {
	if s.plan.InPod() {
		return "container " + s.plan.Container + " in pod/" + s.plan.PodName
	}
	return "pod/" + s.plan.PodName
}

// Interrupted returns the cause of ctx instead of err if there is an error and ctx was cancelled. In that
// case err is only a consequence of the cancellation, unless it is the end of a wait and says what was waited
// for.
func Interrupted(ctx context.Context, err error) error {
	if _, says := errors.AsType[stillWaiting](err); err != nil && ctx.Err() != nil && !says {
		return context.Cause(ctx)
	}
	return err
}

const (
	// answerTimeout is how long an interrupted session still waits for the response to its create request.
	// Otherwise the server might process the create after the delete that was to undo it.
	answerTimeout = 5 * time.Second

	// cleanUpTimeout limits the whole clean-up: a process whose terminal was closed is killed soon.
	cleanUpTimeout = 15 * time.Second
	// retryInterval is the pause before a failed request of the clean-up is retried.
	retryInterval = 250 * time.Millisecond
	// tryTimeout is how long a request may hang before it is retried on a new connection.
	tryTimeout = cleanUpTimeout / 3
	// startingTimeout is more than a container needs to start if its image is already on the node. A
	// container that was about to start can be ended only once it has started.
	startingTimeout = 5 * time.Second
	// controllersDelay is how long Kubernetes' controllers may take to delete the pod after its lease has
	// ended.
	controllersDelay = 30 * time.Second
	// goneTimeout is how long a deleted pod may take to disappear, including its grace period and the delay
	// of a slow node.
	goneTimeout = time.Minute

	// statusTimeout is how long the kubelet may take to report that a process has ended. It looks once a
	// second, and its report queues behind those of other pods.
	statusTimeout = 2 * time.Minute
	// reasonTimeout is how long that may take if only the reason is still unknown.
	reasonTimeout = 15 * time.Second
	// brokenTimeout is how long the pod's status gets to show that a command whose stream broke has ended.
	brokenTimeout = 5 * time.Second
	// settleTime is how long the pod's status gets to show that a stream ended because its process did,
	// before the connection is considered lost. It is also the interval between attempts to restore the
	// connection, and how long the clean-up waits for the holder's stream to open.
	settleTime = time.Second
	// holderDelay is how long the holder's stream may take to end after the stream of a command that got
	// SIGKILL, if the holder got it too.
	holderDelay = 2 * time.Second
	// holderTime is how long the holder's stream may take to open before the user is warned.
	holderTime = 35 * time.Second
	// togetherDelay is the longest time between the ends of two streams that are lost with the same
	// connection.
	togetherDelay = 50 * time.Millisecond

	// lookTimeout limits the time for reading events or a log: an error is waiting to be returned meanwhile.
	lookTimeout = 3 * time.Second
	// logTimeout bounds the reading of a log whose content is the command's output.
	logTimeout = time.Minute
)
