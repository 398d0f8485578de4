package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// Killed is the exit status of a process that got SIGKILL. A shell ends with it when its container ends.
const Killed = 128 + 9

// Client is the client's end of an agent. Only one goroutine at a time may use it.
type Client struct {
	*Agent
	// Told is called with a line that came through the command's stream before its script began; nil: nobody
	// wants to know. It may be called from any goroutine.
	Told func(line string)

	streams   stream.Client
	container stream.Container

	holder    *holder // while it is attached
	gate      gate
	begun     atomic.Bool // the command has been reported to begin
	endUntold atomic.Bool // the command's end will not be reported: its container has no random id
}

// TellsEnd reports whether the command's end and exit status are reported, as far as is known.
func (c *Client) TellsEnd() bool { return c.Agent.TellsEnd() && !c.endUntold.Load() }

// TellsBegin reports whether the command's beginning is reported, and HasBegun whether it has been. HasBegun
// may be called from any goroutine.
func (c *Client) TellsBegin() bool { return c.HasGate() || c.Agent.TellsEnd() || c.envEnd != "" }

// HasBegun reports whether the command has been reported to begin.
func (c *Client) HasBegun() bool { return c.begun.Load() || c.IsOpen() }

// NewClient returns a client of the agent in a container.
func NewClient(a *Agent, streams stream.Client, c stream.Container) *Client {
	return &Client{Agent: a, streams: streams, container: c}
}

// Exec runs the command beside the container's process, until ctx ends. told is the command's exit status, or
// nil if the command did not report it. err is the error with which the stream ended. size is called for the
// terminal's size when the command starts.
func (c *Client) Exec(ctx context.Context, streams remotecommand.StreamOptions,
	size func() string) (told *int, err error) {
	reads := streams.Stdin != nil
	if c.envEnd != "" {
		streams.Stdout = c.afterEnv(streams.Stdout)
	}
	return c.UntilEnd(ctx, streams, func(ctx context.Context, streams remotecommand.StreamOptions) error {
		if len(c.env) > 0 {
			streams.Stdin = c.withEnv(streams.Stdin, reads)
		}
		if c.HasGate() {
			c.throughGate(ctx, &streams, size)
		}
		return c.streams.Exec(ctx, c.container, c.commandAt(size()), streams)
	})
}

// Attach attaches to a command that waits behind a gate as the container's process, until ctx ends.
func (c *Client) Attach(ctx context.Context, streams remotecommand.StreamOptions, size func() string) error {
	c.throughGate(ctx, &streams, size)
	return c.streams.Attach(ctx, c.container, streams)
}

// Stop ends the command, or the container's process, in the way that fits how the client is connected to it.
// It returns when that has ended, and may be called again if it fails.
func (c *Client) Stop(ctx context.Context) error {
	switch {
	case c.Detached:
		return StopIdler(ctx, c.streams, c.container)
	case c.holder != nil:
		attached := c.holder
		c.holder = nil // a lost stream does not come back: the next attempt attaches again
		defer attached.disconnect()
		attached.beats.Close()
		select {
		case <-attached.ended: // it ends with its container
			return attached.err
		case <-ctx.Done():
			return ctx.Err()
		}
	case c.IsOpen():
		return c.killCommand(ctx)
	}
	// A holder or a gate that has received nothing from this client yet ends at the end of its input. On a
	// terminal, the end is a character. Without a terminal, the character does not make a line either.
	return c.streams.Attach(ctx, c.container, remotecommand.StreamOptions{
		Stdin: strings.NewReader("\x04"), Stdout: io.Discard, Tty: c.TTY && c.Via == ViaAttach,
	})
}

// killCommand ends the gate's process and what it has started: the end of a terminal does not reach them
// (containerd closes stdin only without a TTY). If the gate is the container's own process, everything else
// ends with the container, including the shell that kills it.
func (c *Client) killCommand(ctx context.Context) error {
	command := append(slices.Clone(c.kill), c.gate.pids.Load()[:]...)
	err := c.streams.Exec(ctx, c.container, command,
		remotecommand.StreamOptions{Stdout: io.Discard, Stderr: io.Discard})
	var exit exec.CodeExitError
	if errors.As(err, &exit) && exit.Code == Killed {
		return nil
	}
	return err
}

// IsRefused reports whether the server refuses, within the given time, to run anything in the container of a
// command that has begun. The server knows that a container has ended before the pod's status shows it.
func (c *Client) IsRefused(ctx context.Context, within time.Duration) bool {
	if len(c.relay) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	nothing := append(slices.Clone(c.relay), "") // without stdin there is no heartbeat to pass on
	err := c.streams.Exec(ctx, c.container, nothing,
		remotecommand.StreamOptions{Stdout: io.Discard, Stderr: io.Discard})
	_, hasRun := errors.AsType[exec.CodeExitError](err)
	return ctx.Err() == nil && stream.IsAnswer(err) && !hasRun
}

// Stay tells an idler to live for as long as it is allowed to: its client is about to leave. Stay attaches to
// stdin alone. Such a stream ends when all of the input has been taken.
func (c *Client) Stay(ctx context.Context) error {
	return c.streams.Attach(ctx, c.container, remotecommand.StreamOptions{Stdin: strings.NewReader(tellStay)})
}

// StopIdler ends the process of a detached session, and returns when it has ended. It keeps stdin open:
// without stdinOnce the stream would end with stdin, not with the container.
func StopIdler(ctx context.Context, streams stream.Client, container stream.Container) error {
	in, words := io.Pipe()
	defer in.Close()
	go func() { _, _ = io.WriteString(words, tellEnd) }()
	return streams.Attach(ctx, container, remotecommand.StreamOptions{Stdin: in, Stdout: io.Discard})
}

// holder is the client's end of the holder in the container. The session lives as long as it is attached and
// sends heartbeats.
type holder struct {
	beats      *io.PipeWriter
	disconnect func()        // breaks the stream off
	isOpen     chan struct{} // closed when the stream has opened or ended
	stays      chan struct{} // closed when the holder has answered that it stays
	ended      chan struct{} // closed when the stream has ended
	err        error         // how it has ended; read it only after ended is closed
}

// AttachHolder attaches to the holder. The stream outlives ctx. Only Stop ends it. opened is closed when it
// has opened or ended.
func (c *Client) AttachHolder(ctx context.Context) (opened <-chan struct{}) {
	in, beats := io.Pipe()
	lasting, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	h := &holder{beats: beats, disconnect: disconnect, isOpen: make(chan struct{}),
		stays: make(chan struct{}), ended: make(chan struct{})}
	open := sync.OnceFunc(func() { close(h.isOpen) })
	go func() {
		defer close(h.ended)
		defer open()
		// stdout is requested although the holder prints nothing else: it ends with the container. A stream
		// of stdin alone ends with its own input. It may open late: the stream of the command, or its own
		// client, ends a session that waits too long. A second attempt beside a first one that is still
		// answered would end the container's input.
		patient := stream.WithOpening(lasting, stream.Opening{Within: stream.Patience})
		h.err = c.streams.Attach(patient, c.container,
			remotecommand.StreamOptions{Stdin: &opening{in, open},
				Stdout: &lineReader{line: staying, read: sync.OnceFunc(func() { close(h.stays) })}})
		in.Close()
	}()
	go beat(beats, c.HeartbeatInterval(), h.ended)
	c.holder = h
	return h.isOpen
}

// AwaitHolder waits until the holder's stream has opened or ended, if there is one, or ctx ends. containerd
// (2.2.3) does not end a container whose attach was broken off while it opened: it waits for the reply to a
// stream of SPDY for ever (WriterGroup.Remove), and the pod stays. A WebSocket opens a moment before the node
// asks containerd, so this makes the hang rarer and does not exclude it.
func (c *Client) AwaitHolder(ctx context.Context) {
	if c.holder == nil {
		return
	}
	select {
	case <-c.holder.isOpen:
	case <-ctx.Done():
	}
}

// stayTime is how long a holder may take to answer tellStay. In dash a signal passes it on, which can be lost
// and is repeated after a second.
const stayTime = 5 * time.Second

// LetStay makes the container's process live without its client, until its container is ended. By attach, the
// terminal keeps it alive anyway.
func (c *Client) LetStay(ctx context.Context) error {
	attached := c.holder
	if attached == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stayTime)
	defer cancel()
	go func() { _, _ = io.WriteString(attached.beats, tellStay) }() // ends with the stream
	select {
	case <-attached.stays:
		return nil
	case <-attached.ended:
		return errors.New("the connection to it has ended")
	case <-ctx.Done():
		return fmt.Errorf("the process that keeps it alive did not answer within %s; "+
			"it needs a sleep in the image's PATH", stayTime)
	}
}

// HolderEnded reports whether the holder's stream ends within the given time and before ctx does, and with
// which error.
func (c *Client) HolderEnded(ctx context.Context, within time.Duration) (bool, error) {
	select {
	case <-c.holder.ended:
		return true, c.holder.err
	case <-time.After(within):
	case <-ctx.Done():
	}
	return false, nil
}

// beat sends a heartbeat at regular intervals until the stream has ended.
func beat(beats io.Writer, every time.Duration, ended <-chan struct{}) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if _, err := io.WriteString(beats, "\n"); err != nil {
			return
		}
		select {
		case <-ticker.C:
		case <-ended:
			return
		}
	}
}
