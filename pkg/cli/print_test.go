package cli

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// hostile is what a cluster may send; harmless is what may be printed of it.
const (
	hostile  = "a\x1b[2Jb\rc\u009b31md\u202ee\x00f\x7f\ag\u2066h"
	harmless = "a[2Jbc31mdefgh"
)

func TestPrinter(t *testing.T) {
	planned := &plan.Plan{Headline: "a clone of deployment/api", Notes: []plan.Note{
		{Kind: plan.LeftOut, What: "probes", Reason: "they would restart it"},
		{Kind: plan.Changed, What: "memory", Reason: "512Mi -> 2Gi"},
		{Kind: plan.Warning, What: "--cpu", Reason: "not for a debug container"},
		{Kind: plan.LeftOut, What: "sidecar istio", Reason: "it is not asked for"},
	}}
	tests := []struct {
		name       string
		tell       func(*printer)
		out, quiet string
	}{
		{"a line", func(p *printer) { p.Say("%s is %d", "it", 1) }, "it is 1\n", ""},
		{"a warning", func(p *printer) { p.Warn("%s is %d", "it", 1) }, "warning: it is 1\n", "warning: it is 1\n"},
		{"the server's warning", func(p *printer) { p.HandleWarningHeader(299, "-", "old") }, "warning: old\n", "warning: old\n"},
		{"another code", func(p *printer) { p.HandleWarningHeader(199, "-", "old") }, "", ""},
		{"no text", func(p *printer) { p.HandleWarningHeader(299, "-", "") }, "", ""},

		{"a plan", func(p *printer) { p.Created(planned) },
			"a clone of deployment/api\n" +
				"  memory: 512Mi -> 2Gi\n" +
				"  left out: probes, sidecar istio\n" +
				"warning: --cpu: not for a debug container\n",
			"warning: --cpu: not for a debug container\n"},
		{"a plan without notes", func(p *printer) { p.Created(&plan.Plan{Headline: "a clone"}) }, "a clone\n", ""},

		{"a hostile line", func(p *printer) { p.Say("%s", hostile) }, harmless + "\n", ""},
		{"a hostile warning", func(p *printer) { p.Warn("%s", hostile) }, "warning: " + harmless + "\n", "warning: " + harmless + "\n"},
		{"a hostile server", func(p *printer) { p.HandleWarningHeader(299, "-", hostile) },
			"warning: " + harmless + "\n", "warning: " + harmless + "\n"},
		{"a hostile plan", func(p *printer) {
			p.Created(&plan.Plan{Headline: hostile, Notes: []plan.Note{
				{Kind: plan.LeftOut, What: hostile}, {Kind: plan.Changed, What: hostile, Reason: hostile}}})
		}, harmless + "\n  " + harmless + ": " + harmless + "\n  left out: " + harmless + "\n", ""},
		{"a raw C1 byte", func(p *printer) { p.Say("a\x9b31m") }, "a\ufffd31m\n", ""},
		{"lines and columns", func(p *printer) { p.Say("a\tb\nhint: c\n") }, "a\tb\n  hint: c\n", ""},
		{"other languages", func(p *printer) { p.Say("größer שלום 猫") }, "größer שלום 猫\n", ""},
	}
	for _, tt := range tests {
		for quiet, want := range map[bool]string{false: tt.out, true: tt.quiet} {
			var out strings.Builder
			tt.tell(newPrinter(&out, quiet))
			if out.String() != want {
				t.Errorf("%s (quiet: %t):\n%q, want\n%q", tt.name, quiet, out.String(), want)
			}
		}
	}
}

// Requests that are made at the same time warn at the same time, while a start waits.
func TestPrinterIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock stands still: no wait is long enough to be told
		var out strings.Builder
		p := newPrinter(&out, false)
		var telling sync.WaitGroup
		for range 8 {
			telling.Go(func() {
				p.Waiting("pulling")
				p.HandleWarningHeader(299, "-", "old")
			})
		}
		telling.Wait()
		p.Ready()
		if got, want := out.String(), strings.Repeat("warning: old\n", 8); got != want {
			t.Errorf("printed %q, want %q", got, want)
		}
	})
}
