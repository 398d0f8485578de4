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
	pids    atomic.Pointer[[2]string]
	silence atomic.Int64 // the longest time between two heartbeats, by the wall clock
}

// IsOpen reports whether the gate has let the command start. It may be called from any goroutine.
func (c *Client) IsOpen() bool {
	pids := c.gate.pids.Load()
	return pids != nil && pids[0] != ""
}

// WasSilent reports whether the watchdog may have received nothing for as long as it waits, because the
// client was stopped or the computer was asleep.
func (c *Client) WasSilent() bool {
	return time.Duration(c.gate.silence.Load()) >= c.HeartbeatTimeout
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
	for ctx.Err() == nil {
		in, beats := io.Pipe()
		ended := make(chan struct{})
		go beat(&heartbeats{Writer: beats, gate: &c.gate}, c.HeartbeatInterval(), ended)
		streams := remotecommand.StreamOptions{Stdin: in, Stdout: io.Discard}
		_ = c.streams.Exec(ctx, c.container, command, streams) // the session does not end with this stream
		close(ended)
		in.Close()
		select {
		case <-time.After(c.HeartbeatInterval()):
		case <-ctx.Done():
		}
	}
}

// heartbeats measures the pauses between heartbeats.
type heartbeats struct {
	io.Writer
	gate *gate
	last time.Time
}

func (h *heartbeats) Write(sign []byte) (int, error) {
	now := time.Now().Round(0)
	if pause := int64(now.Sub(h.last)); !h.last.IsZero() && pause > h.gate.silence.Load() {
		h.gate.silence.Store(pause)
	}
	h.last = now
	return h.Writer.Write(sign)
}
