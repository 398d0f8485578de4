package stream

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mobyterm "github.com/moby/term"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/kubectl/pkg/util/interrupt"
	"k8s.io/kubectl/pkg/util/term"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/record"
)

// User is where the streams of a command come from and go to: the user's terminal, or files and pipes.
type User struct {
	In       io.Reader // nil: the command gets no stdin
	Out, Err io.Writer
	TTY      bool // In and Out are a terminal, on which the command runs
	// called with true when the terminal begins to belong to the command, and with false when it no longer
	// does
	Raw func(bool)
	// Begun reports whether the command is known to run
	Begun func() bool
	// called at each key and each piece of output, from several goroutines; nil: nobody wants to know
	Active func()
	// called by a Ctrl-C that the command does not answer, unless it is known to run
	Interrupt func()
	// begins what is typed for eshell itself, after Enter; 0: nothing is
	Escape byte
	// keys that leave the session wherever they are typed, one byte each; nil: none do
	DetachKeys []byte
	// called when the user ends the session in that way, leaves it, or asks how
	End, Leave, ListEscapes func()
	// Record records what is shown, and what the command is given, if that is asked for; nil: nothing is
	// recorded
	Record *record.Recording

	unread []*spool // what was written to Out and Err, if they are no terminal
}

// readTime is how long Connect waits for the readers of output: one that reads gets it before anything that
// is said afterwards.
const readTime = 250 * time.Millisecond

// Connect calls fn with the user's streams. From the first read or write on, a terminal is in raw mode:
// client-go reads when a stream is open, and until then Ctrl-C is a signal. Afterwards its settings are
// restored, and the modes that the command has left changed. Output that cannot be written calls stop with an
// OutputError: otherwise the command would go on for nobody. While nobody reads, fn waits until ctx ends if
// it has much to write, and Flush if it has less.
func (u *User) Connect(ctx context.Context, stop context.CancelCauseFunc,
	fn func(remotecommand.StreamOptions) error) error {
	in := u.In
	if u.Active != nil {
		fn = u.watched(fn)
		if in != nil {
			in = departure{in, u.Active}
		}
	}
	streams := remotecommand.StreamOptions{Stdin: u.Record.Reader(in)}
	if !u.TTY {
		stdout, stderr := newSpool(u.Record.Writer(u.Out), stop), newSpool(u.Record.Writer(u.Err), stop)
		u.unread = []*spool{stdout, stderr}
		streams.Stdout, streams.Stderr = spoolWriter{ctx, stdout}, spoolWriter{ctx, stderr}
		defer func() {
			limited, cancel := context.WithTimeout(ctx, readTime)
			defer cancel()
			_ = u.Flush(limited)
		}()
		return fn(streams)
	}
	streams.Tty = true
	keys := &keyboard{User: *u, typed: u.typed(in), stop: stop}
	t := term.TTY{
		In: u.In, Out: u.Out,
		// Without a parent a signal would end the process here, before any clean-up: the signals
		// are cmd's, this one only restores the terminal.
		Parent: interrupt.New(nil, func() {}),
	}
	restore, out := func() {}, u.Record.Writer(u.Out)
	if t.IsTerminalOut() {
		shown := newScreen(u.Out)
		shown.Writer = out
		out, restore = shown, func() { u.Record.Add(shown.restore()) }
	}
	streams.Stdin = u.Record.Reader(keys)
	streams.Stdout = newOutput(ctx, answer{out, keys}, stop)
	if queue := t.MonitorSize(t.GetSize()); queue != nil {
		streams.TerminalSizeQueue = sizeQueue{queue, u.Record}
	}
	return t.Safe(func() error {
		defer keys.release()
		defer restore()
		return fn(streams)
	})
}

// watched returns fn with streams that report all output, before it is passed on.
func (u *User) watched(fn func(remotecommand.StreamOptions) error) func(remotecommand.StreamOptions) error {
	return func(streams remotecommand.StreamOptions) error {
		streams.Stdout = &arrival{streams.Stdout, u.Active}
		if streams.Stderr != nil {
			streams.Stderr = &arrival{streams.Stderr, u.Active}
		}
		return fn(streams)
	}
}

// departure calls left when input has been read.
type departure struct {
	io.Reader
	left func()
}

func (d departure) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if n > 0 {
		d.left()
	}
	return n, err
}

// typed returns the keys of in without those for eshell itself.
func (u *User) typed(in io.Reader) io.Reader {
	if len(u.DetachKeys) > 0 {
		in = &detaching{sieve: sieve{Reader: in}, sequence: u.DetachKeys, leave: u.Leave}
	}
	if u.Escape != 0 {
		in = &escapes{sieve: sieve{Reader: in}, char: u.Escape, end: u.End, leave: u.Leave,
			list: u.ListEscapes}
	}
	return in
}

// Flush waits until the readers of the command's output have taken it, or ctx ends. An error is an
// OutputError, or the cause of ctx.
func (u *User) Flush(ctx context.Context) error {
	var first error
	for _, output := range u.unread {
		first = cmp.Or(first, output.end(ctx))
	}
	return first
}

// keyboard is a terminal's input.
type keyboard struct {
	User
	typed    io.Reader // In, without what is typed for eshell itself
	stop     context.CancelCauseFunc
	answered atomic.Bool // the command has shown something

	mu        sync.Mutex
	raw, over bool
	restore   func() // the terminal, once it is raw
}

// answerTime is how long a command may take to answer a Ctrl-C that is the first that it hears: at the least
// its terminal shows ^C. The API server opens the stream before the node does (Kubernetes 1.35 and before),
// and a node that hangs would swallow it.
const answerTime = 2 * time.Second

// Read gives what is typed. The first makes the terminal raw.
func (k *keyboard) Read(p []byte) (int, error) {
	if err := k.take(); err != nil {
		return 0, err
	}
	n, err := k.typed.Read(p)
	if !k.answered.Load() && bytes.ContainsRune(p[:n], ctrlC) {
		time.AfterFunc(answerTime, func() {
			if !k.answered.Load() && !k.Begun() {
				k.Interrupt()
			}
		})
	}
	return n, err
}

func (k *keyboard) take() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over {
		return io.EOF
	}
	if k.raw {
		return nil
	}
	if fd, isTerminal := mobyterm.GetFdInfo(k.In); isTerminal {
		before, err := mobyterm.MakeRaw(fd)
		if err != nil {
			k.stop(fmt.Errorf("put the terminal into raw mode: %w", err))
			return err
		}
		// Safe restores it too, but not if a signal has come before.
		k.restore = func() { _ = mobyterm.RestoreTerminal(fd, before) }
	}
	k.raw = true
	k.Raw(true)
	return nil
}

// release ends the input: a stream that opens only now must not take the terminal.
func (k *keyboard) release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.restore != nil {
		k.restore()
	}
	if k.raw {
		k.Raw(false)
	}
	k.over = true
}

// answer is what a command shows on a terminal.
type answer struct {
	io.Writer
	keys *keyboard
}

// Write passes p on. What a command prints at once may come before its input is read, and needs a raw
// terminal too.
func (a answer) Write(p []byte) (int, error) {
	_ = a.keys.take() // fails at the end, when the terminal is not the command's any more
	a.keys.answered.Store(true)
	return a.Writer.Write(p)
}

// Size is the terminal's, in the words of stty: "rows 24 columns 80". It is empty if there is no terminal, or
// it has no size.
func (u User) Size() string {
	if !u.TTY {
		return ""
	}
	size := term.TTY{Out: u.Out}.GetSize()
	if size == nil || size.Width == 0 || size.Height == 0 {
		return ""
	}
	return fmt.Sprintf("rows %d columns %d", size.Height, size.Width)
}

// sizeQueue converts kubectl's sizes to client-go's, and records them.
type sizeQueue struct {
	term.TerminalSizeQueue
	record *record.Recording
}

// Next waits for the next size. It returns nil at the end.
func (q sizeQueue) Next() *remotecommand.TerminalSize {
	size := q.TerminalSizeQueue.Next()
	if size == nil {
		return nil
	}
	q.record.Resize(int(size.Width), int(size.Height))
	return &remotecommand.TerminalSize{Width: size.Width, Height: size.Height}
}

// screen is the user's terminal as a command sees it. It remembers the modes that the command has changed. A
// program that is ended from outside cannot change them back, and an editor's alternate screen or a pager's
// mouse mode would stay on in the user's own shell.
type screen struct {
	io.Writer
	terminal io.Writer // is changed back even if nothing more can be written to Writer, which records
	modes    *regexp.Regexp
	usually  map[string]bool // the modes that are changed back, and their values in a new terminal

	mu      sync.Mutex
	over    bool // further output would only change the modes again
	changed map[string]bool
	tail    string // the end of the output, where a sequence may have begun
	midLine bool   // the output does not end with a line
}

const (
	// sequences set and reset modes: DECSET, DECRST, DECKPAM and DECKPNM of xterm's ctlseqs.
	sequences = `\x1b(?:\[\?([0-9;]+)([hl])|([=>]))`
	keypad    = "=" // the one mode that has no number
	// longest is more than the length of any program's sequence.
	longest = 64
)

func newScreen(out io.Writer) *screen {
	return &screen{Writer: out, terminal: out,
		modes: regexp.MustCompile(sequences), changed: map[string]bool{},
		usually: map[string]bool{
			keypad: false, "1": false, // keypad and cursor keys that send codes of their own
			"7": true, "25": true, // line wrap, a visible cursor
			"9": false, "1000": false, "1001": false, "1002": false, "1003": false, // the mouse
			"1004": false, "1005": false, "1006": false, "1015": false, "1016": false,
			"47": false, "1047": false, "1049": false, // the alternate screen
			"2004": false, "2026": false, // bracketed paste, held output
		}}
}

func (s *screen) Write(p []byte) (int, error) {
	if over := s.note(string(p)); over {
		return len(p), nil
	}
	return s.Writer.Write(p)
}

func (s *screen) note(text string) (over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text = s.tail + text
	for _, match := range s.modes.FindAllStringSubmatch(text, -1) {
		set := match[2] == "h" || match[3] == keypad
		for mode := range strings.SplitSeq(cmp.Or(match[1], keypad), ";") {
			if usually, known := s.usually[mode]; known && set != usually {
				s.changed[mode] = true
			} else {
				delete(s.changed, mode)
			}
		}
	}
	s.midLine = text != "" && text[len(text)-1] != '\n'
	s.tail = text[max(0, len(text)-longest):]
	s.tail = s.tail[max(0, strings.LastIndexByte(s.tail, '\x1b')):]
	return s.over
}

// restoreTime is how long the terminal may take to be changed back. A terminal that is stuck must not keep
// the session from being cleaned up.
const restoreTime = time.Second

// restore changes back the modes that were left changed, and ends the line. It returns what the terminal was
// sent for that.
func (s *screen) restore() string {
	text := s.end() + s.endLine()
	restored := make(chan struct{})
	go func() {
		defer close(restored)
		_, _ = io.WriteString(s.terminal, text)
	}()
	select {
	case <-restored:
	case <-time.After(restoreTime):
	}
	return text
}

// endLine ends a line that the command has not ended: what eshell says next has a line of its own.
func (s *screen) endLine() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.midLine {
		return ""
	}
	s.midLine = false
	return "\r\n"
}

// end returns the sequences that change back the modes that were left changed.
func (s *screen) end() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	var back strings.Builder
	for _, mode := range slices.Sorted(maps.Keys(s.changed)) {
		switch {
		case mode == keypad:
			back.WriteString("\x1b>")
		case s.usually[mode]:
			back.WriteString("\x1b[?" + mode + "h")
		default:
			back.WriteString("\x1b[?" + mode + "l")
		}
	}
	clear(s.changed)
	return back.String()
}
