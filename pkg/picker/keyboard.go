package picker

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

// key is a character that was typed, or one of the keys below.
type key rune

const (
	keyNone   key = -1 - iota // one that means nothing here
	keyResize                 // no key: the terminal has another size
	keyEnter
	keyCancel
	keyUp
	keyDown
	keyPageUp
	keyPageDown
	keyHome
	keyEnd
	keyBackspace
	keyErase     // all that was typed
	keyEraseWord // the last word of it
)

const (
	escape byte = 0x1b
	// sequenceTime is how long the rest of a key's bytes may take. Esc is a single one, with which the
	// sequences of other keys begin.
	sequenceTime = 100 * time.Millisecond
	// hangUpTime is how long the signal may take that comes with the end of a terminal that was closed.
	hangUpTime = time.Second
	// longestSequence is more than any key sends.
	longestSequence = 32
)

// keyboard reads keys one byte at a time, and none before it is asked for: what is typed after the choice
// belongs to the session that follows. So a read is only left pending when the user cancels or ctx ends, and
// then there is no session.
type keyboard struct {
	in      io.Reader
	resized <-chan os.Signal
	came    chan read // has room for one
	asked   bool      // a read is pending
	pasting bool
}

type read struct {
	char byte
	err  error
}

// next waits for a key.
func (k *keyboard) next(ctx context.Context) (key, error) {
	k.ask()
	select {
	case r := <-k.came:
		k.asked = false
		if r.err != nil {
			return keyNone, k.over(ctx, r.err)
		}
		pressed := k.decode(ctx, r.char)
		if k.pasting && pressed < 0 && pressed != keyCancel {
			return keyNone, nil
		}
		return pressed, nil
	case <-k.resized:
		return keyResize, nil
	case <-ctx.Done():
		return keyNone, context.Cause(ctx)
	}
}

// ask begins to read a byte, unless that has begun.
func (k *keyboard) ask() {
	if k.asked {
		return
	}
	k.asked = true
	go func() {
		var one [1]byte
		_, err := io.ReadFull(k.in, one[:])
		k.came <- read{one[0], err}
	}()
}

// over returns what the end of the input means. A terminal that is closed sends a signal too.
func (k *keyboard) over(ctx context.Context, err error) error {
	late := time.NewTimer(hangUpTime)
	defer late.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-late.C:
	}
	if errors.Is(err, io.EOF) {
		return ErrCancelled
	}
	return err
}

// rest returns one more byte of a key. There is none if it does not come in time.
func (k *keyboard) rest(ctx context.Context) (char byte, is bool) {
	k.ask()
	late := time.NewTimer(sequenceTime)
	defer late.Stop()
	select {
	case r := <-k.came:
		if r.err != nil {
			k.came <- r // for next
			return 0, false
		}
		k.asked = false
		return r.char, true
	case <-late.C:
	case <-ctx.Done():
	}
	return 0, false
}

// decode returns the key that begins with a byte.
func (k *keyboard) decode(ctx context.Context, first byte) key {
	switch first {
	case '\r', '\n':
		return keyEnter
	case ctrl('c'), ctrl('d'):
		return keyCancel
	case ctrl('p'):
		return keyUp
	case ctrl('n'):
		return keyDown
	case ctrl('h'), 0x7f:
		return keyBackspace
	case ctrl('u'):
		return keyErase
	case ctrl('w'):
		return keyEraseWord
	case escape:
		return k.sequence(ctx)
	}
	char := []byte{first}
	for !utf8.FullRune(char) {
		more, is := k.rest(ctx)
		if !is {
			return keyNone
		}
		char = append(char, more)
	}
	if r, _ := utf8.DecodeRune(char); r != utf8.RuneError && isPrintable(r) {
		return key(r)
	}
	return keyNone
}

// ctrl returns what a terminal sends for Ctrl and a letter.
func ctrl(letter byte) byte { return letter & 0x1f }

// sequence returns the key that sends Esc and more: the sequences CSI and SS3 of xterm's ctlseqs, in which a
// number is a key of the VT220's, and a second one says what else was pressed.
func (k *keyboard) sequence(ctx context.Context) key {
	kind, is := k.rest(ctx)
	switch {
	case !is:
		return keyCancel
	case kind == escape: // an impatient user
		return keyCancel
	case kind != '[' && kind != 'O': // with Alt
		return keyNone
	}
	var sequence strings.Builder
	for sequence.Len() < longestSequence {
		char, is := k.rest(ctx)
		if !is {
			return keyNone
		}
		sequence.WriteByte(char)
		switch isLast := char >= '@' && char <= '~'; {
		case sequence.String() == "[": // a function key of Linux, with one byte more
		case isLast && sequence.String()[0] != '[':
			return k.named(sequence.String())
		case isLast:
			return keyNone
		}
	}
	return keyNone
}

// named returns the key of a sequence.
func (k *keyboard) named(sequence string) key {
	name := sequence[len(sequence)-1:]
	if name == "~" {
		name, _, _ = strings.Cut(strings.TrimSuffix(sequence, "~"), ";")
	}
	switch name {
	case "A":
		return keyUp
	case "B":
		return keyDown
	case "H", "1", "7":
		return keyHome
	case "F", "4", "8":
		return keyEnd
	case "5":
		return keyPageUp
	case "6":
		return keyPageDown
	case "200", "201":
		k.pasting = name == "200"
	}
	return keyNone
}
