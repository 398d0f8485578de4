package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// Created prints the session's headline, what it keeps and what differs from the source, and finally what the
// user should act on. The reasons for most of this are left to --explain.
func (p *printer) Created(planned *plan.Plan) {
	p.tell(p.headline(planned))
	p.list("keeps", planned.Notes, plan.Kept)
	for _, note := range planned.Notes {
		if note.Kind == plan.Changed {
			p.tell("  " + sentence(note))
		}
	}
	p.list("left out", planned.Notes, plan.LeftOut)
	p.warnings(planned.Notes)
}

// headline returns the session in one line, with its cluster if the kubeconfig has several.
func (p *printer) headline(planned *plan.Plan) string {
	if p.context == "" {
		return planned.Headline
	}
	return planned.Headline + ", context " + p.context
}

func (p *printer) warnings(notes []plan.Note) {
	for _, note := range notes {
		if note.Kind == plan.Warning {
			p.once("warning: ", sentence(note))
		}
	}
}

// list prints the notes of one kind on one line.
func (p *printer) list(title string, notes []plan.Note, kind plan.NoteKind) {
	var what []string
	for _, note := range notes {
		if note.Kind == kind {
			what = append(what, note.What)
		}
	}
	if len(what) > 0 {
		p.tell("  " + title + ": " + strings.Join(what, ", "))
	}
}

// tell prints a line once, unless quiet.
func (p *printer) tell(line string) {
	if !p.quiet {
		p.once("", line)
	}
}

func sentence(note plan.Note) string {
	if note.Reason == "" {
		return note.What
	}
	return note.What + ": " + note.Reason
}

// chapter is one kind of notes in a full explanation.
type chapter struct {
	title string
	kind  plan.NoteKind
}

func chapters() []chapter {
	return []chapter{{"keeps", plan.Kept}, {"changed", plan.Changed}, {"left out", plan.LeftOut},
		{"details", plan.Detail}}
}

// explain writes a plan's headline and notes with their reasons, chapter by chapter.
func explain(out io.Writer, headline string, notes []plan.Note, chapters []chapter) error {
	var text strings.Builder
	fmt.Fprintln(&text, cell(headline))
	for _, c := range chapters {
		table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
		rows := 0
		for _, note := range notes {
			if note.Kind != c.kind {
				continue
			}
			if rows++; rows == 1 {
				fmt.Fprintf(&text, "\n%s:\n", c.title)
			}
			row := "  " + cell(note.What)
			if note.Reason != "" {
				row += "\t" + cell(note.Reason)
			}
			fmt.Fprintln(table, row)
		}
		_ = table.Flush() // into memory
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// cell returns text so that it stays in its row and column.
func cell(text string) string { return strings.Join(strings.Fields(plain(text)), " ") }

// account prints on stderr what a dry run's pod would be, with the reasons for everything.
func (p *printer) account(planned *plan.Plan) {
	if !p.quiet {
		p.mu.Lock()
		// As for every line: a stderr that is gone cannot be reported.
		_ = explain(p.out, p.headline(planned), planned.Notes, chapters())
		p.mu.Unlock()
	}
	p.warnings(planned.Notes)
}
