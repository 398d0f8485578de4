package picker

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sahilm/fuzzy"
)

// The styles of a text: SGR of ECMA-48.
const (
	plain   = ""
	faint   = "2"
	bold    = "1"
	matched = "1;4"
)

// draw returns what shows the list instead of what was drawn before. The cursor stays in the first row, which
// is short: wherever a change of the terminal's size moves the rows below, all of them are erased. No row is
// as wide as the terminal, so that none is wrapped.
func (m *model) draw(width, height int, styled bool) string {
	var screen strings.Builder
	shown := m.visible(height)
	first := row{room: max(1, width-1), styled: styled}
	first.write(m.Prompt+": ", bold)
	filter := m.filter
	for len(filter) > 0 && first.used+cellsOf(string(filter)) >= first.room {
		filter = filter[1:]
	}
	first.write(string(filter), plain)
	column := first.used
	first.write("  "+m.state(), faint)
	screen.WriteString("\r\x1b[J" + first.text.String())
	for n, match := range shown {
		next := row{room: max(1, width-1), styled: styled}
		m.drawItem(&next, match, m.top+n == m.at)
		screen.WriteString("\r\n" + next.text.String())
	}
	if len(shown) > 0 {
		fmt.Fprintf(&screen, "\x1b[%dA", len(shown))
	}
	fmt.Fprintf(&screen, "\r\x1b[%dC", column)
	return screen.String()
}

// state says how many items there are and, before anything is typed, what to do.
func (m *model) state() string {
	if len(m.filter) > 0 {
		return fmt.Sprintf("%d of %d %s", len(m.found), len(m.Items), m.Place)
	}
	return fmt.Sprintf("type to filter, Esc leaves; %d %s", len(m.Items), m.Place)
}

func (m *model) drawItem(to *row, match fuzzy.Match, chosen bool) {
	pointer, style := "  ", plain
	if chosen {
		pointer, style = "> ", bold
	}
	to.write(pointer, style)
	from := 0
	for _, at := range match.MatchedIndexes {
		_, size := utf8.DecodeRuneInString(match.Str[at:])
		to.write(match.Str[from:at], style)
		to.write(match.Str[at:at+size], matched)
		from = at + size
	}
	to.write(match.Str[from:], style)
	widest := to.room / 2 // a longer name takes the room of its own details, not of others'
	gap := min(m.widths[0], widest) - cellsOf(match.Str)
	for n, detail := range m.Items[match.Index].Details {
		to.write(strings.Repeat(" ", max(0, gap)+2)+detail, plain)
		gap = min(m.widths[n+1], widest) - cellsOf(detail)
	}
}

// row is a row of the screen. What does not fit into it is left out.
type row struct {
	text       strings.Builder
	room, used int
	styled     bool
}

func (r *row) write(text, style string) {
	fits := len(text)
	for at, char := range text {
		if r.used+cells(char) > r.room {
			fits, r.used = at, r.room
			break
		}
		r.used += cells(char)
	}
	if text = text[:fits]; text == "" || style == plain || !r.styled {
		r.text.WriteString(text)
		return
	}
	r.text.WriteString("\x1b[" + style + "m" + text + "\x1b[0m")
}
