package stream

import "io"

// escapes are keys with those taken out that are meant for eshell itself: the escape character after Enter,
// and a key that says what to do, as in ssh (ssh(1), ESCAPE CHARACTERS).
type escapes struct {
	io.Reader
	char  byte
	end   func() // on a dot
	leave func() // on d
	list  func() // on a question mark

	inLine bool // something has been typed since Enter
	held   bool // the escape character has been typed, and waits for the next key
	keys   []byte
	err    error
}

// Read gives the keys that are for the command.
func (e *escapes) Read(p []byte) (int, error) {
	for len(e.keys) == 0 && e.err == nil {
		buffer := make([]byte, len(p))
		n, err := e.Reader.Read(buffer)
		e.err = err
		for _, key := range buffer[:n] {
			e.take(key)
		}
	}
	n := copy(p, e.keys)
	e.keys = e.keys[n:]
	if n > 0 {
		return n, nil
	}
	return 0, e.err
}

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
