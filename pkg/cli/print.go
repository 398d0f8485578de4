package cli

// The rules of what eshell prints:
//
//   - stdout is the product: the command's output, byte for byte, and nothing else. Without a session
//     it is what was asked for instead: the account of --explain, the pod of --dry-run.
//   - stderr is the narration: what the session is, what it waits for, how it ended. -q silences it.
//   - Warnings and errors are always printed: they are what the user should act on.
//   - A line is a fact, told once: a second start does not repeat the first, nor one answer of the
//     server another. A hint is a line of its own.
//   - What comes from the cluster is text, never terminal control.
//   - Colours there are none; movement (the spinner) only on a terminal.

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"

	"k8s.io/cli-runtime/pkg/printers"
)

// printer tells a session's story on stderr. It is the session's Reporter, and prints the warnings of
// requests that are made at the same time.
type printer struct {
	out      io.Writer
	quiet    bool
	progress *progress

	mu   sync.Mutex // one at a time writes to out
	told map[string]bool
	raw  bool // the terminal is a session's
}

func newPrinter(out io.Writer, quiet bool) *printer {
	p := &printer{out: out, quiet: quiet, told: map[string]bool{}}
	if !quiet {
		p.progress = newProgress(out)
	}
	return p
}

// Waiting shows what the session waits for.
func (p *printer) Waiting(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.progress != nil {
		p.progress.show(plain(what))
	}
}

// Ready takes the progress line away.
func (p *printer) Ready() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.still()
}

// Raw says that a session has the terminal, or has it no more.
func (p *printer) Raw(raw bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.raw = raw && printers.IsTerminal(p.out)
}

func (p *printer) still() {
	if p.progress != nil {
		p.progress.clear()
	}
}

// Say prints a line unless quiet.
func (p *printer) Say(format string, args ...any) {
	if !p.quiet {
		p.line("", format, args...)
	}
}

// Warn prints a warning, quiet or not.
func (p *printer) Warn(format string, args ...any) { p.line("warning: ", format, args...) }

// HandleWarningHeader prints the API server's own warnings.
func (p *printer) HandleWarningHeader(code int, _ string, text string) {
	if code == 299 && text != "" { // as rest.WarningLogger: the only code in use
		p.once("warning: ", text)
	}
}

// once prints a line that has not been printed yet.
func (p *printer) once(prefix, text string) {
	p.mu.Lock()
	told := p.told[prefix+text]
	p.told[prefix+text] = true
	p.mu.Unlock()
	if !told {
		p.line(prefix, "%s", text)
	}
}

func (p *printer) line(prefix, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.still()
	line := prefix + plain(fmt.Sprintf(format, args...)) + "\n"
	if p.raw {
		// A raw terminal returns only when told to. The line comes below the cursor's: what was typed
		// there is still going to be run, and stays to be seen.
		line = "\r\n\x1b[K" + strings.ReplaceAll(line, "\n", "\r\n")
	}
	fmt.Fprint(p.out, line)
}

// plain takes out what a terminal would obey: control characters and marks that turn the direction
// of text. Tabs stay, and so do line breaks, but the lines that follow are indented: none of them
// can pass for one of ours.
func plain(text string) string {
	text = strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, text)
}
