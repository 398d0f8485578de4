package record

import (
	"bytes"
	"io"
	"unicode/utf8"
)

// stream is one of the streams of a session. A recording is text: a character that comes in pieces is
// recorded when it is complete, and bytes that are no character become U+FFFD each.
type stream struct {
	*Recording
	code code
	rest []byte // the beginning of a character
}

func (s *stream) record(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := append(s.rest, p...)
	whole := len(text) - unfinished(text)
	s.rest = bytes.Clone(text[whole:])
	if whole == 0 {
		return s.err
	}
	s.used = true
	return s.event(s.code, string(text[:whole]))
}

// flush is called with mu held, when nothing more comes.
func (s *stream) flush() error {
	if len(s.rest) == 0 {
		return nil
	}
	text := string(s.rest)
	s.rest = nil
	return s.event(s.code, text)
}

// unfinished returns how many bytes at the end of text begin a character that is not complete.
func unfinished(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		last := text[len(text)-n:]
		if utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}

type writer struct {
	*stream
	to io.Writer
}

func (w writer) Write(p []byte) (int, error) {
	if err := w.record(p); err != nil {
		return 0, err
	}
	return w.to.Write(p)
}

type reader struct {
	*stream
	from io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if n > 0 {
		if err := r.record(p[:n]); err != nil {
			return 0, err
		}
	}
	return n, err
}
