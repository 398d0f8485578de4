package agent

import (
	"bytes"
	"strings"
	"sync"
	"time"
)

// preface is what a stream brings before the first line of its script. It is not the command's: a proxy that
// waits for somebody's approval says so there (as Teleport does), and a shell may complain as it starts.
// Whole lines are told, once the script has kept silent for so long that a user wonders.
type preface struct {
	tell func(line string)
	// isOwn reports a line that the terminal has echoed: the variables' values must not be shown
	isOwn func(line string) bool

	mu   sync.Mutex
	text []byte
	late *time.Timer
	over bool
}

const (
	// prefaceTime is how long the script may be silent after such a line.
	prefaceTime = time.Second
	// mostPreface is how many bytes of it are kept.
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
	if p.over || len(text) == 0 {
		return
	}
	p.text = append(p.text, text[:min(len(text), mostPreface-len(p.text))]...)
	if p.late == nil {
		p.late = time.AfterFunc(prefaceTime, p.tellLines)
	} else {
		p.late.Reset(prefaceTime)
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
	for !p.over {
		line, rest, whole := bytes.Cut(p.text, []byte("\n"))
		if !whole {
			return
		}
		p.text = rest
		switch line := string(bytes.TrimSpace(line)); {
		case p.isOwn(line):
			p.over = true
		case line != "":
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
