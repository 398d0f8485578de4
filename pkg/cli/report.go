package cli

import (
	"strings"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// Created prints the session's headline, what it keeps and what differs from the source, and last
// what the user should act on. The reasons of most are left to --explain.
func (p *printer) Created(planned *plan.Plan) {
	p.tell(planned.Headline)
	p.list("keeps", planned.Notes, plan.Kept)
	for _, note := range planned.Notes {
		if note.Kind == plan.Changed {
			p.tell("  " + sentence(note))
		}
	}
	p.list("left out", planned.Notes, plan.LeftOut)
	p.warnings(planned.Notes)
}

func (p *printer) warnings(notes []plan.Note) {
	for _, note := range notes {
		if note.Kind == plan.Warning {
			p.once("warning: ", sentence(note))
		}
	}
}

// list prints the notes of a kind on one line.
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
