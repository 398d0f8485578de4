package session

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/remotecommand"
)

// drainTime is how long nothing may come from a command that has ended until its stream is taken to have
// no end. containerd can lose the end of an input that comes while the process starts; the drain then
// waits for it for ever.
const drainTime = 5 * time.Second

// untilEnd carries a stream. If the plan's command tells its end before its stream ends, told is its exit
// status; its input is ended then, so that what is still on the way either way comes through.
func (s *session) untilEnd(ctx context.Context, streams remotecommand.StreamOptions, carry func(context.Context, remotecommand.StreamOptions) error) (told *int, err error) {
	if s.plan.End == "" {
		return nil, carry(ctx, streams)
	}
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	stdin, stdout := newInput(streams.Stdin), &draining{Writer: streams.Stdout, cut: cut}
	var status atomic.Pointer[int]
	stderr := &ending{Writer: streams.Stderr, mark: s.plan.End, ended: func(n int) {
		status.Store(&n)
		stdin.end()
		stdout.begin()
	}}
	if streams.Stdin != nil {
		streams.Stdin = stdin
	}
	streams.Stdout, streams.Stderr = stdout, stderr
	err = carry(ctx, streams)
	if ctx.Err() == nil { // otherwise the streams may still be written to
		_ = stderr.flush(len(stderr.held))
	}
	return status.Load(), err
}

// draining is the output of a command that may have ended: its reader may be slow to take what is left.
type draining struct {
	io.Writer
	cut func()

	mu      sync.Mutex
	writing bool
	clock   *time.Timer // nil: the command has not ended
}

// begin cuts the stream when nothing has come for drainTime.
func (d *draining) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clock = time.AfterFunc(drainTime, d.cut)
	d.wind()
}

// Write passes p on.
func (d *draining) Write(p []byte) (int, error) {
	d.set(true)
	defer d.set(false)
	return d.Writer.Write(p)
}

func (d *draining) set(writing bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writing = writing
	d.wind()
}

func (d *draining) wind() {
	switch {
	case d.clock == nil:
	case d.writing:
		d.clock.Stop()
	default:
		d.clock.Reset(drainTime)
	}
}
