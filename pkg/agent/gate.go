package agent

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
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

// silentFor returns how long ago the watchdog last acknowledged a heartbeat.
func (g *gate) silentFor() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Now().Round(0).Sub(g.heard)
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
	streams.Stdout = &gateReader{Writer: streams.Stdout, mark: c.gateMark, before: c.newPreface(),
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

// mostRelays is how many streams of heartbeats are requested at the same time, if none of them is answered.
const mostRelays = 4

// relayHeartbeats sends heartbeats to the watchdog until ctx ends, over one stream after another: the
// watchdog waits for a client whose connection is lost. A request for a stream may take longer than the
// watchdog waits, so another is sent meanwhile.
func (c *Client) relayHeartbeats(ctx context.Context, watchdog string) {
	command := append(slices.Clone(c.relay), watchdog)
	patience := 2 * c.HeartbeatInterval()
	c.gate.hear()                                   // the watchdog has just started
	ctx = stream.WithOpening(ctx, stream.Opening{}) // not like the command's
	relays := relays{all: map[int]context.CancelFunc{}}
	slots := make(chan struct{}, mostRelays)
	for ctx.Err() == nil {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		try, n := relays.add(ctx)
		go func() {
			defer func() { relays.end(n); <-slots }()
			c.relayOnce(try, command, patience, func() { relays.keep(n) })
		}()
		c.awaitSilence(ctx, patience)
	}
}

// awaitSilence returns when no heartbeat has been acknowledged for as long as patience, or ctx ends.
func (c *Client) awaitSilence(ctx context.Context, patience time.Duration) {
	tick := time.NewTicker(c.HeartbeatInterval())
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if c.gate.silentFor() >= patience {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// relayOnce sends heartbeats over one stream. One that has opened and acknowledges none is given up.
func (c *Client) relayOnce(ctx context.Context, command []string, patience time.Duration, works func()) {
	try, giveUp := context.WithCancel(ctx)
	defer giveUp()
	in, beats := io.Pipe()
	defer in.Close()
	ended := make(chan struct{})
	defer close(ended)
	go beat(beats, c.HeartbeatInterval(), ended)
	late := time.AfterFunc(patience, giveUp)
	late.Stop() // until it has opened
	defer late.Stop()
	first := sync.OnceFunc(works)
	_ = c.streams.Exec(try, c.container, command, remotecommand.StreamOptions{
		Stdin: &opening{ReadCloser: in, opened: sync.OnceFunc(func() { late.Reset(patience) })},
		Stdout: acknowledgements(func() {
			late.Reset(patience)
			c.gate.hear()
			first()
		}),
	}) // the session does not end with this stream
}

// relays are the streams of heartbeats that have been requested.
type relays struct {
	mu   sync.Mutex
	next int
	all  map[int]context.CancelFunc
}

func (r *relays) add(ctx context.Context) (context.Context, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	try, cancel := context.WithCancel(ctx)
	r.next++
	r.all[r.next] = cancel
	return try, r.next
}

// keep ends all but one, which works.
func (r *relays) keep(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for other, cancel := range r.all {
		if other != n {
			cancel()
		}
	}
}

func (r *relays) end(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[n]()
	delete(r.all, n)
}

// opening is a stream's input, which is read when the stream is open.
type opening struct {
	io.ReadCloser
	opened func()
}

// Read reports that the stream is open.
func (o *opening) Read(p []byte) (int, error) {
	o.opened()
	return o.ReadCloser.Read(p)
}

// lineReader calls read when it has read a line.
type lineReader struct {
	line string
	read func()
	rest []byte // of the last line
}

func (r *lineReader) Write(p []byte) (int, error) {
	r.rest = append(r.rest, p...)
	for {
		line, rest, found := bytes.Cut(r.rest, []byte("\n"))
		if !found {
			r.rest = r.rest[max(len(r.rest)-len(r.line)-1, 0):] // a longer line is another
			return len(p), nil
		}
		if string(line) == r.line {
			r.read()
		}
		r.rest = rest
	}
}

// acknowledgements is called when the relay has passed a heartbeat on.
type acknowledgements func()

func (f acknowledgements) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}
