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

// Console is the user's terminal, lent to one stream after another. A stream that is over still waits for
// keys and sizes. Without the console it would take the first ones from its successor.
type Console struct {
	streams remotecommand.StreamOptions
	keys    chan []byte
	keysErr error // read it only after keys is closed

	listening sync.Once   // from the first stream's opening on
	heard     atomic.Bool // a stream takes the keys
	silent    atomic.Bool // it is not the first, and has brought nothing yet
	interrupt func()      // called on Ctrl-C while no stream takes the keys, or answers it

	mu    sync.Mutex
	size  *remotecommand.TerminalSize // the newest
	newer chan struct{}               // closed when there is a newer one
	lent  bool                        // it has been lent before
}

const (
	ctrlC = '\x03' // what a raw terminal sends for Ctrl-C
	// ahead is how many keys are read while no stream takes them: Ctrl-C must be seen behind others.
	ahead = 1024
)

// NewConsole takes over the streams' stdin and sizes. interrupt is called on Ctrl-C while no stream takes the
// keys.
func NewConsole(streams remotecommand.StreamOptions, interrupt func()) *Console {
	c := &Console{streams: streams, interrupt: interrupt, keys: make(chan []byte, ahead),
		newer: make(chan struct{})}
	if streams.TerminalSizeQueue != nil {
		go c.measure(streams.TerminalSizeQueue)
	}
	return c
}

func (c *Console) listen(in io.Reader) {
	defer close(c.keys)
	for {
		buffer := make([]byte, 4096)
		n, err := in.Read(buffer)
		if bytes.ContainsRune(buffer[:n], ctrlC) {
			c.hearCtrlC()
		}
		if n > 0 {
			c.keys <- buffer[:n]
		}
		if err != nil {
			c.keysErr = err
			return
		}
	}
}

// hearCtrlC interrupts if nobody else can: there is no stream, or one that hangs behind an API server that
// has opened it before the node did.
func (c *Console) hearCtrlC() {
	switch {
	case !c.heard.Load():
		c.interrupt()
	case c.silent.Load():
		time.AfterFunc(answerTime, func() {
			if c.silent.Load() {
				c.interrupt()
			}
		})
	}
}

func (c *Console) measure(sizes remotecommand.TerminalSizeQueue) {
	for size := sizes.Next(); size != nil; size = sizes.Next() {
		c.mu.Lock()
		c.size = size
		close(c.newer)
		c.newer = make(chan struct{})
		c.mu.Unlock()
	}
}

// Lend lends the console to a stream. began is called when the stream is open, since client-go reads its
// input only from then on. A second stream finds a screen that may show anything. It makes the program on the
// screen draw it again, by sending another size for a moment, as kubectl attach does.
func (c *Console) Lend(began func()) (streams remotecommand.StreamOptions, giveBack func()) {
	l := &loan{Console: c, began: began, over: make(chan struct{}), redraw: c.lent}
	c.lent = true
	streams = c.streams
	streams.Stdin = l
	if streams.TerminalSizeQueue != nil {
		streams.TerminalSizeQueue = l
	}
	return streams, func() {
		c.heard.Store(false)
		close(l.over)
	}
}

// Reattach lends the console to one more stream of a container until that ends. back is called once the
// connection is back: when something comes, or when the stream has lasted.
func (c *Console) Reattach(ctx context.Context, client Client, to Container, back func()) error {
	back = sync.OnceFunc(back)
	lasted := time.AfterFunc(nodeTimeout, back)
	lasted.Stop() // until the stream is open
	defer lasted.Stop()
	streams, giveBack := c.Lend(func() { lasted.Reset(nodeTimeout) })
	defer giveBack()
	c.silent.Store(true)
	defer c.silent.Store(false)
	streams.Stdout = &arrival{streams.Stdout, func() {
		c.silent.Store(false)
		back()
	}}
	return client.Attach(ctx, to, streams)
}

// arrival calls came before it passes output on.
type arrival struct {
	io.Writer
	came func()
}

func (a *arrival) Write(p []byte) (int, error) {
	if len(p) > 0 {
		a.came()
	}
	return a.Writer.Write(p)
}

// redrawTime is how long the other size lasts. A program that is notified of two changes at once sees no
// change.
const redrawTime = 200 * time.Millisecond

// loan is the console while one stream has it.
type loan struct {
	*Console
	over chan struct{}

	began  func()
	once   sync.Once
	rest   []byte // the keys that did not fit into the last read
	redraw bool
	pause  time.Duration // before the next size
	told   remotecommand.TerminalSize
}

// Read returns the keys that are typed while the loan lasts.
func (l *loan) Read(p []byte) (int, error) {
	select {
	case <-l.over: // the keys belong to its successor
		return 0, io.EOF
	default:
	}
	l.once.Do(func() {
		l.heard.Store(true)
		l.listening.Do(func() { go l.listen(l.streams.Stdin) })
		l.began()
	})
	if len(l.rest) == 0 {
		select {
		case <-l.over:
			return 0, io.EOF
		case keys, more := <-l.keys:
			if !more {
				return 0, l.keysErr
			}
			l.rest = keys
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// Next returns the newest size that it has not returned yet, or nil when the loan is over.
func (l *loan) Next() *remotecommand.TerminalSize {
	for {
		l.mu.Lock()
		size, newer := l.size, l.newer
		l.mu.Unlock()
		switch {
		case size != nil && l.redraw:
			l.redraw, l.pause = false, redrawTime
			return &remotecommand.TerminalSize{Width: size.Width + 1, Height: size.Height + 1}
		case size != nil && *size != l.told:
			select {
			case <-time.After(l.pause):
			case <-l.over:
				return nil
			}
			l.pause, l.told = 0, *size
			return size
		}
		select {
		case <-newer:
		case <-l.over:
			return nil
		}
	}
}
