package stream

import (
	"bytes"
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/remotecommand"
)

// AttachLate attaches to a command that has started without waiting for the client. Its earlier output is in
// the container's log, which is read once the stream is open. Until then the stream's output and the user's
// input are held back. Output that is in both the log and the stream is shown once. There are three limits.
// The log does not distinguish stderr from stdout, so what comes from it goes to stdout. containerd leaves
// out a \r at the end of a line. And output that repeats itself at the very moment of attaching cannot be
// distinguished from output that is in both.
func AttachLate(ctx context.Context, client Client, c Container, streams remotecommand.StreamOptions,
	log func() []byte) (*Backlog, error) {
	late := newBacklog(streams.Stdout, streams.Tty, log)
	opened := sync.OnceFunc(func() { close(late.opened) })
	streams.Stdin, streams.Stdout = backlogReader{late, streams.Stdin, opened}, late.writer(streams.Stdout)
	if streams.Stderr != nil {
		streams.Stderr = late.writer(streams.Stderr)
	}
	ended := make(chan error, 1)
	go func() {
		defer close(late.over)
		ended <- client.Attach(ctx, c, streams)
	}()
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

// Backlog holds output back until it is known what came before it. It also holds the input back.
type Backlog struct {
	out      io.Writer     // for the earlier output
	terminal bool          // the earlier output came from a terminal
	log      func() []byte // returns the log with the earlier output

	opened   chan struct{} // closed when the stream is open
	over     chan struct{} // closed when the stream has ended
	released chan struct{} // closed when the input may pass
	typed    atomic.Bool   // some of the input has passed

	mu    sync.Mutex
	spoke bool // something came through the stream
	held  []chunk
	size  int // of held, in bytes
	shown int // how much of the log has been shown
}

func newBacklog(out io.Writer, terminal bool, log func() []byte) *Backlog {
	return &Backlog{out: out, terminal: terminal, log: log, opened: make(chan struct{}),
		over: make(chan struct{}), released: make(chan struct{})}
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

// mostHeld is how many bytes are held back. A command that prints more has to wait until the log has been
// read.
const mostHeld = 8 << 20

// Write holds p back, or passes it on after the release. The first output after the release shows that the
// runtime has attached, which may be long after it opened the stream. What the command printed in between is
// in the log.
func (w backlogWriter) Write(p []byte) (int, error) {
	if w.isFull() {
		<-w.released // the reading of the log is limited
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	first := len(p) > 0 && !w.spoke
	w.spoke = w.spoke || first
	if w.isReleased() && !first {
		return w.to.Write(p)
	}
	w.held, w.size = append(w.held, chunk{w.to, bytes.Clone(p)}), w.size+len(p)
	if w.isReleased() {
		w.show(w.log())
	}
	return len(p), nil
}

func (b *Backlog) isFull() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size > mostHeld
}

// HasSpoken reports whether something came through the stream.
func (b *Backlog) HasSpoken() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spoke
}

// HasTyped reports whether some of the user's input has gone through the stream.
func (b *Backlog) HasTyped() bool { return b.typed.Load() }

func (b *Backlog) isReleased() bool {
	select {
	case <-b.released:
		return true
	default:
		return false
	}
}

// CatchUp shows what is in the log, and releases the input and the output.
func (b *Backlog) CatchUp() {
	log := b.log()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.show(log)
	if !b.isReleased() {
		close(b.released)
	}
}

// logTime is how long a runtime may take to write what an ended command has printed to its log.
const logTime = time.Second

// Finish shows what is in the log of a command that has ended. If that is nothing, it reads the log once more
// after logTime. In containerd (2.2) a goroutine of its own writes the log, and the container's end is
// reported without waiting for it.
// https://github.com/containerd/containerd/blob/v2.2.3/internal/cri/io/logger.go
func (b *Backlog) Finish(ctx context.Context) {
	b.CatchUp()
	if b.hasShown() {
		return
	}
	select {
	case <-time.After(logTime):
		b.CatchUp()
	case <-ctx.Done():
	}
}

func (b *Backlog) hasShown() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.shown > 0
}

// show writes the part of log that was not written before and that precedes the held output, then the held
// output. It is called with mu held. It ignores a failed write: that has already ended the session.
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
	b.held, b.size = nil, 0
}

// begin returns where the stream's output begins in log. Either of them may have more than the other. It
// returns the length of log if the log has none of that output. It takes one pass (Knuth, Morris and Pratt):
// what a command prints may be made to look alike everywhere.
func begin(log, stream []byte) int {
	stream = stream[:min(len(stream), len(log))]
	if len(stream) == 0 {
		return len(log)
	}
	borders := make([]int, len(stream)) // of each beginning of stream: the longest end of it that is one too
	match := 0
	for i := 1; i < len(stream); i++ {
		for match > 0 && stream[i] != stream[match] {
			match = borders[match-1]
		}
		if stream[i] == stream[match] {
			match++
		}
		borders[i] = match
	}
	match = 0
	for i, b := range log {
		for match > 0 && (match == len(stream) || b != stream[match]) {
			match = borders[match-1]
		}
		if b == stream[match] {
			match++
		}
		if match == len(stream) {
			return i + 1 - match
		}
	}
	return len(log) - match
}

func newlines(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")) }

type backlogReader struct {
	*Backlog
	from io.Reader
	open func()
}

// Read signals that the stream is open, since client-go reads only from then on. It returns nothing before
// the release.
func (r backlogReader) Read(p []byte) (int, error) {
	r.open()
	select {
	case <-r.released:
	case <-r.over:
		return 0, io.EOF
	}
	n, err := r.from.Read(p)
	if n > 0 {
		r.typed.Store(true)
	}
	return n, err
}
