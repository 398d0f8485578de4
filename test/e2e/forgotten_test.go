//go:build unix

package e2e

import (
	"slices"
	"strings"
	"testing"
)

// idleWarning is what a session says that nothing happens in, after half of the time.
const idleWarning = `warning: \S.* ends in (?:5|10)s unless a key is typed: ` +
	`nothing was typed or shown for (?:5|10)s \(--idle\)\r\n`

// withEnvironment returns the run's programs with one more variable.
func withEnvironment(variable string) testEnv {
	w := env
	w.also = append(slices.Clone(w.also), variable)
	return w
}

// TestForgotten: a shell in which nothing happens is ended after a warning, with all that was its own. The
// team's default counts as what was typed.
func TestForgotten(t *testing.T) {
	t.Parallel()
	team := withEnvironment("ESHELL_IDLE=10s")
	for _, place := range []struct {
		name string
		open func(t *testing.T) *terminal
	}{
		{"clone by exec", func(t *testing.T) *terminal { return team.open(t, nil, "eshell", "deploy/bash") }},
		{"clone by attach", func(t *testing.T) *terminal {
			return team.open(t, nil, "eshell", "deploy/bash", "--via=attach", "--idle=0", "--idle=10s")
		}},
		{"debug by exec", func(t *testing.T) *terminal {
			return open(t, "eshell", "pod/target-shell", "--mode=debug", "--new", "--idle=10s")
		}},
	} {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			term := place.open(t)
			session := term.session()
			term.expect(idleWarning)
			term.expect(`error: .*` + session.name() + `.* ended: it was idle for 10s \(--idle\)\r\n` +
				`hint: for a longer time: --idle 20s; without an end: --idle 0\r\n`)
			term.ended(125, session)
		})
	}
	t.Run("one more shell", func(t *testing.T) {
		t.Parallel()
		session := detached(t, "deploy/bash --ttl=1h")
		term := team.open(t, nil, "eshell", "attach", session.name())
		term.joined()
		term.expect(`error: the command in .*` + session.pod + ` ended: it was idle for 10s \(--idle\)\r\n`)
		if got := term.status(); got != 125 {
			t.Errorf("exit status %d, want 125", got)
		}
		term.restored()
		shows(t, []string{"eshell", "list", session.name()}, ` Running `)
		shows(t, []string{"eshell", "delete", session.name()}, `\A`+session.name()+` deleted\n\z`)
		session.gone(t)
	})
}

// TestNotForgotten: output keeps a session alive, and so do keys that show nothing. A command that nobody can
// type anything for is never idle.
func TestNotForgotten(t *testing.T) {
	t.Parallel()
	t.Run("output", func(t *testing.T) {
		t.Parallel()
		term := open(t, "eshell", "deploy/bash", "--idle=10s", "--", "sh", "-c",
			"for i in 1 2 3 4 5 6; do echo $i; sleep 2; done; exit 7")
		session := term.session()
		term.ended(7, session)
	})
	t.Run("keys", func(t *testing.T) {
		t.Parallel()
		term := open(t, "eshell", "deploy/bash", "--idle=20s")
		session := term.session()
		term.expect(prompt)
		term.typed("IFS= read -rs -d q; exit 7\r")
		term.expect(idleWarning)
		term.typed("x")
		term.expect(idleWarning + `(?s:.*)` + idleWarning) // later than the end would have been
		term.typed("q")
		term.ended(7, session)
	})
	t.Run("a command without keys", func(t *testing.T) {
		t.Parallel()
		here := namespaceFixture{env.namespace}
		end := here.run(t, "ESHELL_IDLE=10s kubectl-eshell deploy/bash -- sh -c 'sleep 12; echo done'")
		if end.status != 0 || end.stdout != "done\n" || strings.Contains(end.stderr, "idle") {
			t.Errorf("exit status %d, stdout %q, stderr\n%s", end.status, end.stdout, end.stderr)
		}
	})
}

// TestDetachKeys: the keys of docker attach leave a clone, which is listed as detached and can be joined. The
// first of them alone is the shell's: bash goes back in its history.
func TestDetachKeys(t *testing.T) {
	t.Parallel()
	const back, out = "\x10", "\x10\x11" // ctrl-p; ctrl-p,ctrl-q
	for way, escape := range map[string]string{"exec": "%", "attach": "none"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			term := open(t, "eshell", "deploy/bash", "--via="+way, "--detach-keys=ctrl-p,ctrl-q", "--escape="+escape)
			session := term.session()
			term.expect(prompt)
			if way == "exec" {
				term.typed("%?")
				term.expect(`%\. ends the session, %d and ctrl-p,ctrl-q leave it, %% types %, %\? lists these`)
			}
			term.typed("echo on''ce\r")
			term.expect(`once\r\n`)
			term.typed(back + "\r")
			term.expect(`once\r\n(?s:.*)\r\nonce\r\n`)
			term.typed(back + out)
			term.expect(`pod/` + session.pod + ` goes on without you, for at most 7h\d+m.*\r\n  its name: ` +
				session.name() + `\r\n`)
			if status := term.status(); status != 0 {
				t.Errorf("exit status %d, want 0", status)
			}
			term.restored()
			shows(t, []string{"eshell", "list"}, `(?m)^`+session.pod+` .* Running +\S+ +<none> +[78]h`)
			if got := kubectl(t, "eshell", "attach", session.name(), "-q", "--", "echo", "here"); got != "here\n" {
				t.Errorf("a command in it printed %q", got)
			}
			shows(t, []string{"eshell", "delete", session.name()}, `\A`+session.name()+` deleted\n\z`)
			session.gone(t)
		})
	}
	t.Run("debug", func(t *testing.T) {
		t.Parallel()
		term := open(t, "eshell", "pod/target-shell", "--mode=debug", "--new", "--detach-keys=ctrl-p,ctrl-q")
		session := term.session()
		term.expect(prompt)
		term.typed(out)
		term.expect(`this session cannot be left: nothing would end it\.`)
		term.typed("\rexit 3\r")
		term.ended(3, session)
	})
}
