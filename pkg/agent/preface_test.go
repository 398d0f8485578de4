package agent

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestPreface: the user sees what comes before a script that is silent then, but not what a terminal has
// echoed, and none of it is the command's output.
func TestPreface(t *testing.T) {
	const mark = "\x1eeshell env x7k2p "
	for _, tt := range []struct {
		name string
		came []string
		told []string
	}{
		{"at once", []string{"warning: no locale\r\n"}, nil},
		{"a proxy's words", []string{"Waiting for ", "participants...\r\n\r\n", "", "ann has joined\r\n"},
			[]string{"Waiting for participants...", "ann has joined"}},
		{"a proxy that never pauses", slices.Repeat([]string{"Waiting...\r\n", "half"}, 8), []string{"Waiting..."}},
		{"half a line", []string{"add WO", ""}, nil},
		{"an echo", []string{"Waiting\r\n", "", "set WORD\r\nadd WORD hidden\r\nhidden\r\n", "", "more\r\n", ""},
			[]string{"Waiting"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []string
				c := &Client{Agent: &Agent{env: []Variable{{"WORD", "hidden"}}},
					Told: func(line string) { told = append(told, line) }}
				var out bytes.Buffer
				reader := &gateReader{Writer: &out, mark: mark, before: c.newPreface(),
					opened: func(string) {}}
				for _, part := range tt.came {
					switch part {
					case "":
						<-time.After(2 * prefaceTime)
					case "half":
						<-time.After(prefaceTime / 2)
						continue
					}
					_, _ = io.WriteString(reader, part)
				}
				if len(tt.came) > 1 {
					<-time.After(2 * prefaceTime)
				}
				synctest.Wait()
				_, _ = io.WriteString(reader, mark+"1\r\nout")
				<-time.After(2 * prefaceTime)
				if !slices.Equal(told, tt.told) || out.String() != "out" {
					t.Errorf("told %q, want %q; the output is %q", told, tt.told, out.String())
				}
			})
		})
	}
}

// TestPrefaceWithoutScript: the user sees what came when the stream ends without a script, up to a limit.
func TestPrefaceWithoutScript(t *testing.T) {
	var told []string
	c := &Client{Agent: &Agent{}, Told: func(line string) { told = append(told, line) }}
	p := c.newPreface()
	p.add([]byte("no shell here"))
	p.tellRest()
	p.add([]byte("late\n"))
	p.tellRest()
	if !slices.Equal(told, []string{"no shell here"}) {
		t.Errorf("told %q", told)
	}
	long := c.newPreface()
	for range 10 {
		long.add([]byte(strings.Repeat("x", mostPreface)))
	}
	if len(long.text) != mostPreface {
		t.Errorf("%d bytes are kept", len(long.text))
	}
	long.end()
}

// TestLongPreface: nothing is told of an echoed line whose beginning was lost.
func TestLongPreface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		c := &Client{Agent: &Agent{env: []Variable{{"WORD", "hidden"}}},
			Told: func(line string) { told = append(told, line) }}
		p := c.newPreface()
		p.add([]byte("Waiting\n" + strings.Repeat("x", mostPreface-9) + "\nset WORD "))
		<-time.After(2 * prefaceTime)
		p.add([]byte("hidden\n"))
		<-time.After(2 * prefaceTime)
		if len(told) != 2 || told[0] != "Waiting" || strings.Contains(told[1], "hidden") {
			t.Errorf("told %q", told)
		}
	})
}
