package session

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// gate is what the gate in the container has told: the PIDs of its process and of its watchdog. nil:
// nothing yet.
type gate struct {
	told    atomic.Pointer[string]
	silence atomic.Int64 // the longest between two signs of life, by the clock on the wall
}

// wasSilent reports whether the watchdog may have heard nothing for so long: a stopped client, a computer
// that was asleep.
func (g *gate) wasSilent(limit time.Duration) bool { return time.Duration(g.silence.Load()) >= limit }

// pulse measures the pauses between signs of life.
type pulse struct {
	io.Writer
	gate *gate
	last time.Time
}

// Write passes a sign of life on.
func (p *pulse) Write(sign []byte) (int, error) {
	now := time.Now().Round(0)
	if pause := int64(now.Sub(p.last)); !p.last.IsZero() && pause > p.gate.silence.Load() {
		p.gate.silence.Store(pause)
	}
	p.last = now
	return p.Writer.Write(sign)
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
	knocking := &knock{Reader: orNothing(streams.Stdin), size: s.size, heard: make(chan struct{})}
	streams.Stdin = knocking
	streams.Stdout = &gated{Writer: streams.Stdout, mark: s.plan.Gate, ready: knocking.answered, opened: func(told string) {
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

// knockTime is how long the gate has to answer before it is asked again.
const knockTime = 500 * time.Millisecond

// knock is the input of a command behind a gate: it asks until the gate has been heard, and lets it open
// then; after that it is the user's.
type knock struct {
	io.Reader
	size    func() string // of the terminal
	heard   chan struct{} // closed when the gate has been
	once    sync.Once
	knocked bool
	over    bool
}

func (k *knock) answered() { k.once.Do(func() { close(k.heard) }) }

// Read gives a line for the gate, or what the user types.
func (k *knock) Read(p []byte) (int, error) {
	if k.over {
		return k.Reader.Read(p)
	}
	if k.knocked {
		select {
		case <-k.heard:
			k.over = true
			return copy(p, plan.TellGo(k.size())), nil
		case <-time.After(knockTime):
		}
	}
	k.knocked = true
	return copy(p, "\n"), nil
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
		go beat(&pulse{Writer: beats, gate: &s.gate}, s.beat(), ended)
		_ = s.Streamer.Exec(ctx, s.container(), command, remotecommand.StreamOptions{Stdin: in, Stdout: io.Discard}) // its end is not the session's
		close(ended)
		in.Close()
		select {
		case <-time.After(s.beat()):
		case <-ctx.Done():
		}
	}
}
