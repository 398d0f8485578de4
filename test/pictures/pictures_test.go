//go:build unix

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPictures: what is in the repository shows what it has to, and nothing of the machine that recorded it.
func TestPictures(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	wanted := map[string][]string{diagramName: {"Job: the lease", "every 40 s", "the pod it owned"}}
	for _, r := range recordings() {
		wanted[r.name] = r.shows
	}
	var paths []string
	for name, shows := range wanted {
		for _, theme := range []string{light, dark} {
			path := pictureOf(name, theme)
			paths = append(paths, path)
			content, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
			} else if err := checkPicture(content, shows); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	there, err := filepath.Glob(filepath.Join(picturesDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if !slices.Contains(paths, path) {
			t.Errorf("nothing makes %s", path)
		}
	}
}

// TestDiagram: the drawing in the repository is what diagram draws.
func TestDiagram(t *testing.T) {
	for _, theme := range []string{light, dark} {
		path := filepath.Join("..", "..", pictureOf(diagramName, theme))
		if content, err := os.ReadFile(path); err != nil || string(content) != diagram(theme) {
			t.Errorf("%s is stale (%v): go run ./test/pictures session", path, err)
		}
	}
}

// drawn is what svg-term makes of two lines, the first of which has a bold prompt and a gap.
const drawn = `<svg xmlns="http://www.w3.org/2000/svg"><style>.a{fill:red}</style><symbol id="1"><text y="1.67">$</text>` +
	`<text x="2.004" y="1.67">kubectl</text><text x="12.024" y="1.67">pods</text></symbol>` +
	`<svg><use y="0"/><text y="3.841">a &lt;b&gt;</text></svg></svg>`

func TestLines(t *testing.T) {
	lines, err := linesOf([]byte(drawn))
	if want := []string{"$ kubectl   pods", "a <b>"}; err != nil || !slices.Equal(lines, want) {
		t.Errorf("%q, %v, want %q", lines, err, want)
	}
}

func TestCheckPicture(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		content string
		want    string
	}{
		"good":           {drawn, ""},
		"another text":   {strings.ReplaceAll(drawn, "kubectl", "kubectx"), `does not show "$ kubectl"`},
		"cut off":        {drawn[:len(drawn)-3], "not XML"},
		"a host's name":  {strings.ReplaceAll(drawn, "pods", "me@"+host), "a name of this machine"},
		"much too large": {drawn + strings.Repeat(" ", largest), "more than"},
	} {
		err := checkPicture([]byte(test.content), []string{"$ kubectl"})
		if test.want == "" && err == nil {
			continue
		}
		if test.want == "" || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// TestCast: the shell's end is left out, a long pause is shortened, and the end of the recording is shown for
// a while.
func TestCast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.cast")
	recorded := `{"version": 2, "width": 80, "height": 24}
[0.5, "o", "\u001b[1m$\u001b[0m "]
[30.5, "o", "two\r\n"]
[31.0, "i", "typed"]
[31.5, "o", "$ \r\nexit"]
[31.6, "o", "gone"]
`
	if err := os.WriteFile(path, []byte(recorded), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readCast(path)
	if err != nil {
		t.Fatal(err)
	}
	c.cut(len("\x1b[1m$\x1b[0m two\r\n$ "))
	c.tighten()
	want := []event{{0.5, "\x1b[1m$\x1b[0m "}, {0.5 + longestPause, "two\r\n"}, {1.5 + longestPause, "$ "},
		{1.5 + longestPause + lastPause, ""}}
	if !slices.Equal(c.events, want) {
		t.Errorf("%+v, want %+v", c.events, want)
	}
	if at, err := c.momentOf("$ two"); err != nil || at != (500+longestPause*1000) {
		t.Errorf("\"$ two\" is shown at %d ms (%v), want the second event", at, err)
	}
	if _, err := c.momentOf("three"); err == nil {
		t.Error("what is never shown has a moment")
	}
	if err := c.write(path); err != nil {
		t.Fatal(err)
	}
	if again, err := readCast(path); err != nil || !slices.Equal(again.events, c.events) {
		t.Errorf("%v, %v, want %v", again, err, c.events)
	}
}

func TestNewerCast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.cast")
	if err := os.WriteFile(path, []byte(`{"version":3,"term":{"cols":80,"rows":24}}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readCast(path); err == nil || !strings.Contains(err.Error(), "install asciinema 2") {
		t.Errorf("%v, want what to install", err)
	}
}
