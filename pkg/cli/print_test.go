package cli

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/cli-runtime/pkg/genericclioptions"

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
		{Kind: plan.Detail, What: "annotation a", Reason: "nobody asks"},
		{Kind: plan.Kept, What: "service account api", Reason: "it is who the workload is"},
		{Kind: plan.Changed, What: "node a"},
		{Kind: plan.Kept, What: "claim data (shared with pod/api-0)"},
	}}
	short := "a clone of deployment/api\n" +
		"  keeps: service account api, claim data (shared with pod/api-0)\n" +
		"  memory: 512Mi -> 2Gi\n" +
		"  node a\n" +
		"  left out: probes, sidecar istio\n"
	const warned = "warning: --cpu: not for a debug container\n"
	tests := []struct {
		name       string
		tell       func(*printer)
		out, quiet string
	}{
		{"a line", func(p *printer) { p.Say("%s is %d", "it", 1) }, "it is 1\n", ""},
		{"a warning", func(p *printer) { p.Warn("%s is %d", "it", 1) }, "warning: it is 1\n",
			"warning: it is 1\n"},
		{"the server's warning", func(p *printer) { p.HandleWarningHeader(299, "-", "old") },
			"warning: old\n", "warning: old\n"},
		{"words without an end", func(p *printer) { p.Warn("%s", strings.Repeat("x", 10<<20)) },
			"warning: " + strings.Repeat("x", mostWords) + "...\n", "warning: " + strings.Repeat("x", mostWords) + "...\n"},
		{"a line while a session has the terminal", func(p *printer) {
			p.raw = true // as Raw does on a terminal
			p.Warn("a\nb")
			p.Raw(false)
			p.Warn("c")
		}, "\r\n\x1b[Kwarning: a\r\n  b\r\nwarning: c\n", "\r\n\x1b[Kwarning: a\r\n  b\r\nwarning: c\n"},
		{"where there is none", func(p *printer) {
			p.Raw(true)
			p.Warn("a")
		}, "warning: a\n", "warning: a\n"},
		{"another code", func(p *printer) { p.HandleWarningHeader(199, "-", "old") }, "", ""},
		{"no text", func(p *printer) { p.HandleWarningHeader(299, "-", "") }, "", ""},

		{"the same from the server", func(p *printer) {
			p.HandleWarningHeader(299, "-", "old")
			p.HandleWarningHeader(299, "-", "old")
			p.HandleWarningHeader(299, "-", "older")
		}, "warning: old\nwarning: older\n", "warning: old\nwarning: older\n"},

		{"a plan", func(p *printer) { p.Created(planned) }, short + warned, warned},
		{"a second start", func(p *printer) {
			p.Created(planned)
			again := *planned
			again.Headline = "another clone"
			again.Notes = append(slices.Clone(planned.Notes), plan.Note{Kind: plan.Changed, What: "new"})
			p.Created(&again)
		}, short + warned + "another clone\n  new\n", warned},
		{"a dry run", func(p *printer) { p.account(planned) }, "a clone of deployment/api\n\n" +
			"keeps:\n" +
			"  service account api  it is who the workload is\n" +
			"  claim data (shared with pod/api-0)\n\n" +
			"changed:\n" +
			"  memory  512Mi -> 2Gi\n" +
			"  node a\n\n" +
			"left out:\n" +
			"  probes         they would restart it\n" +
			"  sidecar istio  it is not asked for\n\n" +
			"details:\n" +
			"  annotation a  nobody asks\n" + warned, warned},
		{"a plan without notes", func(p *printer) { p.Created(&plan.Plan{Headline: "a clone"}) }, "a clone\n",
			""},

		{"trouble", func(p *printer) { p.Trouble("a node", "add one") },
			"waiting: a node\n  hint: add one\n", "warning: still waiting: a node\n  hint: add one\n"},
		{"trouble that has a line", func(p *printer) {
			if p.progress != nil {
				p.progress.tell("a node")
			}
			p.Trouble("a node", "add one")
		}, "hint: add one\n", "warning: still waiting: a node\n  hint: add one\n"},
		{"trouble of which nothing is known", func(p *printer) { p.Trouble("a node", "") }, "waiting: a node\n",
			"warning: still waiting: a node\n"},
		{"a plan in one of several clusters", func(p *printer) {
			p.context = "prod"
			p.Created(&plan.Plan{Headline: "a clone"})
		}, "a clone, context prod\n", ""},

		{"a hostile line", func(p *printer) { p.Say("%s", hostile) }, harmless + "\n", ""},
		{"a hostile warning", func(p *printer) { p.Warn("%s", hostile) }, "warning: " + harmless + "\n",
			"warning: " + harmless + "\n"},
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

// --explain is what was asked for, so it is told in full, and no row can pass for another.
func TestExplain(t *testing.T) {
	tests := []struct {
		name  string
		notes []plan.Note
		want  string
	}{
		{"nothing", nil, "a clone\n"},
		{"every kind", []plan.Note{
			{Kind: plan.Warning, What: "policy db", Reason: "refuses it"},
			{Kind: plan.Detail, What: "d", Reason: "why"},
			{Kind: plan.LeftOut, What: "l", Reason: "why"}, {Kind: plan.Changed, What: "c", Reason: "why"},
			{Kind: plan.Kept, What: "k", Reason: "why"},
		}, "a clone\n\nkeeps:\n  k  why\n\nchanged:\n  c  why\n\nleft out:\n  l  why\n\ndetails:\n  d  why\n\nwarnings:\n  policy db  refuses it\n"},
		{"hostile", []plan.Note{{Kind: plan.Kept, What: hostile, Reason: hostile}},
			"a clone\n\nkeeps:\n  " + harmless + "  " + harmless + "\n"},
		{"rows in a row", []plan.Note{{Kind: plan.Kept, What: "a\n\nleft out:\n", Reason: "b\tc"}},
			"a clone\n\nkeeps:\n  a left out:  b c\n"},
		{"other languages", []plan.Note{{Kind: plan.Kept, What: "größe", Reason: "x"},
			{Kind: plan.Kept, What: "grosse", Reason: "x"}},
			"a clone\n\nkeeps:\n  größe   x\n  grosse  x\n"},
	}
	for _, tt := range tests {
		var out strings.Builder
		err := explain(&out, "a clone", tt.notes,
			append(chapters(), chapter{"warnings", plan.Warning}))
		if err != nil || out.String() != tt.want {
			t.Errorf("%s: error %v,\n%s, want\n%s", tt.name, err, out.String(), tt.want)
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
				p.Warn("new")
			})
		}
		telling.Wait()
		p.Ready()
		lines := slices.Sorted(strings.Lines(out.String()))
		if want := append(slices.Repeat([]string{"warning: new\n"}, 8),
			"warning: old\n"); !slices.Equal(lines, want) {
			t.Errorf("printed %q, want %q", lines, want)
		}
	})
}

// TestPrintDocument: what a program reads is what the object has, and what a terminal gets controls nothing.
func TestPrintDocument(t *testing.T) {
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": "api", "annotations": map[string]any{"note": hostile, "tab": "a\tb"}}}}
	for _, format := range []string{"json", "yaml"} {
		printer, err := genericclioptions.NewJSONYamlPrintFlags().ToPrinter(format)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := printDocument(object, printer, format, &out); err != nil {
			t.Fatal(err)
		}
		if bytes.ContainsFunc(out.Bytes(), controls) {
			t.Errorf("%s controls a terminal: %q", format, &out)
		}
		read := map[string]any{}
		if err := yaml.Unmarshal(out.Bytes(), &read); err != nil || !reflect.DeepEqual(read, object.Object) {
			t.Errorf("%s is read as %q, %v; want %q", format, read, err, object.Object)
		}
	}
}

// TestCommandsMeanTheSameCluster: a command that is printed has the --context that was given, wherever it is.
func TestCommandsMeanTheSameCluster(t *testing.T) {
	var out strings.Builder
	p := newPrinter(&out, false)
	p.kubeContext = "prod"
	p.Say("a shell in it: kubectl eshell attach x -n shop")
	p.Warn("it is left: kubectl delete pod x -n shop")
	p.Trouble("scheduling", "kubectl describe node n")
	want := "a shell in it: kubectl eshell --context prod attach x -n shop\n" +
		"warning: it is left: kubectl --context prod delete pod x -n shop\n" +
		"waiting: scheduling\n  hint: kubectl --context prod describe node n\n"
	if out.String() != want {
		t.Errorf("printed\n%swant\n%s", &out, want)
	}
	quiet := newPrinter(&out, true)
	out.Reset()
	quiet.Say("not this")
	quiet.Answer("but this")
	if out.String() != "but this\n" {
		t.Errorf("quiet printed %q", &out)
	}
}
