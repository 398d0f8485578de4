package agent

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"testing"
)

// FuzzStatusFilter: any bytes of a command, in pieces of any size, come out unchanged, and its status is its
// own: it does not know the mark.
func FuzzStatusFilter(f *testing.F) {
	const tag, id = "\x1eeshell x7k2p ", "0f1e2d3c-0f1e-4d3c-8b4a-0f1e2d3c4b5a"
	for _, said := range []string{"", "err\n", tag, tag + id + "\n", "\x1e", tag + "\n", "\x1e0f1e2d3c", "3\n", "\xff\x00"} {
		f.Add([]byte(said), byte(1), byte(3))
		f.Add([]byte(said), byte(0), byte(255))
	}
	f.Fuzz(func(t *testing.T, said []byte, size, status byte) {
		if bytes.Contains(said, []byte(endMark(id))) {
			t.Skip("it cannot know that")
		}
		stream := tag + id + "\n" + string(said) + endMark(id) + strconv.Itoa(int(status)) + "\n"
		passed, told := filtered(t, tag, stream, func() int { return 1 + int(size) })
		if passed != string(said) || told != int(status) {
			t.Errorf("of %q came %q, status %d, want %d", said, passed, told, status)
		}
	})
}

// FuzzGateReader: whatever comes before the mark, and in pieces of any size, only what comes after it is
// shown.
func FuzzGateReader(f *testing.F) {
	const mark = "eshell x7k2p"
	for _, before := range []string{"", "noise\n", mark, mark + " ready\n", mark + " \n", "eshell eshell x", mark + " 12x\n"} {
		f.Add([]byte(before), []byte("all\n"+mark+" 1 2\n"), byte(1))
		f.Add([]byte(before), []byte("\x00\xff"), byte(200))
	}
	f.Fuzz(func(t *testing.T, before, after []byte, size byte) {
		if opensGate(before, mark) {
			t.Skip("it is the mark's line itself")
		}
		var shown bytes.Buffer
		g := &gateReader{Writer: &shown, mark: mark, ready: func() {}, opened: func(string) {}}
		pieces := struct{ io.Writer }{g} // without a ReaderFrom
		stream := struct{ io.Reader }{strings.NewReader(string(before) + "\n" + mark + " 12 34\n" + string(after))}
		if _, err := io.CopyBuffer(pieces, stream, make([]byte, 1+int(size))); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(shown.Bytes(), after) {
			t.Errorf("of %q after %q came %q", after, before, shown.Bytes())
		}
	})
}

// opensGate reports whether a text has a line of the mark's that tells PIDs.
func opensGate(text []byte, mark string) bool {
	for line := range strings.SplitSeq(string(text)+"\n", "\n") {
		for at := strings.Index(line, mark); at >= 0; at = strings.Index(line, mark) {
			line = line[at+len(mark):]
			if pidWords.MatchString(strings.TrimSpace(line)) {
				return true
			}
		}
	}
	return false
}

// FuzzEnvLines: a value passes a terminal as short lines of printable ASCII, and is read as it was.
func FuzzEnvLines(f *testing.F) {
	for _, value := range []string{"", "s3cret", "a b\n", `\0101 %s`, "\xff\x7f\x1b", strings.Repeat("é", 3000)} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.Contains(value, "\x00") {
			t.Skip("no variable has it")
		}
		var read []byte
		for line := range strings.Lines(envLines([]Variable{{"A", value}}, true)) {
			line, whole := strings.CutSuffix(line, "\n")
			printable := !strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' })
			if !whole || len(line) > 4094 || !printable {
				t.Fatalf("the line %q", line)
			}
			if word, adds := strings.CutPrefix(line, "add A "); adds {
				read = append(read, octal(word)...)
			}
		}
		if string(read) != value {
			t.Errorf("%q is read as %q", value, read)
		}
	})
}

// octal reads a word as printf's %b does.
func octal(word string) []byte {
	var read []byte
	for word != "" {
		if digits, escaped := strings.CutPrefix(word, `\0`); escaped {
			read = append(read, (digits[0]-'0')<<6|(digits[1]-'0')<<3|(digits[2]-'0'))
			word = digits[3:]
			continue
		}
		read, word = append(read, word[0]), word[1:]
	}
	return read
}
