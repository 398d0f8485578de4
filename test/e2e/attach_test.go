//go:build unix

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// joinable are a clone and a debug session, each with a shell that attach joins.
var joinable = places("lease")[:3:3]

// name is what list calls a session.
func (s started) name() string {
	if s.container != "" {
		return s.container
	}
	return s.pod
}

// joined waits until one more shell is told of.
func (term *terminal) joined() {
	term.t.Helper()
	term.expect(`(?m)^pod/\S+: one more shell in container \S+, in namespace \S+\r\n`)
}

// TestAttach: as many shells as wanted share a session, which outlives them; with the session they end.
func TestAttach(t *testing.T) {
	t.Parallel()
	for _, place := range joinable {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			first := open(t, append(place.args, "--lease=20s")...)
			session := first.session()
			first.expect(prompt)
			session.told(t)
			var more []*terminal
			for n := range 2 {
				term := open(t, "eshell", "attach", session.name())
				term.joined()
				term.expect(prompt)
				term.typed(fmt.Sprintf("echo shell-$((%d+40)) $TERM; stty size\n", n))
				term.expect(fmt.Sprintf(`shell-%d xterm\r\n24 80\r\n`, n+40))
				more = append(more, term)
			}
			more[0].typed("exit 7\n")
			if got := more[0].status(); got != 7 {
				t.Errorf("exit status %d, want 7", got)
			}
			more[0].restored()
			first.typed("echo still-$((40+2)); exit 3\n")
			first.expect(`still-42\r\n`)
			first.ended(3, session)
			more[1].expect(`error: .* ended `)
			if got := more[1].status(); got != 125 {
				t.Errorf("exit status %d, want 125", got)
			}
			more[1].restored()
		})
	}
}

// TestAttachGone: a joined shell ends with its client, whatever becomes of that, and the session goes on.
func TestAttachGone(t *testing.T) {
	t.Parallel()
	ends := []struct {
		name   string
		end    func(*terminal)
		status int
	}{
		{"SIGTERM", func(term *terminal) { term.signal(syscall.SIGTERM) }, 143},
		{"closed terminal", (*terminal).hangUp, 129},
		{"SIGKILL", func(term *terminal) { term.signal(syscall.SIGKILL) }, 137},
	}
	for n, end := range ends {
		for m, tty := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, terminal %t", end.name, tty), func(t *testing.T) {
				t.Parallel()
				first := open(t, "eshell", "deploy/bash")
				session := first.session()
				first.expect(prompt)
				marker := fmt.Sprint(86420 + 2*n + m)
				term := open(t, "eshell", "attach", session.name(), fmt.Sprintf("--tty=%t", tty))
				term.joined()
				// on a terminal a job each
				term.typed("sleep " + marker + "& echo up-$((40+2)); sleep " + marker + "\n")
				term.expect(`up-42\r?\n`)
				end.end(term)
				if got := term.status(); got != end.status {
					t.Errorf("exit status %d, want %d", got, end.status)
				}
				if end.status != 137 { // nobody was there to restore it
					term.restored()
				}
				first.typed("while ps -o args | grep -v grep | grep -q " + marker +
					"; do sleep 1; done; echo gone-$((40+2))\n")
				first.expectWithin(2*time.Minute, `gone-42\r\n`)
				first.typed("exit\n")
				first.ended(0, session)
			})
		}
	}
}

// TestAttachReaped: no process of ours stays as a zombie of an application that reaps none.
func TestAttachReaped(t *testing.T) {
	t.Parallel()
	first := open(t, "eshell", "pod/target-reaped", "--mode", "debug")
	session := first.session()
	first.expect(prompt)
	session.told(t)
	zombies := func(round int) string {
		first.typed(fmt.Sprintf("echo zombies-$((%d+40)) $(cat /proc/[0-9]*/stat | grep -c ') Z ')\n", round))
		return first.expect(fmt.Sprintf(`zombies-%d (\d+)\r\n`, round+40))
	}
	before := zombies(0)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		term := open(t, "eshell", "attach", session.name(), "--tty=false", "--", "sh", "-c",
			"echo up; exec sleep 86450")
		term.expect(`up\r?\n`)
		term.signal(s)
		term.status()
	}
	first.typed("while ps -o args | grep -v grep | grep -q 86450; do sleep 1; done; sleep 1; echo gone-$((40+2))\n")
	first.expectWithin(2*time.Minute, `gone-42\r\n`)
	if after := zombies(1); after != before {
		t.Errorf("%s zombies, there were %s", after, before)
	}
	first.typed("exit\n")
	first.ended(0, session)
}

// TestAttachCommand: a command's own streams and status, and what cannot be joined.
func TestAttachCommand(t *testing.T) {
	t.Parallel()
	first := open(t, as("joiner", "deploy/bash")...)
	session := first.session()
	first.expect(prompt)
	here := namespaceFixture{namespace: env.namespace}
	end := here.run(t, "printf 'a\\nb\\n' | kubectl "+strings.Join(as("joiner", "attach", session.pod, "-qi"),
		" ")+" -- sh -c 'cat; echo oops >&2; exit 5'")
	if end.status != 5 || end.stdout != "a\nb\n" || end.stderr != "oops\n" {
		t.Errorf("%+v", end)
	}
	end = eshell(t.Context(), "attach", session.pod, "--", "true")
	if end.status != 125 || !strings.Contains(end.stderr,
		"error: session "+session.pod+" belongs to joiner, and you are ") {
		t.Errorf("somebody else's session: %+v", end)
	}
	end = eshell(t.Context(), "attach", "nosuch", "--", "true")
	if end.status != 125 || !strings.Contains(end.stderr,
		"error: no session is called nosuch in namespace ") {
		t.Errorf("no session: %+v", end)
	}
	first.typed("exit\n")
	first.ended(0, session)
}
