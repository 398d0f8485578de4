package agent

import (
	"bytes"
	"cmp"
	"io"
	"strconv"
)

// statusFilter takes out of stderr the line that says that the command has ended, and reports its status.
type statusFilter struct {
	io.Writer
	mark  string
	ended func(status int)

	held []byte // the beginning of what may be the line
}

// Write passes on all but the line.
func (f *statusFilter) Write(p []byte) (int, error) {
	f.held = append(f.held, p...)
	before, after, found := bytes.Cut(f.held, []byte(f.mark))
	line, rest, whole := bytes.Cut(after, []byte("\n"))
	if found && whole {
		status, err := strconv.Atoi(string(line))
		rest = bytes.Clone(rest)
		failed := f.flush(len(before))
		if err == nil {
			f.ended(status)
		}
		f.held = rest
		return len(p), cmp.Or(failed, f.flush(len(rest)))
	}
	if !found {
		before = f.held[:len(f.held)-overlap(f.held, []byte(f.mark))]
	}
	return len(p), f.flush(len(before))
}

// flush passes on the first n of the held bytes.
func (f *statusFilter) flush(n int) error {
	if n == 0 {
		return nil
	}
	_, err := f.Writer.Write(f.held[:n])
	f.held = f.held[n:]
	return err
}

// gateReader drops everything up to the line that begins with mark: what the terminal echoed, what a
// shell said while it started. opened is called with the rest of that line. Until then each such line that
// ends with gateReady says that the gate is there.
type gateReader struct {
	io.Writer
	mark   string
	ready  func()
	opened func(rest string)

	head []byte
	open bool
}

// Write passes on what comes after the mark's line.
func (g *gateReader) Write(p []byte) (int, error) {
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
		if line := string(bytes.TrimSpace(line)); line == gateReady {
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

// overlap is the length of the longest end of before that is the beginning of after.
func overlap(before, after []byte) int {
	for n := min(len(before), len(after)); n > 0; n-- {
		if bytes.Equal(before[len(before)-n:], after[:n]) {
			return n
		}
	}
	return 0
}
