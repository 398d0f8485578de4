package stream

import (
	"context"
	"fmt"
	"io"

	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/kubectl/pkg/util/interrupt"
	"k8s.io/kubectl/pkg/util/term"
)

// User is where the streams of a command come from and go to: the user's terminal, or files and pipes.
type User struct {
	In       io.Reader // nil: the command gets no stdin
	Out, Err io.Writer
	TTY      bool // In and Out are a terminal, on which the command runs
	// called when the terminal begins to belong to the command, and when it no longer does
	Raw func(bool)
}

// Connect calls fn with the user's streams. Meanwhile a terminal is in raw mode; afterwards its settings are
// restored, and the modes that the command has left changed. Output that cannot be written calls stop with an
// OutputError: otherwise the command would go on for nobody.
func (u User) Connect(stop context.CancelCauseFunc, fn func(remotecommand.StreamOptions) error) error {
	streams := remotecommand.StreamOptions{Stdin: u.In, Stdout: &output{u.Out, stop}}
	if !u.TTY {
		streams.Stderr = &output{u.Err, stop}
		return fn(streams)
	}
	streams.Tty = true
	t := term.TTY{
		In: u.In, Out: u.Out, Raw: true,
		// Without a parent a signal would end the process here, before any clean-up: the signals
		// are cmd's, this one only restores the terminal.
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
