package picker

import (
	"slices"
	"strings"
	"unicode"

	"github.com/sahilm/fuzzy"
	"golang.org/x/text/width"
)

// mostRows is how many rows the list takes on the screen, with the one for what is typed.
const mostRows = 10

// model is the list as it is at the moment.
type model struct {
	List
	names  []string // of the items
	widths []int    // of the columns: the names and their details
	filter []rune
	found  fuzzy.Matches // what the filter leaves, the best first
	at     int           // the chosen one of those
	top    int           // the first one that is shown
	rows   int           // how many are shown at most
}

func newModel(l List) *model {
	m := &model{List: l.printable(), rows: mostRows - 1}
	for _, item := range m.Items {
		m.names = append(m.names, item.Name)
		for n, text := range slices.Concat([]string{item.Name}, item.Details) {
			if n == len(m.widths) {
				m.widths = append(m.widths, 0)
			}
			m.widths[n] = max(m.widths[n], cellsOf(text))
		}
	}
	m.find()
	return m
}

// printable returns the list without what would control a terminal.
func (l List) printable() List {
	cleaned := List{Prompt: printable(l.Prompt), Place: printable(l.Place)}
	for _, item := range l.Items {
		item = Item{printable(item.Name), append([]string(nil), item.Details...)}
		for n, detail := range item.Details {
			item.Details[n] = printable(detail)
		}
		cleaned.Items = append(cleaned.Items, item)
	}
	return cleaned
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !isPrintable(r) {
			return -1
		}
		return r
	}, text)
}

// isPrintable reports whether a character takes one or two places of its own. Marks, which take none, would
// have to be counted as one with what they stand on.
func isPrintable(r rune) bool { return unicode.IsPrint(r) && !unicode.IsMark(r) }

// cells returns how many places of the screen a character takes.
func cells(r rune) int {
	if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
		return 2
	}
	return 1
}

func cellsOf(text string) (n int) {
	for _, r := range text {
		n += cells(r)
	}
	return n
}

// find applies the filter. Spaces in it mean nothing: no name has one. Without a filter the order is that of
// the items.
func (m *model) find() {
	m.at, m.top = 0, 0
	pattern := strings.ReplaceAll(string(m.filter), " ", "")
	if pattern != "" {
		m.found = fuzzy.Find(pattern, m.names)
		return
	}
	m.found = make(fuzzy.Matches, len(m.names))
	for n, name := range m.names {
		m.found[n] = fuzzy.Match{Str: name, Index: n}
	}
}

// press changes the list as a key tells.
func (m *model) press(k key) {
	switch k {
	case keyUp:
		m.moveTo(m.at - 1)
	case keyDown:
		m.moveTo(m.at + 1)
	case keyPageUp:
		m.moveTo(m.at - m.rows)
	case keyPageDown:
		m.moveTo(m.at + m.rows)
	case keyHome:
		m.moveTo(0)
	case keyEnd:
		m.moveTo(len(m.found) - 1)
	case keyBackspace:
		m.keep(len(m.filter) - 1)
	case keyErase:
		m.keep(0)
	case keyEraseWord:
		m.keep(m.lastWord())
	default:
		if k >= 0 {
			m.filter = append(m.filter, rune(k))
			m.find()
		}
	}
}

func (m *model) moveTo(at int) { m.at = max(0, min(at, len(m.found)-1)) }

// keep keeps the first n characters of the filter.
func (m *model) keep(n int) {
	if n < 0 || n == len(m.filter) {
		return
	}
	m.filter = m.filter[:n]
	m.find()
}

// lastWord returns where the last word of the filter begins.
func (m *model) lastWord() int {
	inWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	n := len(m.filter)
	for n > 0 && !inWord(m.filter[n-1]) {
		n--
	}
	for n > 0 && inWord(m.filter[n-1]) {
		n--
	}
	return n
}

// visible returns the items that are shown on a screen of a height, among them the chosen one. A screen of
// one row shows what is typed alone.
func (m *model) visible(height int) fuzzy.Matches {
	m.rows = max(0, min(mostRows, height)-1)
	if m.rows == 0 {
		return nil
	}
	m.top = max(0, min(m.top, m.at, len(m.found)-m.rows), m.at-m.rows+1)
	return m.found[m.top:min(m.top+m.rows, len(m.found))]
}
