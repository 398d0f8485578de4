//go:build unix

package e2e

import (
	"regexp"
	"strings"
	"time"
)

// columns is the width of a reader's terminal. Nothing in a page is wider.
const columns = 200

// anyPrompt matches what a shell in a container shows last, when it waits for a command.
var anyPrompt = regexp.MustCompile(`(?:^|\n)(?:bash-5\.2[#$]|/\S* [#$]|~ [#$]) \z`)

// typedLine matches a line of a console that is typed, and its prompt.
var typedLine = regexp.MustCompile(`^(\$|bash-5\.2[#$]|/\S* [#$]|~ [#$]|[a-z]+\([a-z]+\)>) (.*)\n`)

// dialog is what is typed on a terminal, and what it shows since.
type dialog struct {
	term *terminal
	from int // what the screen had shown when the last line was typed
}

// invisible matches what a terminal does not show as text.
var invisible = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]|\x07`)

// overwritten matches what a line has shown before it was written again.
var overwritten = regexp.MustCompile(`(?m)^.*\r(?:\x1b\[K)?`)

func visible(screen string) string {
	screen = strings.ReplaceAll(screen, "\r\n", "\n")
	return invisible.ReplaceAllString(overwritten.ReplaceAllString(screen, ""), "")
}

// shown returns what the terminal shows since the last line was typed.
func (d *dialog) shown() (text string, news chan struct{}) {
	screen, news := d.term.shown()
	return visible(screen[d.from:]), news
}

// all returns what the terminal has shown.
func (d *dialog) all() string {
	screen, _ := d.term.shown()
	return visible(screen)
}

// await waits for a prompt, and reports whether there is one. There is none when the command has ended.
func (d *dialog) await(prompt *regexp.Regexp) bool {
	d.term.t.Helper()
	deadline := time.After(patience)
	for {
		text, news := d.shown()
		if prompt.MatchString(text) {
			return true
		}
		select {
		case <-news:
		case <-d.term.exited:
			return false
		case <-deadline:
			d.term.t.Fatalf("the terminal has shown neither a prompt nor an end; it showed:\n%s", d.all())
		}
	}
}

// typed types a line.
func (d *dialog) typed(line string) {
	d.term.t.Helper()
	screen, _ := d.term.shown()
	d.from = len(screen)
	d.term.typed(line + "\r")
}

// typing is a line that is typed in a console, and what it shows then.
type typing struct{ prompt, line, shows string }

func steps(console string) []typing {
	var all []typing
	for line := range strings.Lines(console) {
		if typed := typedLine.FindStringSubmatch(line); typed != nil {
			all = append(all, typing{prompt: typed[1], line: typed[2]})
			continue
		}
		all[len(all)-1].shows += line
	}
	return all
}

// follow types what a console of the page has typed, and compares what the terminal shows. A command that
// fails is followed by a look at its exit status.
func (r *reader) follow(console string) {
	r.t.Helper()
	before := len(r.statuses())
	all := append(steps(console), typing{prompt: "$"})
	said := &dialog{term: onTerminal(r.t, r.shell("--norc", "--noprofile", "--noediting", "-i"), columns, func() {})}
	r.reaches(said, all[0].prompt)
	before++ // the shell has written one already
	for i, step := range all[:len(all)-1] {
		started := func() {}
		if strings.Contains(step.line, "eshell ") {
			started = env.startOne()
		}
		said.typed(r.here(step.line))
		shown := r.reaches(said, all[i+1].prompt)
		started()
		if err := r.shows(step.shows, shown); err != nil {
			r.t.Errorf("%s: %v", step.line, err)
		}
		if all[i+1].prompt != "$" {
			continue
		}
		if now := r.statuses()[before:]; now[len(now)-1] != "0" && all[i+1].line != "echo $?" {
			r.t.Errorf("%s: exit status %s, which the page does not show; the terminal showed:\n%s", step.line,
				now[len(now)-1], said.all())
		}
	}
	said.typed("exit")
	said.term.status()
}

// reaches waits for a prompt, and returns what the terminal has shown before it since a line was typed.
func (r *reader) reaches(said *dialog, prompt string) string {
	r.t.Helper()
	if !said.await(regexp.MustCompile(`(?:\A|\n)` + regexp.QuoteMeta(prompt) + ` \z`)) {
		r.t.Fatalf("the shell has ended; the terminal showed:\n%s", said.all())
	}
	text, _ := said.shown()
	_, text, _ = strings.Cut(text, "\n") // what was typed
	return strings.TrimSuffix(text, prompt+" ")
}
