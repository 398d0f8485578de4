package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/kubectl/pkg/util/term"
	"sigs.k8s.io/yaml"
)

// The rules for what eshell prints:
//
//   - stdout has the command's output, byte for byte, and nothing else. Without a session it has what was
//     requested instead: the explanation of --explain, or the pod of --dry-run.
//   - stderr has the progress: what the session is, what it is waiting for, how it ended. -q silences it.
//   - Warnings and errors are always printed, because the user should act on them.
//   - Each line states one fact, and is printed once. A second start does not repeat the lines of the
//     first, nor does one response of the server repeat another. A hint is on a separate line.
//   - Text from the cluster never controls the terminal.
//   - There is movement (the spinner, a list to choose from) and sound only on a terminal, and with neither
//     NO_COLOR nor TERM=dumb.

// printer prints a session's progress on stderr. It is the session's Reporter, and also prints the warnings
// of requests that are made at the same time.
type printer struct {
	out      *narration
	quiet    bool
	progress *progress
	context  string // the kubeconfig's, which tells the user what cluster this is; empty: there is no other
	// kubeContext is that of --context: commands that are printed get it too.
	kubeContext string

	mu   sync.Mutex // only one goroutine at a time writes to out
	told map[string]bool
	raw  bool // the terminal belongs to a session
}

func newPrinter(out io.Writer, quiet bool) *printer {
	p := &printer{out: narrate(out), quiet: quiet, told: map[string]bool{}}
	if !quiet {
		p.progress = &progress{out: p.out, printed: map[string]bool{},
			moving: isLively(p.out.Writer),
			width:  func() int { return widthOf(p.out.Writer) }}
	}
	return p
}

// isLively reports whether what is printed on out may move, have colours and make a sound.
// https://no-color.org: NO_COLOR counts unless it is empty.
func isLively(out io.Writer) bool {
	return printers.IsTerminal(out) && os.Getenv("TERM") != "dumb" && os.Getenv("NO_COLOR") == ""
}

// Waiting shows what the session is waiting for.
func (p *printer) Waiting(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.progress != nil {
		p.progress.show(plain(what))
	}
}

// Trouble prints what keeps a session from starting, and what to type, in lines that stay. Where what is
// waited for has such a line already, only the hint is new.
func (p *printer) Trouble(what, next string) {
	lines := "hint: " + inContext(next, p.kubeContext)
	switch {
	case p.progress == nil || p.progress.moving:
		lines = "warning: still waiting: " + what + "\n" + lines
	case !p.progress.tell(plain(what)):
		lines = "waiting: " + what + "\n" + lines
	}
	if next == "" {
		lines = strings.TrimSuffix(strings.TrimSuffix(lines, "hint: "), "\n")
	}
	if lines != "" {
		p.line("", "%s", lines)
	}
	p.Waiting(what) // the line that moves goes on
}

// Ready removes the progress line.
func (p *printer) Ready() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.still()
	if p.progress != nil {
		p.progress.over()
	}
}

// Raw records whether the terminal belongs to a session.
func (p *printer) Raw(raw bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.raw = raw && printers.IsTerminal(p.out.Writer)
}

func (p *printer) still() {
	if p.progress != nil {
		p.progress.clear()
	}
}

// Say prints a line unless quiet.
func (p *printer) Say(format string, args ...any) {
	if !p.quiet {
		p.Answer(format, args...)
	}
}

// Answer prints a line, even if quiet.
func (p *printer) Answer(format string, args ...any) {
	p.line("", "%s", inContext(fmt.Sprintf(format, args...), p.kubeContext))
}

// Warn prints a warning, even if quiet.
func (p *printer) Warn(format string, args ...any) {
	p.line("warning: ", "%s", inContext(fmt.Sprintf(format, args...), p.kubeContext))
}

// HandleWarningHeader prints the API server's own warnings.
func (p *printer) HandleWarningHeader(code int, _ string, text string) {
	if code == 299 && text != "" { // as in rest.WarningLogger: the only code in use
		p.once("warning: ", text)
	}
}

// once prints a line if it has not been printed before.
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
		// A raw terminal returns to the first column only on a carriage return. The line is printed below the
		// cursor's: what was typed there is still going to be run, and stays visible.
		line = "\r\n\x1b[K" + strings.ReplaceAll(line, "\n", "\r\n")
	}
	fmt.Fprint(p.out, line)
}

// plain removes what would control a terminal: control characters, and marks that change the direction of
// text. Tabs and line breaks stay, but all lines after the first are indented, so that none of them can pass
// for one of eshell's own. So does the beginning of what nobody could read.
func plain(text string) string {
	if len(text) > mostWords {
		text = strings.ToValidUTF8(text[:mostWords], "") + "..."
	}
	text = strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
	return strings.Map(func(r rune) rune {
		if controls(r) {
			return -1
		}
		return r
	}, text)
}

// mostWords is how many bytes of a text are printed: a server, or a proxy before it, can send any amount.
const mostWords = 64 << 10

// controls reports whether a character controls a terminal or the direction of text.
func controls(r rune) bool {
	return r != '\n' && r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// printDocument prints an object in a format of kubectl's.
func printDocument(object runtime.Object, printer printers.ResourcePrinter, format string,
	w io.Writer) error {
	if format != "json" && format != "yaml" {
		return written(printer.PrintObj(object, w))
	}
	var text bytes.Buffer
	if err := (&printers.JSONPrinter{}).PrintObj(object, &text); err != nil {
		return err
	}
	return printJSON(text.Bytes(), format, w)
}

// printJSON prints a document in JSON, or in YAML. Characters that control a terminal are escaped, and mean
// the same. YAML has escapes only in some of its strings. JSON, which is YAML too, takes its place where
// there are such characters.
func printJSON(document []byte, format string, w io.Writer) error {
	if format == "yaml" && !bytes.ContainsFunc(document, controls) {
		text, err := yaml.JSONToYAML(document)
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return written(err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, document, "", "    "); err != nil {
		return err
	}
	var escaped strings.Builder
	for _, r := range indented.String() {
		if controls(r) { // all of them have at most 16 bits
			fmt.Fprintf(&escaped, `\u%04x`, r)
		} else {
			escaped.WriteRune(r)
		}
	}
	_, err := io.WriteString(w, strings.TrimSuffix(escaped.String(), "\n")+"\n")
	return written(err)
}

const (
	frameTime = 100 * time.Millisecond
	// patience is how long a start may take before a line is worth printing: without a terminal a line stays,
	// and most sessions start at once.
	patience = time.Second
	// bellTime is how long a wait has to be for its end to ring the bell: by then users look elsewhere.
	bellTime = 20 * time.Second
)

// progress is the one line that shows what a session is waiting for. On a terminal it moves and goes away.
// Elsewhere each change is a line, once patience has passed.
type progress struct {
	out    io.Writer
	moving bool
	width  func() int // of the terminal

	mu      sync.Mutex
	what    string
	since   time.Time       // when the waiting began; zero: nothing is waited for
	foreign bool            // the last line may be one of the session's, without an end
	printed map[string]bool // reasons alternate while the kubelet retries
	stop    chan struct{}   // nil: nothing is shown
	stopped chan struct{}
}

func (p *progress) show(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what = what
	if p.since.IsZero() {
		p.since = time.Now()
	}
	if p.stop != nil {
		return
	}
	p.stop, p.stopped = make(chan struct{}), make(chan struct{})
	go p.run(p.stop, p.stopped)
}

// over ends the waiting: another begins anew.
func (p *progress) over() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.moving && !p.since.IsZero() && time.Since(p.since) >= bellTime {
		fmt.Fprint(p.out, "\a")
	}
	p.since, p.foreign = time.Time{}, true
}

// tell records that what is waited for has a line, and reports whether it had one.
func (p *progress) tell(what string) (had bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	had = p.printed[what]
	p.printed[what] = true
	return had
}

// clear removes the line. It returns when nothing more will be drawn.
func (p *progress) clear() {
	p.mu.Lock()
	stop, stopped := p.stop, p.stopped
	p.stop = nil
	p.mu.Unlock()
	if stop != nil {
		close(stop)
		<-stopped
	}
}

func (p *progress) run(stop, stopped chan struct{}) {
	defer close(stopped)
	ticker := time.NewTicker(frameTime)
	defer ticker.Stop()
	for frame := 0; ; frame++ {
		select {
		case <-stop:
			if p.moving && frame > 0 {
				fmt.Fprint(p.out, "\r\x1b[K")
			}
			return
		case <-ticker.C:
			p.draw(frame)
		}
	}
}

func (p *progress) draw(frame int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	waited := time.Since(p.since)
	switch {
	case p.moving:
		if p.foreign { // a row of blanks begins another row, unless the cursor is at the beginning of one
			fmt.Fprint(p.out, strings.Repeat(" ", p.width())+"\r")
			p.foreign = false
		}
		line := fmt.Sprintf("%c waiting %s: %s", `|/-\`[frame%4], waited.Truncate(time.Second), p.what)
		fmt.Fprint(p.out, "\r\x1b[K"+cut(line, p.width()))
	case waited >= patience && !p.printed[p.what]:
		p.printed[p.what] = true
		fmt.Fprintln(p.out, "waiting: "+p.what)
	}
}

// widthOf returns the width of a terminal.
func widthOf(out io.Writer) int {
	if size := (term.TTY{Out: out}).GetSize(); size != nil && size.Width > 0 {
		return int(size.Width)
	}
	return 80
}

// cut keeps a line within a terminal's width: a wrapped line could not be erased. It leaves room for the
// "^C" that the terminal echoes.
func cut(line string, width int) string {
	runes := []rune(strings.NewReplacer("\n", " ", "\t", " ").Replace(line))
	if room := max(width-len("^C")-1, 0); len(runes) > room {
		runes = runes[:room]
	}
	return string(runes)
}
