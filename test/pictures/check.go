//go:build unix

package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/user"
	"regexp"
	"strconv"
	"strings"
)

const (
	// largest is the size of a picture, in bytes: a page with all of them is still quick on a phone.
	largest = 150_000
	// cell is the width of a character in svg-term's drawings: its font size times 0.6.
	cell = 1.002
)

// checkPicture reports what is wrong with a picture that has to show some texts, each within a line.
func checkPicture(content []byte, shows []string) error {
	lines, err := linesOf(content)
	if err != nil {
		return err
	}
	text := strings.Join(lines, "\n")
	for _, shown := range shows {
		if !strings.Contains(text, shown) {
			return fmt.Errorf("it does not show %q, but:\n%s", shown, text)
		}
	}
	for _, name := range private() {
		if regexp.MustCompile(`(?i)(^|[^\w-])` + regexp.QuoteMeta(name) + `($|[^\w-])`).MatchString(text) {
			return fmt.Errorf("it shows %q, which is a name of this machine", name)
		}
	}
	if len(content) > largest {
		return fmt.Errorf("it has %d bytes, more than %d", len(content), largest)
	}
	return nil
}

// private returns names of this machine and its user that are not everybody's.
func private() []string {
	var names []string
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	if u, err := user.Current(); err == nil && u.Username != "root" {
		names = append(names, u.Username, u.HomeDir)
	}
	if dir, err := os.Getwd(); err == nil {
		names = append(names, dir)
	}
	return names
}

// linesOf returns the lines of text in an SVG, which are those of a terminal if svg-term has drawn it. It
// draws each word by itself, and a line that is shown more than once only once.
func linesOf(content []byte) (lines []string, err error) {
	decoder := xml.NewDecoder(bytes.NewReader(content))
	var y, last string
	var x float64
	var inText bool
	for {
		token, err := decoder.Token()
		switch {
		case errors.Is(err, io.EOF):
			return lines, nil
		case err != nil:
			return nil, fmt.Errorf("it is not XML: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if inText = t.Name.Local == "text"; inText {
				x, y = number(t, "x"), attribute(t, "y")
			} else {
				last = "" // a line ends with what it is in
			}
		case xml.EndElement:
			inText = false
			if t.Name.Local != "text" {
				last = ""
			}
		case xml.CharData:
			if !inText {
				continue
			}
			if y != last {
				lines, last = append(lines, ""), y
			}
			line := &lines[len(lines)-1]
			gap := int(math.Round(x/cell)) - len([]rune(*line))
			*line += strings.Repeat(" ", max(0, gap)) + string(t)
		}
	}
}

func attribute(of xml.StartElement, name string) string {
	for _, a := range of.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func number(of xml.StartElement, name string) float64 {
	n, _ := strconv.ParseFloat(attribute(of, name), 64) // without one it is 0
	return n
}
