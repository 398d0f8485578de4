package stream

import (
	"bytes"
	"io"
)

// sieve reads keys, and keeps some of them from the command.
type sieve struct {
	io.Reader
	keys []byte // they are for the command, which has not read them yet
	err  error
}

// read gives the keys that are for the command. take is called with each key, and end at the end of the
// input. Both add to s.keys what passes.
func (s *sieve) read(p []byte, take func(key byte), end func()) (int, error) {
	for len(s.keys) == 0 && s.err == nil {
		buffer := make([]byte, len(p))
		n, err := s.Reader.Read(buffer)
		for _, key := range buffer[:n] {
			take(key)
		}
		if s.err = err; err != nil {
			end()
		}
	}
	n := copy(p, s.keys)
	s.keys = s.keys[n:]
	if n > 0 {
		return n, nil
	}
	return 0, s.err
}

// escapes are keys with those taken out that are meant for eshell itself: the escape character after Enter,
// and a key that says what to do, as in ssh (ssh(1), ESCAPE CHARACTERS).
type escapes struct {
	sieve
	char  byte
	end   func() // on a dot
	leave func() // on d
	list  func() // on a question mark

	inLine bool // something has been typed since Enter
	held   bool // the escape character has been typed, and waits for the next key
}

// Read gives the keys that are for the command.
func (e *escapes) Read(p []byte) (int, error) { return e.read(p, e.take, func() {}) }

func (e *escapes) take(key byte) {
	switch {
	case e.held:
		e.held = false
		switch key {
		case '.':
			e.end()
		case 'd':
			e.leave()
		case '?':
			e.list()
		case e.char:
			e.pass(key)
		default:
			e.pass(e.char)
			e.pass(key)
		}
	case key == e.char && !e.inLine:
		e.held = true
	default:
		e.pass(key)
	}
}

func (e *escapes) pass(key byte) {
	e.keys = append(e.keys, key)
	e.inLine = key != '\r' && key != '\n'
}

// detaching are keys with a sequence taken out that leaves the session, as docker attach --detach-keys has
// it. What may be the beginning of the sequence waits for the next key. (The reader of moby/term misses a
// sequence whose first key is typed twice, and loses what it holds at the end of the input.)
type detaching struct {
	sieve
	sequence []byte
	leave    func()

	held []byte // a beginning of the sequence, and not all of it
}

// Read gives the keys that are for the command.
func (d *detaching) Read(p []byte) (int, error) { return d.read(p, d.take, d.release) }

func (d *detaching) take(key byte) {
	d.held = append(d.held, key)
	for !bytes.HasPrefix(d.sequence, d.held) {
		d.keys, d.held = append(d.keys, d.held[0]), d.held[1:]
	}
	if len(d.held) == len(d.sequence) {
		d.held = nil
		d.leave()
	}
}

func (d *detaching) release() {
	d.keys, d.held = append(d.keys, d.held...), nil
}
