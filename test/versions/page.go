package main

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// heading is the page's text above its tables.
//
//go:embed heading.md
var heading string

// render is the page. The runs are in order, the newest Kubernetes first.
func render(runs []*testRun) string {
	var page strings.Builder
	page.WriteString(heading)
	page.WriteString("| Kubernetes | date | what ran | result | what differs between versions |\n")
	page.WriteString("|---|---|---|---|---|\n")
	for _, r := range runs {
		fmt.Fprintf(&page, "| %s | %s | %s | %s | %s |\n", r.version, r.date.UTC().Format(time.DateOnly),
			r.ran(), cell(r.result()), cell(r.differs(runs)))
	}
	page.WriteString("\n## What ran\n\nCases that passed, of those that ran:\n\n| test |")
	for _, r := range runs {
		fmt.Fprintf(&page, " %s |", r.version)
	}
	page.WriteString("\n|---|" + strings.Repeat("---|", len(runs)) + "\n")
	for _, name := range groups(runs) {
		fmt.Fprintf(&page, "| %s |", name)
		for _, r := range runs {
			fmt.Fprintf(&page, " %s |", r.count(name))
		}
		page.WriteString("\n")
	}
	return page.String()
}

// cell makes text fit into a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}

// ran says how much has run.
func (r *testRun) ran() string {
	cases := r.ended(r.cases(""), "pass", "fail", "")
	if len(cases) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%d cases in %s", len(cases), r.elapsed.Round(time.Second))
}

// result says whether they passed, and otherwise what failed.
func (r *testRun) result() string {
	failed := r.ended(r.cases(""), "fail", "")
	switch {
	case len(r.tests) == 0:
		return "did not run: " + r.reason()
	case len(failed) > 0:
		return "failed: " + strings.Join(failed, ", ")
	case !r.passed:
		return "failed: " + r.reason()
	default:
		return "passed"
	}
}

// reason is the first line of what TestMain has said, or all that the package has.
func (r *testRun) reason() string {
	for line := range strings.Lines(r.output) {
		if text, found := strings.CutPrefix(line, "e2e: "); found {
			return strings.TrimSpace(text)
		}
	}
	return strings.TrimSpace(r.output)
}

// differs says what the tests have found that is not the same on all of these versions, and what they have
// left out here, with their reasons.
func (r *testRun) differs(runs []*testRun) string {
	var found []string
	for _, key := range slices.Sorted(maps.Keys(r.facts)) {
		if key != kubernetes && slices.ContainsFunc(runs, func(other *testRun) bool {
			value, known := other.facts[key]
			return known && value != r.facts[key]
		}) {
			found = append(found, r.facts[key])
		}
	}
	for _, name := range r.ended(r.cases(""), "skip") {
		found = append(found, "left out: "+name+": "+reason(r.tests[name].output))
	}
	return strings.Join(found, "; ")
}

// reason is what a test that was skipped has given as its reason, without the place in the source.
func reason(output string) string {
	for line := range strings.Lines(output) {
		if _, text, found := strings.Cut(line, "_test.go:"); found {
			_, text, _ = strings.Cut(text, ": ")
			return strings.TrimSpace(text)
		}
	}
	return strings.TrimSpace(output)
}

// groups are the names in the second table: each script by itself, and each other test with all that is
// below it.
func groups(runs []*testRun) []string {
	names := map[string]bool{}
	for _, r := range runs {
		for _, name := range r.cases("") {
			first, rest, _ := strings.Cut(name, "/")
			if first == "TestScripts" {
				second, _, _ := strings.Cut(rest, "/")
				first += "/" + second
			}
			names[first] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// count says how many cases of a group passed, of how many.
func (r *testRun) count(group string) string {
	cases := r.cases(group)
	ran, passed := r.ended(cases, "pass", "fail", ""), r.ended(cases, "pass")
	switch {
	case len(ran) == 0:
		return "–"
	case len(ran) == len(passed):
		return fmt.Sprint(len(ran))
	default:
		return fmt.Sprintf("%d of %d", len(passed), len(ran))
	}
}
