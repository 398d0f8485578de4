package session

import (
	"fmt"
	"io"

	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/kubectl/pkg/util/interrupt"
	"k8s.io/kubectl/pkg/util/term"
)

// terminal is the user's own, as a stream takes it.
type terminal struct {
	sizes remotecommand.TerminalSizeQueue // a nil interface without a terminal
	out   io.Writer
}

// onTerminal runs fn with the local terminal in raw mode and restores it afterwards: its settings,
// and the modes that the command has left changed.
func (s *session) onTerminal(fn func(terminal) error) error {
	if !s.plan.TTY {
		return fn(terminal{out: s.Stdout})
	}
	t := term.TTY{
		In: s.Stdin, Out: s.Stdout, Raw: true,
		// Without a parent a signal would end the process here, before any clean-up: the signals
		// are cmd's, this one only restores the terminal.
		Parent: interrupt.New(nil, func() {}),
	}
	user, giveBack := terminal{out: s.Stdout}, func() {}
	if t.IsTerminalOut() {
		shown := newScreen(s.Stdout)
		user.out, giveBack = shown, shown.restore
	}
	if queue := t.MonitorSize(t.GetSize()); queue != nil {
		user.sizes = sizeQueue{queue}
	}
	return t.Safe(func() error {
		s.Teller.Raw(true)
		defer s.Teller.Raw(false)
		defer giveBack()
		return fn(user)
	})
}

// size is the terminal's, in the words of stty; empty: there is none, or it has none.
func (s *session) size() string {
	if !s.plan.TTY {
		return ""
	}
	size := term.TTY{Out: s.Stdout}.GetSize()
	if size == nil || size.Width == 0 || size.Height == 0 {
		return ""
	}
	return fmt.Sprintf("rows %d columns %d", size.Height, size.Width)
}

// sizeQueue turns kubectl's sizes into client-go's.
type sizeQueue struct{ term.TerminalSizeQueue }

// Next waits for the next size; nil is the end.
func (q sizeQueue) Next() *remotecommand.TerminalSize {
	size := q.TerminalSizeQueue.Next()
	if size == nil {
		return nil
	}
	return &remotecommand.TerminalSize{Width: size.Width, Height: size.Height}
}
