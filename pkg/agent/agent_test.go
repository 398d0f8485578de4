package agent

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

// TestNew: the words of each kind of session, and what its client is to know. The scripts, which have tests
// of their own, are written by name.
func TestNew(t *testing.T) {
	watchdog := Watchdog{Timeout: 2 * time.Minute, Relay: true}
	for name, change := range map[string]func(*Options){
		"exec":                  func(*Options) {},
		"exec-terminal":         func(o *Options) { o.TTY, o.Command = true, nil },
		"exec-size-placeholder": func(o *Options) { o.Command = []string{"echo", sizePlaceholder} },
		"exec-toolbox":          func(o *Options) { o.Toolbox = true },
		"exec-env":              func(o *Options) { o.Env = []Variable{{"PASSWORD", "s3cret"}} },
		"exec-terminal-env":     func(o *Options) { o.TTY, o.Env = true, []Variable{{"PASSWORD", "s3cret"}} },
		"attach":                func(o *Options) { o.Via = ViaAttach },
		"attach-terminal":       func(o *Options) { o.Via, o.TTY = ViaAttach, true },
		"attach-watchdog":       func(o *Options) { o.Via, o.Watchdog = ViaAttach, watchdog },
		"attach-no-relay": func(o *Options) {
			o.Via, o.Watchdog = ViaAttach,
				Watchdog{Timeout: 8 * time.Hour}
		},
		"attach-toolbox": func(o *Options) {
			o.Via, o.Watchdog, o.Toolbox = ViaAttach, watchdog,
				true
		},
		"direct": func(o *Options) {
			o.Via, o.Direct, o.Command = ViaAttach, true,
				[]string{"/server", "$(A)"}
		},
		"entrypoint":       func(o *Options) { o.Via, o.Entrypoint = ViaAttach, true },
		"entrypoint-shell": func(o *Options) { o.Via, o.Entrypoint, o.Command = ViaAttach, true, nil },
		"detached":         func(o *Options) { o.Detached, o.Command = true, nil },
		"detached-watchdog": func(o *Options) {
			o.Detached, o.Command, o.Watchdog = true, nil,
				Watchdog{Timeout: 8 * time.Hour}
		},
		"detached-command": func(o *Options) { o.Detached, o.Via = true, ViaAttach },
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Session: "x7k2p", Via: ViaExec, Command: []string{"report", "$HOME"}, Term: "xterm",
				HeartbeatTimeout: 2 * time.Minute}
			change(&o)
			golden(t, name, render(New(o)))
		})
	}
}

// TestIsIdler: the process of a detached session is recognized, of whichever release it is, and no other.
func TestIsIdler(t *testing.T) {
	idler := New(Options{Detached: true, Session: "x7k2p"})
	holder := New(Options{Via: ViaExec, Session: "x7k2p", HeartbeatTimeout: time.Minute})
	for name, tt := range map[string]struct {
		command     []string
		scripts     string
		ours, idles bool
	}{
		"an idler":                   {idler.Process, idler.Scripts, true, true},
		"a holder":                   {holder.Process, holder.Scripts, true, false},
		"scripts of another release": {idler.Process, "# kubectl-eshell: others", true, true},
		"another release's": {[]string{"sh", "-c", "# kubectl-eshell: ends when it is told to\nexec sleep 1",
			"x"}, "", true, true},
		"our words without scripts":    {idler.Process, "", false, false},
		"our words, somebody's script": {idler.Process, "exec sleep 1", false, false},
		"somebody's words":             {[]string{"echo", "it ends when it is told to\n"}, "", false, false},
		"more of our words": {[]string{"sh", "-c", "# kubectl-eshell: ends when it is told to stop\n"}, "",
			true, false},
		"nothing": {nil, "", false, false},
	} {
		ours, idles := IsOurs(tt.command, tt.scripts), IsIdler(tt.command, tt.scripts)
		if ours != tt.ours || idles != tt.idles {
			t.Errorf("%s: ours %t, an idler %t; want %t, %t", name, ours, idles, tt.ours, tt.idles)
		}
	}
}

// TestJoin: the words of one more command in a session that runs.
func TestJoin(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"join":          func(*Options) {},
		"join-terminal": func(o *Options) { o.TTY = true },
		"join-toolbox":  func(o *Options) { o.Toolbox = true },
		"join-inline":   func(o *Options) { o.Inline = true },
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Session: "x7k2p", Command: []string{"report"}, Term: "xterm",
				HeartbeatTimeout: time.Minute}
			change(&o)
			golden(t, name, render(Join(o)))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the agent is not %s (write it anew with -update, then read the difference):\n%s", file, got)
	}
}

func render(a Agent) string {
	var b strings.Builder
	fmt.Fprintf(&b, "via %s, terminal %t, detached %t\n", a.Via, a.TTY, a.Detached)
	fmt.Fprintf(&b, "heartbeats within %s, attached within %s\n", a.HeartbeatTimeout, a.AttachTimeout)
	fmt.Fprintf(&b, "stdin %t, once %t, terminal %t\n", a.Stdin, a.StdinOnce, a.ContainerTTY)
	fmt.Fprintf(&b, "scripts in the environment %t\n", a.Scripts != "")
	fmt.Fprintf(&b, "gate %q, end %q, %d variables\n", a.gateMark, a.endTag, len(a.env))
	for _, words := range []struct {
		of    string
		words []string
	}{{"process", a.Process}, {"args", a.Args}, {"command", a.command},
		{"command at 24 80", a.commandAt("24 80")}, {"relay", a.relay}, {"kill", a.kill}} {
		fmt.Fprintf(&b, "%s: %q\n", words.of, shorten(words.words))
	}
	return b.String()
}

// shorten writes the scripts by name, also those that are escaped.
func shorten(words []string) []string {
	scripts := map[string]string{
		"HOLDER": holderScript, "IDLER": idlerScript, "GATE": gateScript, "RELAY": relayScript,
		"KILL": killScript, "ENV": envScript,
		"LAUNCH": launchScript, "DRAIN": drainScript, "TOOLS": toolScript,
	}
	var short []string
	for _, word := range words {
		for name, script := range scripts {
			if word == script || word == Escape([]string{script})[0] {
				word = name
			}
		}
		short = append(short, word)
	}
	return short
}
