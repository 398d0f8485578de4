package agent

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/remotecommand"
)

// drainTime is how long nothing may come from a command that has ended until its stream is taken to have
// no end, and drainLimit how long may be waited in all. containerd can lose the end of an input that
// comes while the process starts; the drain then waits for it for ever. And what the command left in the
// background keeps its output open.
const (
	drainTime  = 5 * time.Second
	drainLimit = time.Minute
)

// UntilEnd carries a stream. If the agent's command tells its end before its stream ends, told is its exit
// status; its input is ended then, so that what is still on the way either way comes through. A stream
// that had to be cut after that is no error.
func (c *Client) UntilEnd(ctx context.Context, streams remotecommand.StreamOptions,
	carry func(context.Context, remotecommand.StreamOptions) error) (told *int, err error) {
	if !c.TellsEnd() {
		return nil, carry(ctx, streams)
	}
	limited, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	stdin, rest := newInput(streams.Stdin), &draining{cut: func() { cut(errDrained) }, left: drainLimit}
	var status atomic.Pointer[int]
	stderr := &statusFilter{Writer: rest.writer(streams.Stderr), mark: c.endMark, ended: func(n int) {
		status.Store(&n)
		stdin.end()
		rest.begin()
	}}
	if streams.Stdin != nil {
		streams.Stdin = stdin
	}
	streams.Stdout, streams.Stderr = rest.writer(streams.Stdout), stderr
	err = carry(limited, streams)
	switch {
	case limited.Err() == nil: // otherwise the streams may still be written to
		_ = stderr.flush(len(stderr.held))
	case ctx.Err() == nil && errors.Is(context.Cause(limited), errDrained):
		err = nil
	}
	return status.Load(), err
}

var errDrained = errors.New("nothing more came")

// draining is the output of a command that may have ended. What it waits for is limited, not how long the
// user's own reader takes.
type draining struct {
	cut func()

	mu      sync.Mutex
	clock   *time.Timer // nil: the command has not ended
	since   time.Time   // when it was wound up
	left    time.Duration
	writing int
}

type drainingWriter struct {
	*draining
	to io.Writer
}

func (d *draining) writer(to io.Writer) io.Writer { return drainingWriter{d, to} }

// Write passes p on.
func (w drainingWriter) Write(p []byte) (int, error) {
	w.count(1)
	defer w.count(-1)
	return w.to.Write(p)
}

// begin starts the clock.
func (d *draining) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.since = time.Now()
	d.clock = time.AfterFunc(drainTime, d.cut)
	if d.writing > 0 {
		d.clock.Stop()
	}
}

// count counts the writes under way, during which the clock stands still.
func (d *draining) count(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writing += n
	switch {
	case d.clock == nil:
	case n > 0 && d.writing == 1:
		d.clock.Stop()
		d.left -= time.Since(d.since)
	case d.writing == 0:
		d.since = time.Now()
		d.clock.Reset(min(drainTime, d.left))
	}
}
