//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// How long a pause of a recording lasts at most, in seconds, and how long its end is shown.
const (
	longestPause = 1
	lastPause    = 3
)

// cast is a recording of asciinema 2: a header and events, each a line of JSON.
type cast struct {
	header json.RawMessage
	events []event
}

// event is what was shown at a time, in seconds.
type event struct {
	at   float64
	data string
}

func readCast(path string) (*cast, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	var header struct{ Version int }
	if err := json.Unmarshal(lines[0], &header); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if header.Version != 2 {
		return nil, fmt.Errorf("%s is of version %d, but svg-term reads version 2: install asciinema 2", path,
			header.Version)
	}
	c := &cast{header: lines[0]}
	for _, line := range lines[1:] {
		var e event
		var kind string
		if err := json.Unmarshal(line, &[]any{&e.at, &kind, &e.data}); err != nil {
			return nil, fmt.Errorf("%s: %w: %s", path, err, line)
		}
		if kind == "o" {
			c.events = append(c.events, e)
		}
	}
	if len(c.events) == 0 {
		return nil, fmt.Errorf("%s shows nothing", path)
	}
	return c, nil
}

func (c *cast) write(path string) error {
	content := append(bytes.Clone(c.header), '\n')
	for _, e := range c.events {
		line, err := json.Marshal([]any{e.at, "o", e.data})
		if err != nil {
			return err
		}
		content = append(append(content, line...), '\n')
	}
	return os.WriteFile(path, content, 0o644)
}

// cut leaves out what comes after so many bytes: the end of the recorded shell.
func (c *cast) cut(length int) {
	for n, e := range c.events {
		if length < len(e.data) {
			c.events[n].data = e.data[:length]
			c.events = c.events[:n+1]
			return
		}
		length -= len(e.data)
	}
}

// tighten shortens the pauses of a slow machine, and lets the end be read.
func (c *cast) tighten() {
	last, saved := 0.0, 0.0
	for n, e := range c.events {
		saved += max(0, e.at-last-longestPause)
		last = e.at
		c.events[n].at -= saved
	}
	c.events = append(c.events, event{c.duration() + lastPause, ""})
}

func (c *cast) duration() float64 { return c.events[len(c.events)-1].at }

// momentOf returns when a text is complete for the first time, in milliseconds. Without a text it is the end.
func (c *cast) momentOf(text string) (int, error) {
	var shown strings.Builder
	for _, e := range c.events {
		shown.WriteString(e.data)
		if text != "" && strings.Contains(escapes.ReplaceAllString(shown.String(), ""), text) {
			return int(e.at * 1000), nil
		}
	}
	if text != "" {
		return 0, fmt.Errorf("%q is never shown", text)
	}
	return int(c.duration() * 1000), nil
}
