package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/remotecommand"
)

// attachLate attaches to a command that has started without waiting for us. What it said before is
// in the container's log, which is read once the stream is open: the stream's output and the user's
// input are held back until then, and what both have is shown once. Two limits: the log does not
// tell stderr from stdout, so what comes from it goes to stdout; and output that repeats itself in
// the very moment of attaching cannot be told from output that both have.
func (s *session) attachLate(ctx context.Context, streams remotecommand.StreamOptions) error {
	late := &backlog{out: streams.Stdout, terminal: s.plan.TTY}
	opened := &firstRead{Reader: streams.Stdin, read: make(chan struct{}), released: make(chan struct{})}
	streams.Stdin, streams.Stdout = opened, late.writer(streams.Stdout)
	if streams.Stderr != nil {
		streams.Stderr = late.writer(streams.Stderr)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Streamer.Attach(ctx, s.container(), streams) }()
	var err error
	over := false
	select {
	case <-opened.read:
	case err = <-ended:
		over = true
	}
	late.release(s.log(ctx))
	close(opened.released)
	if over && err != nil {
		return fmt.Errorf("%w: %w", errNotOpened, err)
	} else if over {
		return nil
	}
	return <-ended
}

// errNotOpened is a stream that never was: a command that has ended already has all of its output in
// the log.
var errNotOpened = errors.New("there was nothing to attach to")

func (s *session) log(ctx context.Context) []byte {
	options := &corev1.PodLogOptions{Container: s.plan.Container}
	log, err := s.Client.CoreV1().Pods(s.plan.Namespace).GetLogs(s.plan.PodName, options).DoRaw(ctx)
	if err != nil && ctx.Err() == nil {
		s.Teller.Warn("the command's first output may be missing: %v", err)
	}
	return log
}

// backlog holds output back until it is known what came before it.
type backlog struct {
	out      io.Writer // for what came before
	terminal bool      // it came from a terminal

	mu       sync.Mutex
	held     []chunk
	released bool
}

type chunk struct {
	to    io.Writer
	bytes []byte
}

type backlogWriter struct {
	*backlog
	to io.Writer
}

func (b *backlog) writer(to io.Writer) io.Writer { return backlogWriter{b, to} }

// Write holds p back, or passes it on after the release.
func (w backlogWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.released {
		return w.to.Write(p)
	}
	w.held = append(w.held, chunk{w.to, bytes.Clone(p)})
	return len(p), nil
}

// release writes what of log the held output does not have, then the held output. A write that
// fails has ended the session by itself.
func (b *backlog) release(log []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var held []byte
	for _, c := range b.held {
		held = append(held, c.bytes...)
	}
	log = newlines(log) // the kubelet ends each line with \n, whatever the container wrote
	missed := log[:len(log)-overlap(log, newlines(held))]
	if b.terminal {
		missed = bytes.ReplaceAll(missed, []byte("\n"), []byte("\r\n"))
	}
	_, _ = b.out.Write(missed)
	for _, c := range b.held {
		_, _ = c.to.Write(c.bytes)
	}
	b.held, b.released = nil, true
}

func newlines(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")) }

// overlap is the length of the longest end of before that is the beginning of after.
func overlap(before, after []byte) int {
	for n := min(len(before), len(after)); n > 0; n-- {
		if bytes.Equal(before[len(before)-n:], after[:n]) {
			return n
		}
	}
	return 0
}

// firstRead tells when it is read from, which client-go does when the stream is open, and has
// nothing to give until it is released.
type firstRead struct {
	io.Reader
	once     sync.Once
	read     chan struct{}
	released chan struct{}
}

// Read passes on.
func (r *firstRead) Read(p []byte) (int, error) {
	r.once.Do(func() { close(r.read) })
	<-r.released
	return r.Reader.Read(p)
}
