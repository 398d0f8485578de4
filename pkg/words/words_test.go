package words

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
)

func TestList(t *testing.T) {
	for items, want := range map[string][2]string{
		"a":           {"a", "a"},
		"a b":         {"a and b", "a and b"},
		"a b c d":     {"a, b, c and d", "a, b, c and d"},
		"a b c d e":   {"a, b, c, d and e", "a, b, c and 2 more"},
		"a b c d e f": {"a, b, c, d, e and f", "a, b, c and 3 more"},
	} {
		fields := strings.Fields(items)
		if got := [2]string{List(fields, "and"), ShortList(fields, "and")}; got != want {
			t.Errorf("%q: %q, want %q", items, got, want)
		}
	}
	if got := List(nil, "and"); got != "" {
		t.Errorf("nothing: %q", got)
	}
}

func TestPlural(t *testing.T) {
	for n, want := range map[int]string{0: "labels", 1: "label", 2: "labels"} {
		if got := Plural(n, "label", "labels"); got != want {
			t.Errorf("%d %s, want %s", n, got, want)
		}
	}
}

func TestSelected(t *testing.T) {
	for selector, want := range map[string]string{
		"":                         "every pod",
		"app=api":                  "pods with app=api",
		"app!=api,tier":            "pods with app!=api and label tier",
		"!canary,tier in (web,db)": "pods with no label canary and tier in (db, web)",
		"tier notin (web)":         "pods with tier not in (web)",
	} {
		parsed, err := labels.Parse(selector)
		if err != nil {
			t.Fatal(err)
		}
		if got := Selected("pod", parsed); got != want {
			t.Errorf("%q: %q, want %q", selector, got, want)
		}
	}
}
