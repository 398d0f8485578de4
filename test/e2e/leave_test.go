//go:build unix

package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestLeave: a clone is left from the keyboard, and lives on beyond its lease with its files, until it is
// deleted. By attach, what runs in it goes on.
func TestLeave(t *testing.T) {
	t.Parallel()
	const lost = `; what runs in its shell has no terminal any more, and might end\r\n  its name: NAME\r\n` +
		`  a shell in it: kubectl eshell attach NAME `
	for _, place := range []struct {
		name string
		args []string
		says string
	}{
		{"by exec", []string{"eshell", "deploy/bash"}, lost},
		{"by exec, in dash", []string{"eshell", "deploy/dash"}, lost},
		{"by attach", []string{"eshell", "deploy/bash", "--via", "attach"},
			`, with its terminal\r\n  its name: NAME\r\n  return to it: kubectl attach -it NAME `},
	} {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			term := open(t, append(place.args, "--lease=20s")...)
			session := term.session()
			term.typed("i=0; while :; do i=$((i+1)); echo $i >/tmp/count; " +
				"[ $i -ne 5 ] || echo cou''nts; sleep 0.1; done\r")
			term.expect(`counts\r\n`)
			term.typed("\r~d")
			term.expect(`pod/` + session.pod + ` goes on without you, for at most 7h\d+m` +
				strings.ReplaceAll(place.says, "NAME", session.name()))
			if status := term.status(); status != 0 {
				t.Errorf("exit status %d, want 0", status)
			}
			term.restored()
			session.outlives(t, 25*time.Second)
			shows(t, []string{"eshell", "list"}, `(?m)^`+session.pod+` .* Running +\S+ +<none> +[78]h`)
			counted, err := strconv.Atoi(strings.TrimSpace(kubectl(t, "eshell", "attach", session.name(), "-q",
				"--", "sh", "-c", "until cat /tmp/count | grep .; do :; done")))
			if err != nil || counted < 5 || place.says != lost && counted < 100 {
				t.Errorf("it has counted to %d, %v", counted, err) // by exec it is the runtime's to end it
			}
			shows(t, []string{"eshell", "delete", session.name()}, `\A`+session.name()+` deleted\n\z`)
			session.gone(t)
		})
	}
}

// TestLeaveDebug: a debug session is not left, because nothing would end it; it says so, and goes on.
func TestLeaveDebug(t *testing.T) {
	t.Parallel()
	term := open(t, "eshell", "pod/target", "--mode", "debug")
	session := term.session()
	term.typed("echo rea''dy\r")
	term.expect(`ready\r\n`)
	term.typed("\r~d")
	term.expect(`this session cannot be left: nothing would end it\. ` +
		`To have one that goes on without you, start it with --detach`)
	term.typed("\r~?")
	term.expect(`~\. ends the session, ~~ types ~, ~\? lists these`)
	term.typed("exit 3\r")
	term.ended(3, session)
}
