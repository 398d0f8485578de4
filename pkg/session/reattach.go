package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/diagnosis"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// errNotBack means that a lost connection did not come back while the session could wait for it.
var errNotBack = errors.New("it was not restored")

// stayAttached attaches to a process on a terminal, and again whenever the connection is lost while the
// process runs on. It does: a container's terminal stays open when its client is gone. (Without a
// terminal the runtime closes the process's input then, so there is nothing to come back to.)
func (s *session) stayAttached(ctx context.Context, streams remotecommand.StreamOptions) error {
	user := stream.NewConsole(streams, sendInterrupt)
	first, giveBack := user.Lend(func() {})
	late, err := s.attachFirst(ctx, first)
	giveBack()
	err = s.missed(ctx, late, err)
	if s.agent.HasGate() && !s.agent.IsOpen() {
		return err // where the command's output begins was lost with the connection
	}
	for !s.hasEnded(ctx) {
		if err := s.reattach(ctx, user); err != nil {
			return fmt.Errorf("%w: %w", errNotBack, err)
		}
	}
	return nil
}

// sendInterrupt does what Ctrl-C does on a terminal that is not raw.
func sendInterrupt() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Signal(os.Interrupt)
	}
}

// reattach brings the connection back, and returns when it is lost again or the session is over. It
// fails when it has tried for as long as a session outlives its client, or as the status of a process that
// has ended may take; a lease that cannot be renewed has ended the session before.
func (s *session) reattach(ctx context.Context, user *stream.Console) error {
	lost := time.Now()
	for told := false; ; {
		back, err := s.attachAgain(ctx, user, lost)
		switch {
		case back || s.hasEnded(ctx):
			return nil
		case time.Since(lost) > max(s.agent.HeartbeatTimeout+2*s.agent.HeartbeatInterval(), statusTimeout):
			return err
		case !told && time.Since(lost) > 2*settleTime: // the status of a process that has ended may be late
			told = true
			s.Reporter.Warn("the connection to %s was lost and is not restored yet; "+
				"Ctrl-C ends the session: %v",
				s.where(), err)
		}
	}
}

// attachAgain reports whether the connection was back, once it has ended. It is when something comes, or
// when the stream has lasted.
func (s *session) attachAgain(ctx context.Context, user *stream.Console, lost time.Time) (back bool,
	err error) {
	var is atomic.Bool
	came := sync.OnceFunc(func() {
		is.Store(true)
		s.Reporter.Say("reattached to %s: the connection was lost for %s; "+
			"what was shown meanwhile: kubectl logs %s -c %s -n %s", s.where(),
			duration.HumanDuration(time.Since(lost)), s.plan.PodName, s.plan.Container, s.plan.Namespace)
	})
	lasted := time.AfterFunc(dialTimeout, came)
	lasted.Stop() // until the stream is open
	defer lasted.Stop()
	streams, giveBack := user.Lend(func() { lasted.Reset(dialTimeout) })
	defer giveBack()
	streams.Stdout = &arrival{streams.Stdout, came}
	err = s.Streams.Attach(ctx, s.container, streams)
	return is.Load(), err
}

// arrival tells of what comes before it passes it on.
type arrival struct {
	io.Writer
	came func()
}

// Write passes p on.
func (a *arrival) Write(p []byte) (int, error) {
	if len(p) > 0 {
		a.came()
	}
	return a.Writer.Write(p)
}

// hasEnded reports whether the session is over, or its process has ended, which its pod's status may
// be a little late to say.
func (s *session) hasEnded(ctx context.Context) bool {
	limited, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		if ctx.Err() != nil || s.watch.pod.DeletionTimestamp != nil || diagnosis.Of(s.watch.pod,
			s.plan.Container).Terminated != nil {
			return true
		}
		if err := s.watch.next(limited); err != nil {
			return !errors.Is(err, context.DeadlineExceeded)
		}
	}
}
