package session

import (
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/kubectl/pkg/util/interrupt"
	"k8s.io/kubectl/pkg/util/term"
)

// onTerminal runs fn with the local terminal in raw mode and restores it afterwards. Its sizes come
// from the returned queue, which is a nil interface without a terminal.
func (s *session) onTerminal(fn func(sizes remotecommand.TerminalSizeQueue) error) error {
	if !s.plan.TTY {
		return fn(nil)
	}
	t := term.TTY{
		In: s.Stdin, Out: s.Stdout, Raw: true,
		// Without a parent a signal would end the process here, before any clean-up: the signals
		// are cmd's, this one only restores the terminal.
		Parent: interrupt.New(nil, func() {}),
	}
	var sizes remotecommand.TerminalSizeQueue
	if queue := t.MonitorSize(t.GetSize()); queue != nil {
		sizes = sizeQueue{queue}
	}
	return t.Safe(func() error {
		s.Teller.Raw(true)
		defer s.Teller.Raw(false)
		return fn(sizes)
	})
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
