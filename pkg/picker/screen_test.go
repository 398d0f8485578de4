package picker

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// screen is a terminal's as far as the list uses it. reflows is what it does with rows that are longer than
// its new width: it wraps them, as most terminals do, or cuts them, as xterm does.
type screen struct {
	t             *testing.T
	width, height int
	reflows       bool
	rows          [][]rune // all that there ever were: those that have left the screen at its top come first
	row, column   int
}

// control matches a control sequence, or a character that stands for itself.
var control = regexp.MustCompile(`(?s)^(?:\x1b\[(\??)([0-9;]*)([A-Za-z])|.)`)

func newScreen(t *testing.T, width, height int) *screen {
	return &screen{t: t, width: width, height: height, rows: [][]rune{nil}}
}

// Write shows p. A sequence is never split between two writes.
func (s *screen) Write(p []byte) (int, error) {
	for rest := string(p); rest != ""; {
		match := control.FindStringSubmatch(rest)
		if match == nil {
			s.t.Fatalf("no terminal understands %q", rest)
		}
		rest = rest[len(match[0]):]
		if match[3] != "" {
			s.control(match[1]+match[3], match[2])
		} else {
			s.char([]rune(match[0])[0])
		}
	}
	return len(p), nil
}

func (s *screen) control(name, number string) {
	n, _ := strconv.Atoi(number)
	switch name {
	case "A":
		s.row = max(s.row-max(n, 1), len(s.rows)-s.height, 0)
	case "C":
		s.column = min(s.column+max(n, 1), s.width-1)
	case "J":
		s.rows = s.rows[:s.row+1]
		s.rows[s.row] = s.rows[s.row][:min(s.column, len(s.rows[s.row]))]
	case "m", "?h", "?l":
	default:
		s.t.Fatalf("the list is not expected to use %s", name)
	}
}

func (s *screen) char(char rune) {
	switch {
	case char == '\r':
		s.column = 0
	case char == '\n':
		s.row++
		if s.row == len(s.rows) {
			s.rows = append(s.rows, nil)
		}
	case char < ' ':
		s.t.Fatalf("the control character %q is on the screen", char)
	default:
		if s.column+cells(char) > s.width {
			s.t.Fatalf("a row is longer than the screen is wide, %d:\n%s", s.width, s)
		}
		for len(s.rows[s.row]) < s.column {
			s.rows[s.row] = append(s.rows[s.row], ' ')
		}
		s.rows[s.row] = append(s.rows[s.row][:s.column], char)
		s.column++
		if cells(char) == 2 {
			s.rows[s.row] = append(s.rows[s.row], 0)
			s.column++
		}
	}
}

// resize gives the screen another width. The cursor stays where it is in its row.
func (s *screen) resize(width int) {
	var rows [][]rune
	row := 0
	for n, text := range s.rows {
		if n == s.row {
			row = len(rows) + s.column/width
		}
		for s.reflows && len(text) > width {
			rows = append(rows, text[:width:width])
			text = text[width:]
		}
		rows = append(rows, text[:min(len(text), width):min(len(text), width)])
	}
	if !s.reflows {
		row = s.row
	}
	s.rows, s.row, s.width = rows, row, width
	if s.reflows {
		s.column %= width
	}
	s.column = min(s.column, width-1)
}

func (s *screen) String() string {
	var text strings.Builder
	for _, row := range s.rows {
		fmt.Fprintln(&text, strings.TrimRight(strings.ReplaceAll(string(row), "\x00", ""), " "))
	}
	return strings.TrimRight(text.String(), "\n")
}
