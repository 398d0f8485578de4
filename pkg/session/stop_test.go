package session

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// stubborn is a stream.Client whose container does not let itself be ended at once: each stream ends as the
// next of tries says, and as the last in the end.
type stubborn struct {
	tries   []func(context.Context) error
	heard   []string
	mark    string        // of a gate that opens, when it is attached to first
	release chan struct{} // closed when a stream ends that nothing else ends, a nil of tries
}

func (s *stubborn) Exec(ctx context.Context, _ stream.Container, command []string,
	_ remotecommand.StreamOptions) error {
	return s.try(ctx, strings.Join(command[3:], " "))
}

func (s *stubborn) Attach(ctx context.Context, _ stream.Container,
	streams remotecommand.StreamOptions) error {
	if mark := s.mark; mark != "" {
		s.mark = ""
		_, err := io.WriteString(streams.Stdout, mark)
		return err
	}
	line := make([]byte, 64)
	n, _ := streams.Stdin.Read(line)
	return s.try(ctx, string(line[:n]))
}

func (s *stubborn) try(ctx context.Context, heard string) error {
	s.heard = append(s.heard, heard)
	try := s.tries[0]
	if len(s.tries) > 1 {
		s.tries = s.tries[1:]
	}
	if try == nil {
		<-s.release
		return nil
	}
	return try(ctx)
}

func isDone(context.Context) error { return nil }

func isLost(context.Context) error { return io.ErrUnexpectedEOF }

func paused(context.Context) error {
	return errors.New("Internal error occurred: cannot exec in a paused container (use --ignore-paused to override)")
}

// TestStopIsTriedAgain: a container that cannot be ended for a moment is ended a moment later.
func TestStopIsTriedAgain(t *testing.T) {
	const (
		kill     = "eshell-kill 12 34"
		hasEnded = "container eshell-x7k2p in pod/api-7d4b9 has ended"
		mayRun   = "warning: container eshell-x7k2p in pod/api-7d4b9 might still be running: "
		isPaused = mayRun + "Internal error occurred: cannot exec in a paused container (use --ignore-paused to override)"
	)
	byAttach := func(s *session, c *stubborn) {
		c.mark = "eshell x7k2p 12 34\n"
		if err := s.agent.Attach(t.Context(), remotecommand.StreamOptions{Stdout: io.Discard},
			s.user.Size); err != nil || !s.agent.IsOpen() {
			t.Errorf("the gate is open: %t, %v", s.agent.IsOpen(), err)
		}
	}
	byExec := func(s *session, _ *stubborn) { s.agent.AttachHolder(t.Context()) }
	idle := func(s *session, _ *stubborn) { s.agent.Detached = true }
	over := joinedPod(&corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}})
	tests := []struct {
		name  string
		with  func(*session, *stubborn)
		tries []func(context.Context) error
		later *corev1.Pod // after 2 s
		heard []string    // nil: whatever
		took  time.Duration
		says  string
	}{
		{name: "paused for a moment", with: byAttach, tries: tries(paused, paused, isDone),
			heard: []string{kill, kill, kill}, took: 2 * retryInterval, says: hasEnded},
		{name: "it hangs", with: byAttach, tries: tries(hangs, isDone), heard: []string{kill, kill},
			took: tryTimeout, says: hasEnded},
		{name: "paused, and then it hangs", with: byAttach, tries: tries(paused, hangs),
			heard: []string{kill, kill, kill, kill}, took: cleanUpTimeout, says: isPaused},
		{name: "it hangs for ever", with: byAttach, tries: tries(hangs), heard: []string{kill, kill, kill},
			took: cleanUpTimeout, says: mayRun + "it has not ended after 15s"},
		{name: "its status says it", with: byAttach, tries: tries(paused), later: over, took: 2 * time.Second,
			says: hasEnded},
		{name: "its pod goes", with: byAttach, tries: tries(paused), later: &corev1.Pod{},
			took: 2 * time.Second, says: hasEnded},
		{name: "the holder's stream is lost", with: byExec, tries: tries(isLost, isDone),
			heard: []string{"\n", "\x04"}, took: retryInterval, says: hasEnded},
		{name: "the holder's stream hangs", with: byExec, tries: tries(nil, paused, isDone),
			heard: []string{"\n", "\x04", "\x04"}, took: tryTimeout + retryInterval, says: hasEnded},
		{name: "not heard yet", with: func(*session, *stubborn) {}, tries: tries(hangs, isDone),
			heard: []string{"\x04", "\x04"}, took: tryTimeout, says: hasEnded},
		{name: "an idler", with: idle, tries: tries(paused, hangs, isDone),
			heard: []string{"end\n", "end\n", "end\n"}, took: tryTimeout + retryInterval, says: hasEnded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				objects, streamer, told, p := fake.NewClientset(joinedPod(runs())),
					&stubborn{tries: tt.tries}, &story{}, holderPlan()
				p.Agent = agent.New(agent.Options{Session: "x7k2p", Via: agent.ViaAttach,
					HeartbeatTimeout: 20 * time.Second})
				s := newSession(Config{Client: objects, Streams: streamer, Reporter: told}, p)
				s.enter(running)
				streamer.release = make(chan struct{})
				defer close(streamer.release)
				tt.with(s, streamer)
				synctest.Wait() // a holder has said that it lives
				var err error
				if s.watch, err = watchPod(t.Context(), objects, joinedPod(runs())); err != nil {
					t.Fatal(err)
				}
				become(t, objects, tt.later)
				began := time.Now()
				s.cleanUp(t.Context())
				if took := time.Since(began); took > tt.took+2*retryInterval || took < tt.took {
					t.Errorf("it took %s, want %s", took, tt.took)
				}
				if tt.heard != nil && !slices.Equal(streamer.heard, tt.heard) {
					t.Errorf("it heard %q, want %q", streamer.heard, tt.heard)
				}
				if said := strings.Join(told.lines, "\n"); said != tt.says {
					t.Errorf("said %q, want %q", said, tt.says)
				}
			})
		})
	}
}

func tries(ends ...func(context.Context) error) []func(context.Context) error { return ends }
