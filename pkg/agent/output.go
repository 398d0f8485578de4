package agent

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/remotecommand"
)

// drainTime is how long a command that has ended may send nothing before its stream is considered endless,
// and drainLimit is how long the client waits in all. containerd can lose the end of an input that comes
// while the process starts, and drainScript would then wait for it forever. Also, what the command left in
// the background keeps its output open.
const (
	drainTime  = 5 * time.Second
	drainLimit = time.Minute
)

// UntilEnd carries a stream. If the agent's command reports its end before its stream ends, told is its exit
// status. Its input is then ended, so that what is still in transit in either direction arrives. It is not an
// error if the stream has to be cut after that.
func (c *Client) UntilEnd(ctx context.Context, streams remotecommand.StreamOptions,
	carry func(context.Context, remotecommand.StreamOptions) error) (told *int, err error) {
	if !c.TellsEnd() {
		return nil, carry(ctx, streams)
	}
	limited, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	stdin, endInput := newInput(streams.Stdin)
	rest := &draining{cut: func() { cut(errDrained) }, left: drainLimit}
	var status atomic.Pointer[int]
	ending := sync.OnceFunc(func() {
		endInput()
		rest.begin()
	})
	stderr := &statusFilter{Writer: rest.writer(streams.Stderr), tag: c.endTag,
		began: func(mark string) {
			c.begun.Store(true)
			c.endUntold.Store(mark == "")
		},
		ended: func(n int) {
			status.Store(&n)
			ending()
		}}
	if streams.Stdin != nil {
		streams.Stdin = stdin
	}
	streams.Stdout, streams.Stderr = rest.writer(streams.Stdout), stderr
	err = carry(limited, streams)
	switch {
	case limited.Err() == nil: // otherwise nobody wants the rest
		stderr.end()
	case ctx.Err() == nil && errors.Is(context.Cause(limited), errDrained):
		err = nil
	}
	return status.Load(), err
}

var errDrained = errors.New("nothing more came")

// draining is the output of a command that may have ended. It limits the time spent waiting for output, but
// not the time that the user's own reader takes.
type draining struct {
	cut func()

	mu      sync.Mutex
	clock   *time.Timer // nil: the command has not ended
	since   time.Time   // when it was last started
	left    time.Duration
	writing int
}

type drainingWriter struct {
	*draining
	to io.Writer
}

func (d *draining) writer(to io.Writer) io.Writer { return drainingWriter{d, to} }

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

// count counts the writes in progress. While there are any, the clock stands still.
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

// statusFilter removes the line that reports the command's end from stderr, and calls ended with its status.
type statusFilter struct {
	io.Writer
	tag   string
	began func(mark string) // empty: the end will not be told
	ended func(status int)

	mu     sync.Mutex
	mark   string // empty: not told yet
	untold bool   // it will not be told: everything is the command's
	held   []byte // the beginning of what may be a line of the script's
}

// longestWord is how long the word of such a line may be: a mark, a status.
const longestWord = 40

var (
	markWord   = regexp.MustCompile(`^([0-9a-f-]{36})?$`)
	statusWord = regexp.MustCompile(`^[0-9]{1,3}$`)
	pidWords   = regexp.MustCompile(`^[0-9]+( [0-9]+)?$`)
)

// Write passes on all but the script's lines.
func (f *statusFilter) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = append(f.held, p...)
	for {
		if f.untold {
			return len(p), f.flush(len(f.held))
		}
		head := []byte(cmp.Or(f.mark, f.tag))
		at := bytes.Index(f.held, head)
		if at < 0 {
			return len(p), f.flush(len(f.held) - overlap(f.held, head))
		}
		if err := f.flush(at); err != nil {
			return len(p), err
		}
		word := f.held[len(head):min(len(f.held), len(head)+longestWord)]
		end := bytes.IndexByte(word, '\n')
		switch {
		case end >= 0 && f.understands(string(word[:end])):
			f.held = f.held[len(head)+end+1:]
		case end < 0 && len(word) < longestWord:
			return len(p), nil
		default: // it is the command's
			if err := f.flush(len(head)); err != nil {
				return len(p), err
			}
		}
	}
}

// understands takes in a word of the script's, if it is one.
func (f *statusFilter) understands(word string) bool {
	if f.mark != "" {
		status, _ := strconv.Atoi(word)
		if statusWord.MatchString(word) {
			f.ended(status)
		}
		return statusWord.MatchString(word)
	}
	if !markWord.MatchString(word) {
		return false
	}
	f.began(word)
	f.mark, f.untold = endMark(word), word == ""
	return true
}

// endMark begins the line that tells the end, in the words of drainScript.
func endMark(id string) string { return "\x1e" + id + " " }

// end passes on what is held. A stream that was given up may still be written to.
func (f *statusFilter) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.flush(len(f.held))
}

// flush passes on the first n of the held bytes. It is called with mu held.
func (f *statusFilter) flush(n int) error {
	if n == 0 {
		return nil
	}
	_, err := f.Writer.Write(f.held[:n])
	f.held = f.held[n:]
	return err
}

// gateReader drops everything up to the line that begins with mark: what the terminal echoed, and what a
// shell printed while it started. It calls opened with the rest of that line. Before that, each line that
// begins with mark and ends with gateReady means that the gate is there, and gateReader calls ready.
type gateReader struct {
	io.Writer
	mark   string
	ready  func()
	opened func(rest string)

	head []byte // from where the mark may begin
	open bool
}

// longestRest is how long the rest of the mark's line may be: two PIDs.
const longestRest = 64

// Write passes on what comes after the mark's line.
func (g *gateReader) Write(p []byte) (int, error) {
	if g.open {
		return g.Writer.Write(p)
	}
	g.head = append(g.head, p...)
	for !g.open {
		_, after, found := bytes.Cut(g.head, []byte(g.mark))
		if !found {
			g.head = bytes.Clone(g.head[len(g.head)-overlap(g.head, []byte(g.mark)):])
			return len(p), nil
		}
		line, rest, whole := bytes.Cut(after, []byte("\n"))
		switch line := string(bytes.TrimSpace(line)); {
		case !whole && len(after) < longestRest:
			return len(p), nil
		case whole && line == gateReady:
			g.head = rest
			g.ready()
		case whole && pidWords.MatchString(line):
			g.head, g.open = rest, true
			g.opened(line)
		default: // it is not the gate's
			g.head = after
		}
	}
	after := g.head
	g.head = nil
	if len(after) > 0 {
		if _, err := g.Writer.Write(after); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// overlap returns the length of the longest suffix of before that is a prefix of after.
func overlap(before, after []byte) int {
	for n := min(len(before), len(after)); n > 0; n-- {
		if bytes.Equal(before[len(before)-n:], after[:n]) {
			return n
		}
	}
	return 0
}

// newInput returns the user's stdin as a session reads it. in may be nil. After a call to end, a read that is
// waiting, or the next one, returns the end of the input, even if a read of in is still waiting.
func newInput(in io.Reader) (stdin io.Reader, end func()) {
	r, w := io.Pipe()
	if in != nil {
		go func() {
			_, err := io.Copy(w, in)
			w.CloseWithError(err)
		}()
	}
	return r, func() { w.Close() }
}
