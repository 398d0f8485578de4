package stream

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/kubectl/pkg/util/interrupt"
	"k8s.io/kubectl/pkg/util/term"
)

// User is where the streams of a command come from and go to: the user's terminal, or files and pipes.
type User struct {
	In       io.Reader // nil: the command gets no stdin
	Out, Err io.Writer
	TTY      bool // In and Out are a terminal, on which the command runs
	// called with true when the terminal begins to belong to the command, and with false when it no longer
	// does
	Raw func(bool)
}

// Connect calls fn with the user's streams. A terminal is in raw mode meanwhile. Afterwards its settings are
// restored, and so are the modes that the command has left changed. If output cannot be written, stop is
// called with an OutputError: otherwise the command would go on without a reader.
func (u User) Connect(stop context.CancelCauseFunc, fn func(remotecommand.StreamOptions) error) error {
	streams := remotecommand.StreamOptions{Stdin: u.In, Stdout: &output{u.Out, stop}}
	if !u.TTY {
		streams.Stderr = &output{u.Err, stop}
		return fn(streams)
	}
	streams.Tty = true
	t := term.TTY{
		In: u.In, Out: u.Out, Raw: true,
		// Without a parent, a signal would end the process here, before any clean-up. The plugin's main
		// function handles the signals. This handler only restores the terminal.
		Parent: interrupt.New(nil, func() {}),
	}
	restore := func() {}
	if t.IsTerminalOut() {
		shown := newScreen(u.Out)
		streams.Stdout, restore = &output{shown, stop}, shown.restore
	}
	if queue := t.MonitorSize(t.GetSize()); queue != nil {
		streams.TerminalSizeQueue = sizeQueue{queue}
	}
	return t.Safe(func() error {
		u.Raw(true)
		defer u.Raw(false)
		defer restore()
		return fn(streams)
	})
}

// Size returns the terminal's size in the format of stty: "rows 24 columns 80". It is empty if there is no
// terminal, or the terminal has no size.
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

// sizeQueue converts kubectl's sizes to client-go's.
type sizeQueue struct{ term.TerminalSizeQueue }

// Next waits for the next size. It returns nil at the end.
func (q sizeQueue) Next() *remotecommand.TerminalSize {
	size := q.TerminalSizeQueue.Next()
	if size == nil {
		return nil
	}
	return &remotecommand.TerminalSize{Width: size.Width, Height: size.Height}
}

// screen is the user's terminal as a command sees it. It remembers the modes that the command has changed. A
// program that is ended from outside cannot change them back, and an editor's alternate screen or a pager's
// mouse mode would stay on in the user's own shell.
type screen struct {
	io.Writer
	modes   *regexp.Regexp
	usually map[string]bool // the modes that are changed back, and their values in a new terminal

	mu      sync.Mutex
	over    bool // further output would only change the modes again
	changed map[string]bool
	tail    string // the end of the output, where a sequence may have begun
}

const (
	// sequences set and reset modes: DECSET, DECRST, DECKPAM and DECKPNM of xterm's ctlseqs.
	sequences = `\x1b(?:\[\?([0-9;]+)([hl])|([=>]))`
	keypad    = "=" // the one mode that has no number
	// longest is more than the length of any program's sequence.
	longest = 64
)

func newScreen(out io.Writer) *screen {
	return &screen{Writer: out, modes: regexp.MustCompile(sequences), changed: map[string]bool{},
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
	s.tail = text[max(0, len(text)-longest):]
	s.tail = s.tail[max(0, strings.LastIndexByte(s.tail, '\x1b')):]
	return s.over
}

// restoreTime is how long the terminal may take to be changed back. A terminal that is stuck must not keep
// the session from being cleaned up.
const restoreTime = time.Second

func (s *screen) restore() {
	restored := make(chan struct{})
	go func() {
		defer close(restored)
		_, _ = io.WriteString(s.Writer, s.end())
	}()
	select {
	case <-restored:
	case <-time.After(restoreTime):
	}
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
