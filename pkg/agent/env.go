package agent

import (
	"fmt"
	"io"
	"regexp"
	"strings"
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

// afterEnv returns a writer to stdout for a command that gets its variables over its stream. It drops what
// comes before the command's output.
func (c *Client) afterEnv(stdout io.Writer) io.Writer {
	return &gateReader{Writer: stdout, mark: c.envEnd, ready: func() {}, before: c.newPreface(),
		opened: func(string) { c.begun.Store(true) }}
}

// withEnv returns an input that brings the variables before the user's input. reads reports whether the
// command is to have that.
func (c *Client) withEnv(stdin io.Reader, reads bool) io.Reader {
	return io.MultiReader(strings.NewReader(envLines(c.env, reads)), stdin)
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
