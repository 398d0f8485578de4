package record

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

// Format is a version of the format of asciinema.
type Format int

// The formats. The exit status is an event of its own in V3. V2 has none, so there it is a marker.
const (
	V2 Format = 2
	V3 Format = 3
)

// Header is what a recording says about itself.
type Header struct {
	Columns, Rows int    // of the terminal; 0: 80 and 24
	Term          string // the type of the terminal; empty: there is none
	Title         string
	Command       string // empty: a shell
	Session       any    // whatever JSON can say; players ignore the key
}

func (h Header) columns() int { return cmp.Or(h.Columns, 80) }
func (h Header) rows() int    { return cmp.Or(h.Rows, 24) }

// json returns the header in a format. What both have in common is in the same words.
func (h Header) json(format Format, begun time.Time) ([]byte, error) {
	header := struct {
		Version   Format            `json:"version"`
		Width     int               `json:"width,omitempty"`
		Height    int               `json:"height,omitempty"`
		Term      map[string]any    `json:"term,omitempty"`
		Timestamp int64             `json:"timestamp"`
		Command   string            `json:"command,omitempty"`
		Title     string            `json:"title,omitempty"`
		Env       map[string]string `json:"env,omitempty"`
		Session   any               `json:"eshell,omitempty"`
	}{Version: format, Timestamp: begun.Unix(), Command: h.Command, Title: h.Title, Session: h.Session}
	if format == V2 {
		header.Width, header.Height = h.columns(), h.rows()
		if h.Term != "" {
			header.Env = map[string]string{"TERM": h.Term}
		}
		return marshal(header)
	}
	header.Term = map[string]any{"cols": h.columns(), "rows": h.rows()}
	if h.Term != "" {
		header.Term["type"] = h.Term
	}
	return marshal(header)
}

// marshal returns JSON that a person can read: commands have > and &.
func marshal(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}

// code is the kind of an event.
type code byte

const (
	output code = 'o'
	input  code = 'i'
	resize code = 'r'
	marker code = 'm'
	exit   code = 'x'
)

const (
	// page divides the smallest unit in which an operating system lets a file grow. When the process is
	// killed or the power fails, a file can end at any page. No line crosses one, so what is left is lines.
	page = 4 << 10
	// least is more than the length of a line with one character, or with a number.
	least = 96
)

// file is one file of a recording.
type file struct {
	*os.File
	path   string
	format Format
	size   int64
	last   time.Duration // when the last event was
}

// create creates the file of a path. Whatever is there is left alone: a file, a link, a pipe, a device.
func create(path string, format Format) (*file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	created := &file{File: f, path: path, format: format}
	if err := f.Chmod(0o600); err != nil { // the umask may have taken the owner's rights
		_ = created.remove()
		return nil, err
	}
	return created, nil
}

// remove removes the file, unless another one has its path now.
func (f *file) remove() error {
	defer f.Close()
	own, err := f.Stat()
	if err != nil {
		return err
	}
	found, err := os.Lstat(f.path)
	if err != nil || !os.SameFile(own, found) {
		return err
	}
	f.Close() // Windows removes no file that is open
	return os.Remove(f.path)
}

// begin writes the header, in place of what was there.
func (f *file) begin(h Header, begun time.Time) error {
	line, err := h.json(f.format, begun)
	if err != nil {
		return err
	}
	f.size, f.last = 0, 0
	if err := f.Truncate(0); err != nil {
		return err
	}
	return f.append(line)
}

// append adds a line, with one call. What was written of a line that does not fit on the disk is taken back.
func (f *file) append(line []byte) error {
	end := f.size + int64(len(line)) + 1
	if room := page - end%page; room < least {
		line = append(line, strings.Repeat(" ", int(room))...)
	}
	line = append(line, '\n')
	if _, err := f.WriteAt(line, f.size); err != nil {
		_ = f.Truncate(f.size)
		return err
	}
	f.size += int64(len(line))
	return nil
}

// add adds an event, in as many lines as it needs.
func (f *file) add(at time.Duration, c code, data string) error {
	for {
		line, rest := f.event(at, c, data)
		if err := f.append(line); err != nil {
			return err
		}
		f.last = at
		if data = rest; data == "" {
			return nil
		}
	}
}

// event returns a line that fits into the page, and the data that does not.
func (f *file) event(at time.Duration, c code, data string) (line []byte, rest string) {
	const end = `"]`
	if f.format == V3 {
		at = at.Truncate(time.Microsecond) - f.last.Truncate(time.Microsecond)
	}
	room := int(page-f.size%page) - len(end) - 1
	line = fmt.Appendf(nil, `[%d.%06d, "%c", "`, at/time.Second, at%time.Second/time.Microsecond, c)
	for n, r := range data {
		longer := appendRune(line, r)
		if len(longer) > room {
			return append(line, end...), data[n:]
		}
		line = longer
	}
	return append(line, end...), ""
}

// appendRune appends a character as JSON has it in a string.
func appendRune(text []byte, r rune) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(text, '\\', byte(r))
	case r == '\n':
		return append(text, '\\', 'n')
	case r == '\r':
		return append(text, '\\', 'r')
	case r < ' ' || r == '\x7f':
		return fmt.Appendf(text, `\u%04x`, r)
	}
	return utf8.AppendRune(text, r)
}
