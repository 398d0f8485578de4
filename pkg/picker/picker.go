// Package picker lets a person choose one of several items on a terminal: from a list that what is typed
// filters, or, where a terminal cannot draw one, by a number. It knows nothing of what the items are.
package picker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// ErrCancelled means that the user has left without choosing: by Esc, by Ctrl-C or by the end of the input.
var ErrCancelled = errors.New("nothing was chosen")

// Terminal is the user's.
type Terminal struct {
	// In is read byte by byte, and only while something is to be chosen. What is typed after that stays in
	// it for whoever reads it next.
	In  *os.File
	Out io.Writer
	// Size returns the width and height in characters.
	Size func() (width, height int)
	// Plain asks for a numbered list, which moves no cursor.
	Plain bool
	// Styled allows bold, faint and underlined text.
	Styled bool
}

// List is what to choose from. Characters in it that cannot be printed are left out.
type List struct {
	// Prompt says in a word or two what is chosen, and Place where from: "Workload", "in namespace shop".
	Prompt, Place string
	Items         []Item
}

// Item is one line of a list.
type Item struct {
	Name    string   // what is typed filters by it
	Details []string // in columns
}

// Pick returns the index of the item that the user chooses, or ErrCancelled. If ctx ends first, it returns
// the cause of ctx. It leaves the terminal as it was: the list is erased, unless it is a plain one.
func Pick(ctx context.Context, t Terminal, l List) (int, error) {
	keys := &keyboard{in: t.In, came: make(chan read, 1)}
	if t.Plain {
		return pickByNumber(ctx, keys, t.Out, l)
	}
	before, err := term.MakeRaw(int(t.In.Fd()))
	if err != nil {
		return 0, fmt.Errorf("put the terminal into raw mode: %w", err)
	}
	defer func() { _ = term.Restore(int(t.In.Fd()), before) }()
	resized, stop := watchSize()
	defer stop()
	keys.resized = resized
	return choose(ctx, keys, t, newModel(l))
}

// A paste arrives between two marks, so that a line break in it is not an Enter.
const (
	markPastes = "\x1b[?2004h"
	erase      = "\r\x1b[J\x1b[?2004l" // and the pastes are not marked any more
)

// choose draws the list until something is chosen.
func choose(ctx context.Context, keys *keyboard, t Terminal, m *model) (int, error) {
	defer fmt.Fprint(t.Out, erase)
	fmt.Fprint(t.Out, markPastes)
	for {
		width, height := t.Size()
		fmt.Fprint(t.Out, m.draw(width, height, t.Styled))
		pressed, err := keys.next(ctx)
		switch {
		case err != nil:
			return 0, err
		case pressed == keyCancel:
			return 0, ErrCancelled
		case pressed == keyEnter && len(m.found) > 0:
			return m.found[m.at].Index, nil
		}
		m.press(pressed)
	}
}
