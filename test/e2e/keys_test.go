//go:build unix

package e2e

import (
	"os"
	"path/filepath"
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
			out := filepath.Join(t.TempDir(), "out")
			stdout, err := os.Create(out)
			if err != nil {
				t.Fatal(err)
			}
			defer stdout.Close()
			term := env.open(t, stdout, append([]string{"eshell", "deploy/bash"}, tt.args...)...)
			session := term.session()
			if tt.typed != "" {
				term.typed(tt.typed)
			}
			term.ended(0, session)
			if got, err := os.ReadFile(out); err != nil || string(got) != tt.want {
				t.Errorf("stdout is %q, %v; want %q", got, err, tt.want)
			}
			if screen, _ := term.shown(); warned.MatchString(screen) {
				t.Errorf("a warning is on the terminal:\n%s", screen)
			}
		})
	}
}
