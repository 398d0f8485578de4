package session

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/remotecommand"
)

// gate is what the gate in the container has told: the PIDs of its process and of its watchdog. nil:
// nothing yet.
type gate struct {
	told atomic.Pointer[string]
}

// process is the PID of the gate's process, by which it can be ended, or "".
func (g *gate) process() string { return g.word(0) }

// watchdog is the PID of its watchdog, or "".
func (g *gate) watchdog() string { return g.word(1) }

func (g *gate) word(n int) string {
	told := g.told.Load()
	if told == nil {
		return ""
	}
	words := strings.Fields(*told)
	if n >= len(words) {
		return ""
	}
	return words[n]
}

// throughGate makes streams open the gate, and show nothing of the output that comes before the
// command's. From then on, until ctx ends, the watchdog is told that the client lives. A gate that is
// not open in time ends the session by stop; done is to be called when the streams have ended.
func (s *session) throughGate(ctx context.Context, stop context.CancelCauseFunc, streams *remotecommand.StreamOptions) (done func() bool) {
	streams.Stdin = io.MultiReader(strings.NewReader("\n"), orNothing(streams.Stdin))
	streams.Stdout = &gated{Writer: streams.Stdout, mark: s.plan.Gate, opened: func(told string) {
		s.gate.told.Store(&told)
		if dog := s.gate.watchdog(); dog != "" && s.plan.Relay != nil {
			go s.relay(ctx, dog)
		}
	}}
	return time.AfterFunc(s.StartTimeout, func() {
		if s.gate.process() == "" { // an entrypoint that does not run its arguments
			stop(fmt.Errorf("the command in %s did not start within %s: the container's process does not run it", s.where(), s.StartTimeout))
		}
	}).Stop
}

func orNothing(in io.Reader) io.Reader {
	if in == nil {
		return strings.NewReader("")
	}
	return in
}

// relay gives signs of life to the watchdog until ctx ends, over one stream after the other: the
// watchdog waits for a client whose connection is lost.
func (s *session) relay(ctx context.Context, watchdog string) {
	command := append(slices.Clone(s.plan.Relay), watchdog)
	for ctx.Err() == nil {
		in, beats := io.Pipe()
		ended := make(chan struct{})
		go beat(beats, s.beat(), ended)
		_ = s.Streamer.Exec(ctx, s.container(), command, remotecommand.StreamOptions{Stdin: in, Stdout: io.Discard}) // its end is not the session's
		close(ended)
		in.Close()
		select {
		case <-time.After(s.beat()):
		case <-ctx.Done():
		}
	}
}
