//go:build unix

package e2e

import (
	"regexp"
	"testing"
)

var warned = regexp.MustCompile(`(?m)^warning: `)

// TestKeysBesideAPipe: where stdin is a terminal and stdout is not, a shell gets what is typed, without a
// prompt. A command gets it only with -i: the keys are for the next command in the pipe.
func TestKeysBesideAPipe(t *testing.T) {
	t.Parallel()
	const read = `if read -r line; then echo "[$line]"; else echo none; fi`
	for _, tt := range []struct {
		name  string
		args  []string
		typed string
		want  string
	}{
		{"a shell", nil, "echo \"[$((6 * 7))]\"; exit\n", "[42]\n"},
		{"a command", []string{"--", "sh", "-c", read}, "", "none\n"},
		{"a command with -i", []string{"-i", "--", "sh", "-c", read}, "keys\n", "[keys]\n"},
		{"a command without stdin", []string{"-i=false", "--", "sh", "-c", read}, "", "none\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			term, printed := openInto(t, append([]string{"eshell", "deploy/bash"}, tt.args...)...)
			session := term.session()
			if tt.typed != "" {
				term.typed(tt.typed)
			}
			term.ended(0, session)
			if got := printed(); got != tt.want {
				t.Errorf("stdout is %q, want %q", got, tt.want)
			}
			if screen, _ := term.shown(); warned.MatchString(screen) {
				t.Errorf("a warning is on the terminal:\n%s", screen)
			}
		})
	}
}
