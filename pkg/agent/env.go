package agent

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"k8s.io/client-go/tools/remotecommand"
)

var (
	shellName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// A shell needs these for itself, changes them, or does not allow that they are set (bash(1), dash(1)).
	shellsOwn = regexp.MustCompile(`^(_|PATH|IFS|E?UID|PPID|OPTIND|OPTARG|OPTERR|SHELLOPTS|BASH.*|` +
		`S?RANDOM|SECONDS|LINENO|HIST.*|GROUPS|DIRSTACK|FUNCNAME|PIPESTATUS|EPOCH.*|COMP_.*|READLINE.*|` +
		`MAPFILE|TMOUT|POSIXLY_CORRECT|GLOBIGNORE|eshell_.*)$`)
)

// PassesEnv reports whether a variable of that name can be passed to a command over its stream.
func PassesEnv(name string) bool { return shellName.MatchString(name) && !shellsOwn.MatchString(name) }

// passEnv makes streams bring the variables to the command before the user's input, and drop what comes
// before the command's output. reads reports whether the command is to have input.
func (c *Client) passEnv(streams *remotecommand.StreamOptions, reads bool) {
	streams.Stdin = io.MultiReader(strings.NewReader(envLines(c.env, reads)), streams.Stdin)
	streams.Stdout = &gateReader{Writer: streams.Stdout, mark: c.envEnd, ready: func() {},
		opened: func(string) { c.begun.Store(true) }}
}

// longestPart is the length of a value's part in one line, before it is encoded.
const longestPart = 512

// envLines returns the lines for envScript. A byte that a shell or a terminal might change is written as
// printf's %b reads it, as \0 and three octal digits.
func envLines(env []Variable, reads bool) string {
	var lines strings.Builder
	for _, variable := range env {
		fmt.Fprintf(&lines, "set %s\n", variable.Name)
		for value := variable.Value; value != ""; {
			part := value[:min(len(value), longestPart)]
			value = value[len(part):]
			fmt.Fprintf(&lines, "add %s ", variable.Name)
			for _, b := range []byte(part) {
				if b > ' ' && b < 0x7f && b != '\\' {
					lines.WriteByte(b)
				} else {
					fmt.Fprintf(&lines, `\0%03o`, b)
				}
			}
			lines.WriteByte('\n')
		}
	}
	if reads {
		return lines.String() + "go\n"
	}
	return lines.String() + "go none\n"
}
