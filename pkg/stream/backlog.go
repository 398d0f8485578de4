package stream

import (
	"bytes"
	"context"
	"io"
	"sync"
	"sync/atomic"

	"k8s.io/client-go/tools/remotecommand"
)

// AttachLate attaches to a command that has started without waiting for us. What it said before is
// in the container's log, which is read once the stream is open: the stream's output and the user's
// input are held back until then, and what both have is shown once. Two limits: the log does not
// tell stderr from stdout, so what comes from it goes to stdout; and output that repeats itself in
// the very moment of attaching cannot be told from output that both have.
func AttachLate(ctx context.Context, client Client, c Container, streams remotecommand.StreamOptions,
	log func() []byte) (*Backlog, error) {
	late := newBacklog(streams.Stdout, streams.Tty, log)
	opened := sync.OnceFunc(func() { close(late.opened) })
	streams.Stdin, streams.Stdout = backlogReader{late, streams.Stdin, opened}, late.writer(streams.Stdout)
	if streams.Stderr != nil {
		streams.Stderr = late.writer(streams.Stderr)
	}
	ended := make(chan error, 1)
	go func() { ended <- client.Attach(ctx, c, streams) }()
	select {
	case <-late.opened:
		late.CatchUp()
		return late, <-ended
	case err := <-ended:
		if late.HasSpoken() {
			late.CatchUp()
		}
		return late, err
	}
}

// Backlog holds output back until it is known what came before it, and the input with it.
type Backlog struct {
	out      io.Writer     // for what came before
	terminal bool          // it came from a terminal
	log      func() []byte // where it is

	opened   chan struct{} // closed when the stream is open
	released chan struct{} // closed when the input may go
	typed    atomic.Bool   // some of it has gone

	mu    sync.Mutex
	spoke bool // something came through the stream
	held  []chunk
	shown int // how much of the log
}

func newBacklog(out io.Writer, terminal bool, log func() []byte) *Backlog {
	return &Backlog{out: out, terminal: terminal, log: log, opened: make(chan struct{}),
		released: make(chan struct{})}
}

type chunk struct {
	to    io.Writer
	bytes []byte
}

type backlogWriter struct {
	*Backlog
	to io.Writer
}

func (b *Backlog) writer(to io.Writer) io.Writer { return backlogWriter{b, to} }

// Write holds p back, or passes it on after the release. The first that comes then says when the runtime
// has attached, which may be long after it opened the stream: what the command said in between is in the
// log.
func (w backlogWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := len(p) > 0 && !w.spoke
	w.spoke = w.spoke || first
	if w.isReleased() && !first {
		return w.to.Write(p)
	}
	w.held = append(w.held, chunk{w.to, bytes.Clone(p)})
	if w.isReleased() {
		w.show(w.log())
	}
	return len(p), nil
}

// HasSpoken reports whether something came through the stream.
func (b *Backlog) HasSpoken() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spoke
}

// HasTyped reports whether some of the user's input has gone through it.
func (b *Backlog) HasTyped() bool { return b.typed.Load() }

func (b *Backlog) isReleased() bool {
	select {
	case <-b.released:
		return true
	default:
		return false
	}
}

// CatchUp shows what the log has, and lets the input and the output go.
func (b *Backlog) CatchUp() {
	log := b.log()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.show(log)
	if !b.isReleased() {
		close(b.released)
	}
}

// show writes what of log was not written before and comes before the held output, then the held output.
// It is called with mu held. A write that fails has ended the session by itself.
func (b *Backlog) show(log []byte) {
	var held []byte
	for _, c := range b.held {
		held = append(held, c.bytes...)
	}
	log = newlines(log) // the kubelet ends each line with \n, whatever the container wrote
	missed := log[min(b.shown, len(log)):]
	missed = missed[:begin(missed, newlines(held))]
	b.shown = len(log)
	if b.terminal {
		missed = bytes.ReplaceAll(missed, []byte("\n"), []byte("\r\n"))
	}
	_, _ = b.out.Write(missed)
	for _, c := range b.held {
		_, _ = c.to.Write(c.bytes)
	}
	b.held = nil
}

// begin is where in log the stream's output begins, of which the log may have less or more already: its
// length, if the log has none of it.
func begin(log, stream []byte) int {
	for n := range log {
		if len(stream) > 0 && (bytes.HasPrefix(stream, log[n:]) || bytes.HasPrefix(log[n:], stream)) {
			return n
		}
	}
	return len(log)
}

func newlines(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")) }

type backlogReader struct {
	*Backlog
	from io.Reader
	open func()
}

// Read tells that the stream is open, since client-go reads from then on, and has nothing to give
// before the release.
func (r backlogReader) Read(p []byte) (int, error) {
	r.open()
	<-r.released
	n, err := r.from.Read(p)
	if n > 0 {
		r.typed.Store(true)
	}
	return n, err
}
