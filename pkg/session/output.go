package session

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
)

// OutputError means that the command's output could not be written here: a full disk, or a reader
// like head that has gone.
type OutputError struct{ Err error }

// Error names the direction and says the system's words.
func (e *OutputError) Error() string { return fmt.Sprintf("write the output: %v", e.Err) }

// Unwrap returns the system's error.
func (e *OutputError) Unwrap() error { return e.Err }

// output ends the session when it cannot be written to.
type output struct {
	io.Writer
	stop context.CancelCauseFunc
}

// Write passes p on.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		o.stop(&OutputError{err})
	}
	return n, err
}

// ending takes the line out of stderr that says that the command has ended, and tells its status.
type ending struct {
	io.Writer
	mark  string
	ended func(status int)

	held []byte // the beginning of what may be the line
}

// Write passes on all but the line.
func (e *ending) Write(p []byte) (int, error) {
	e.held = append(e.held, p...)
	before, after, found := bytes.Cut(e.held, []byte(e.mark))
	line, rest, whole := bytes.Cut(after, []byte("\n"))
	if found && whole {
		status, err := strconv.Atoi(string(line))
		rest = bytes.Clone(rest)
		failed := e.flush(len(before))
		if err == nil {
			e.ended(status)
		}
		e.held = rest
		return len(p), cmp.Or(failed, e.flush(len(rest)))
	}
	if !found {
		before = e.held[:len(e.held)-overlap(e.held, []byte(e.mark))]
	}
	return len(p), e.flush(len(before))
}

// flush passes on the first n of the held bytes.
func (e *ending) flush(n int) error {
	if n == 0 {
		return nil
	}
	_, err := e.Writer.Write(e.held[:n])
	e.held = e.held[n:]
	return err
}

// gated drops everything up to the line that begins with mark: what the terminal echoed, what a
// shell said while it started. opened is told the rest of that line. Until then each such line that
// ends with "ready" says that the gate is there.
type gated struct {
	io.Writer
	mark   string
	ready  func()
	opened func(rest string)

	head []byte
	open bool
}

// Write passes on what comes after the mark's line.
func (g *gated) Write(p []byte) (int, error) {
	if g.open {
		return g.Writer.Write(p)
	}
	g.head = append(g.head, p...)
	for !g.open {
		_, after, found := bytes.Cut(g.head, []byte(g.mark))
		line, after, whole := bytes.Cut(after, []byte("\n"))
		if !found || !whole {
			return len(p), nil
		}
		g.head = after
		if line := string(bytes.TrimSpace(line)); line == "ready" {
			g.ready()
		} else {
			g.open = true
			g.opened(line)
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
