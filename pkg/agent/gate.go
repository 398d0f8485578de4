package agent

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/remotecommand"
)

// gate is what the gate in the container has reported.
type gate struct {
	// pids are the PIDs of its process, by which it can be ended, and of its watchdog, or ""; nil: not
	// reported yet
	pids atomic.Pointer[[2]string]

	mu      sync.Mutex
	heard   time.Time     // when the watchdog last acknowledged a heartbeat
	silence time.Duration // the longest time between two acknowledgements
}

// hear records an acknowledgement, by the wall clock: the computer might have been asleep.
func (g *gate) hear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now().Round(0)
	if !g.heard.IsZero() {
		g.silence = max(g.silence, now.Sub(g.heard))
	}
	g.heard = now
}

// IsOpen reports whether the gate has let the command start. It may be called from any goroutine.
func (c *Client) IsOpen() bool {
	pids := c.gate.pids.Load()
	return pids != nil && pids[0] != ""
}

// WasSilent reports whether the watchdog may have received nothing for as long as it waits, because the
// client was stopped or the computer was asleep.
func (c *Client) WasSilent() bool {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	heard := c.gate.heard
	return !heard.IsZero() && max(c.gate.silence, time.Now().Round(0).Sub(heard)) >= c.HeartbeatTimeout
}

// throughGate makes streams open the gate, and drop the output that comes before the command's. From then on,
// until ctx ends, the watchdog gets heartbeats.
func (c *Client) throughGate(ctx context.Context, streams *remotecommand.StreamOptions, size func() string) {
	opener := &gateOpener{Reader: streams.Stdin, size: size, heard: make(chan struct{})}
	if opener.Reader == nil {
		opener.Reader = strings.NewReader("")
	}
	streams.Stdin = opener
	streams.Stdout = &gateReader{Writer: streams.Stdout, mark: c.gateMark,
		ready: sync.OnceFunc(func() { close(opener.heard) }),
		opened: func(told string) {
			var pids [2]string
			copy(pids[:], strings.Fields(told))
			c.gate.pids.Store(&pids)
			if watchdog := pids[1]; watchdog != "" && c.relay != nil {
				go c.relayHeartbeats(ctx, watchdog)
			}
		}}
}

// askAgainTime is how long the gate has to answer before it is asked again.
const askAgainTime = 500 * time.Millisecond

// gateOpener is the input of a command behind a gate. It asks the gate until it has answered, and then tells
// it to open. After that it is the user's input.
type gateOpener struct {
	io.Reader
	size  func() string // of the terminal
	heard chan struct{} // closed when the gate has answered
	asked bool
	over  bool
}

// Read returns a line for the gate, or what the user types.
func (o *gateOpener) Read(p []byte) (int, error) {
	if o.over {
		return o.Reader.Read(p)
	}
	if o.asked {
		select {
		case <-o.heard:
			o.over = true
			return copy(p, strings.TrimSpace(tellGo+" "+o.size())+"\n"), nil
		case <-time.After(askAgainTime):
		}
	}
	o.asked = true
	return copy(p, "\n"), nil
}

// relayHeartbeats sends heartbeats to the watchdog until ctx ends, over one stream after another: the
// watchdog waits for a client whose connection is lost.
func (c *Client) relayHeartbeats(ctx context.Context, watchdog string) {
	command := append(slices.Clone(c.relay), watchdog)
	c.gate.hear() // the watchdog has just started
	for ctx.Err() == nil {
		in, beats := io.Pipe()
		ended := make(chan struct{})
		go beat(beats, c.HeartbeatInterval(), ended)
		try, giveUp := context.WithCancel(ctx)
		patience := time.AfterFunc(2*c.HeartbeatInterval(), giveUp)
		streams := remotecommand.StreamOptions{Stdin: in, Stdout: acknowledgements(func() {
			patience.Reset(2 * c.HeartbeatInterval())
			c.gate.hear()
		})}
		_ = c.streams.Exec(try, c.container, command, streams) // the session does not end with this stream
		hung := try.Err() != nil
		patience.Stop()
		giveUp()
		close(ended)
		in.Close()
		if hung {
			continue
		}
		select {
		case <-time.After(c.HeartbeatInterval()):
		case <-ctx.Done():
		}
	}
}

// acknowledgements is called when the relay has passed a heartbeat on.
type acknowledgements func()

func (f acknowledgements) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}
