package agent

import (
	"bytes"
	"strings"
	"sync"
	"time"
)

// preface is what a stream brings before the first line of its script. It is not the command's: a proxy that
// waits for somebody's approval says so there (as Teleport does), and a shell may complain as it starts.
// Whole lines are told when the script has not begun after so long that a user wonders.
type preface struct {
	tell func(line string)
	// isOwn reports a line that the terminal has echoed: the variables' values must not be shown
	isOwn func(line string) bool

	mu   sync.Mutex
	text []byte
	last string // what was told
	lost bool   // some of it was: what follows may be the rest of a line that the terminal has echoed
	due  bool   // text is told when prefaceTime is over
	over bool
}

const (
	// prefaceTime is how long the script may take to begin after such a line, whatever else comes.
	prefaceTime = time.Second
	// mostPreface is how many bytes of it are kept until they are told.
	mostPreface = 4 << 10
)

// newPreface returns the preface of a stream, or nil if nobody wants to know.
func (c *Client) newPreface() *preface {
	if c.Told == nil {
		return nil
	}
	return &preface{tell: c.Told, isOwn: c.echoes}
}

// echoes reports whether a terminal's line may be what the client has sent to its script.
func (c *Client) echoes(line string) bool {
	for _, variable := range c.env {
		if strings.Contains(line, "set "+variable.Name) || strings.Contains(line, "add "+variable.Name) {
			return true
		}
	}
	return false
}

// add takes in what has come.
func (p *preface) add(text []byte) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.lost || len(text) == 0 {
		return
	}
	kept := min(len(text), mostPreface-len(p.text))
	p.text, p.lost = append(p.text, text[:kept]...), kept < len(text)
	if !p.due {
		p.due = true
		time.AfterFunc(prefaceTime, p.tellLines)
	}
}

// end forgets what has not been told: the script has begun.
func (p *preface) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over, p.text = true, nil
}

func (p *preface) tellLines() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.due = false
	for !p.over {
		line, rest, whole := bytes.Cut(p.text, []byte("\n"))
		if !whole {
			return
		}
		p.text = rest
		switch line := string(bytes.TrimSpace(line)); {
		case p.isOwn(line):
			p.over = true
		case line != "" && line != p.last: // a proxy that waits may say so again and again
			p.last = line
			p.tell(line)
		}
	}
}

// tellRest tells everything: the stream has ended before the script began.
func (p *preface) tellRest() {
	if p == nil {
		return
	}
	p.add([]byte("\n"))
	p.tellLines()
	p.end()
}
