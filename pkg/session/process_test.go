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

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// stubborn is a Streamer whose container does not let itself be ended at once: each stream ends as the next
// of tries says, and as the last in the end.
type stubborn struct {
	tries []func(context.Context) error
	heard []string
}

func (s *stubborn) Exec(ctx context.Context, _ Container, command []string, _ remotecommand.StreamOptions) error {
	return s.try(ctx, strings.Join(command, " "))
}

func (s *stubborn) Attach(ctx context.Context, _ Container, streams remotecommand.StreamOptions) error {
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
	return try(ctx)
}

func isDone(context.Context) error { return nil }

func paused(context.Context) error {
	return errors.New("Internal error occurred: cannot exec in a paused container (use --ignore-paused to override)")
}

// TestEndIsTriedAgain: a container that cannot be ended for a moment is ended a moment later.
func TestEndIsTriedAgain(t *testing.T) {
	const (
		kill     = "kill 12 34"
		ended    = "container eshell-x7k2p in pod/api-7d4b9 has ended"
		mayRun   = "warning: container eshell-x7k2p in pod/api-7d4b9 may still run: "
		isPaused = mayRun + "Internal error occurred: cannot exec in a paused container (use --ignore-paused to override)"
	)
	byAttach := func(s *session) { told := "12 34"; s.gate.told.Store(&told) }
	attached := func(s *session) {
		s.holder = &holder{ended: make(chan struct{})}
		_, s.holder.beats = io.Pipe()
	}
	lost := func(s *session) {
		attached(s)
		s.holder.err = io.ErrUnexpectedEOF
		close(s.holder.ended)
	}
	over := joinedPod(&corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}})
	tests := []struct {
		name  string
		with  func(*session)
		tries []func(context.Context) error
		later *corev1.Pod // after 2 s
		heard []string    // nil: whatever
		took  time.Duration
		says  string
	}{
		{name: "paused for a moment", with: byAttach, tries: tries(paused, paused, isDone), heard: []string{kill, kill, kill}, took: 2 * retryTime, says: ended},
		{name: "it hangs", with: byAttach, tries: tries(hangs, isDone), heard: []string{kill, kill}, took: tryTime, says: ended},
		{name: "paused, and then it hangs", with: byAttach, tries: tries(paused, hangs), heard: []string{kill, kill, kill, kill}, took: cleanUpTime, says: isPaused},
		{name: "it hangs for ever", with: byAttach, tries: tries(hangs), heard: []string{kill, kill, kill}, took: cleanUpTime, says: mayRun + "it has not ended after 15s"},
		{name: "its status says it", with: byAttach, tries: tries(paused), later: over, took: 2 * time.Second, says: ended},
		{name: "its pod goes", with: byAttach, tries: tries(paused), later: &corev1.Pod{}, took: 2 * time.Second, says: ended},
		{name: "the holder's stream is lost", with: lost, tries: tries(isDone), heard: []string{"\x04"}, took: retryTime, says: ended},
		{name: "the holder's stream hangs", with: attached, tries: tries(paused, isDone), heard: []string{"\x04", "\x04"}, took: tryTime + retryTime, says: ended},
		{name: "not heard yet", with: func(*session) {}, tries: tries(hangs, isDone), heard: []string{"\x04", "\x04"}, took: tryTime, says: ended},
		{name: "a resident", with: func(s *session) { s.plan.Detached = true }, tries: tries(paused, hangs, isDone), heard: []string{plan.TellEnd, plan.TellEnd, plan.TellEnd}, took: tryTime + retryTime, says: ended},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				objects, streamer, told, p := fake.NewClientset(joinedPod(running())), &stubborn{tries: tt.tries}, &story{}, holderPlan()
				p.Kill = []string{"kill"}
				s := newSession(Config{Client: objects, Streamer: streamer, Teller: told}, p)
				s.doomed, s.started = certain, true
				tt.with(s)
				watch, err := s.watch(t.Context(), joinedPod(running()))
				if err != nil {
					t.Fatal(err)
				}
				defer watch.stop()
				become(t, objects, tt.later)
				began := time.Now()
				s.cleanUp(t.Context(), watch)
				if took := time.Since(began); took > tt.took+2*retryTime || took < tt.took {
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
