package agent

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"sync"
	"time"

	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
)

// drainTime is how long a command whose output has all come may send nothing before its stream is considered
// endless, and drainLimit is how long the client waits in all. containerd can lose the end of an input that
// comes while the process starts, and drainScript would then wait for it forever. Also, what the command left
// in the background keeps its output open. Until all of the output has come, silence may last drainLimit, and
// the client waits for arriveLimit in all: on a slow network, some megabytes are in transit.
const (
	drainTime   = 5 * time.Second
	drainLimit  = time.Minute
	arriveLimit = 10 * time.Minute
)

// UntilEnd carries a stream. told is the exit status that the agent's command reports before its stream ends,
// if it does. When it has reported its end on stdout and on stderr, all of its output has come. Its input is
// then ended, so that what is still in transit to it is read, and it is no error any more if the stream
// breaks or has to be cut.
func (c *Client) UntilEnd(ctx context.Context, streams remotecommand.StreamOptions,
	carry func(context.Context, remotecommand.StreamOptions) error) (told *int, err error) {
	if !c.TellsEnd() {
		return nil, carry(ctx, streams)
	}
	limited, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	stdin, endInput := newInput(streams.Stdin)
	defer endInput()
	rest := &draining{cut: func() { cut(errDrained) }}
	end := &reportedEnd{some: func() { rest.begin(drainLimit, arriveLimit) }, all: func() {
		rest.begin(drainTime, drainLimit)
		endInput()
	}}
	filter := func(to io.Writer) *statusFilter {
		var once sync.Once // a report that was tried again may have come twice
		return &statusFilter{Writer: rest.writer(to), tag: c.endTag,
			began: func(mark string) {
				c.begun.Store(true)
				c.endUntold.Store(mark == "")
			},
			ended: func(status int) { once.Do(func() { end.report(status) }) }}
	}
	stdout, stderr := filter(streams.Stdout), filter(streams.Stderr)
	stdout.before = c.newPreface()
	streams.Stdin, streams.Stdout, streams.Stderr = stdin, stdout, stderr
	err = carry(limited, streams)
	if limited.Err() == nil { // otherwise nobody wants the rest
		stdout.end()
		stderr.end()
	}
	told, whole := end.result()
	var exit exec.CodeExitError
	switch {
	case whole && ctx.Err() == nil && !errors.As(err, &exit):
		return told, nil
	case ctx.Err() == nil && limited.Err() != nil:
		return told, context.Cause(limited)
	case told != nil && err == nil:
		return told, errHalfTold
	}
	return told, err
}

// errHalfTold means that a stream ended when only stdout or only stderr had reported the command's end.
// client-go and the kubelet treat a stream that was closed without a status as a command that succeeded.
var errHalfTold = errors.New("the stream ended before all of the output had come")

var errDrained = fmt.Errorf("nothing came for %s", drainLimit)

// reportedEnd is the end of a command as it reports it on stdout and on stderr.
type reportedEnd struct {
	some, all func() // called in this order, when one of them has reported it and when both have

	mu     sync.Mutex
	status int
	times  int
}

func (e *reportedEnd) report(status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status = status
	e.times++
	switch e.times {
	case 1:
		e.some()
	case 2:
		e.all()
	}
}

// result returns the reported status, or nil, and whether all of the output has come.
func (e *reportedEnd) result() (told *int, whole bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.times == 0 {
		return nil, false
	}
	status := e.status
	return &status, e.times == 2
}

// draining is the output of a command that may have ended. It limits the time spent waiting for output, but
// not the time that the user's own reader takes.
type draining struct {
	cut func()

	mu      sync.Mutex
	clock   *time.Timer // nil: the command has not ended
	since   time.Time   // when it was last started
	silence time.Duration
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

// begin starts the clock, anew if it runs: nothing may come for as long as silence, and left is the limit of
// all the time spent waiting.
func (d *draining) begin(silence, left time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.clock != nil {
		d.clock.Stop()
	}
	d.since, d.silence, d.left = time.Now(), silence, left
	d.clock = time.AfterFunc(min(silence, left), d.cut)
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
		d.clock.Reset(min(d.silence, d.left))
	}
}

// statusFilter removes the line that reports the command's end from its stdout or stderr, and calls ended
// with the status.
type statusFilter struct {
	io.Writer
	tag    string
	before *preface          // gets what comes before the script's first line; nil: it is passed on
	began  func(mark string) // empty: the end will not be told
	ended  func(status int)

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
	f.before.end()
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
	f.before.tellRest()
}

// flush passes on the first n of the held bytes. It is called with mu held.
func (f *statusFilter) flush(n int) error {
	if n == 0 {
		return nil
	}
	var err error
	if f.before != nil && f.mark == "" && !f.untold {
		f.before.add(f.held[:n])
	} else {
		_, err = f.Writer.Write(f.held[:n])
	}
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
	before *preface // gets what is dropped; may be nil

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
			kept := len(g.head) - overlap(g.head, []byte(g.mark))
			g.before.add(g.head[:kept])
			g.head = bytes.Clone(g.head[kept:])
			return len(p), nil
		}
		line, rest, whole := bytes.Cut(after, []byte("\n"))
		switch line := string(bytes.TrimSpace(line)); {
		case !whole && len(after) < longestRest:
			return len(p), nil
		case whole && line == gateReady:
			g.before.end()
			g.head = rest
			g.ready()
		case whole && pidWords.MatchString(line):
			g.before.end()
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
