package defaults

import (
	"reflect"
	"strings"
	"testing"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

var flags = Flags{"ttl": {}, "escape": {}, "env": {Kind: List}, "with": {Kind: List}, "wait": {Kind: Bool},
	"ordinal": {Kind: Number}, "image": {OnlyInSets: true}, "debug-image": {}, "as-user": {}, Use: {}}

const team = `# what we use
ttl: 4h
env: [A=1, "B"]
wait: true
use: &set jdk
contexts:
- context: prod-*
  ttl: 1h
- namespace: [pay, "pay-*"]
  context: "*eu*"
  ttl: 20m
  with: proxy,log
- namespace: pay
  use: *set
sets:
  jdk: {image: jdk:21, ordinal: 3}
  go:
    as-user: 1000:1000
    debug-image: go:1
`

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("/e/c.yaml", []byte(text), flags)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFor: what is in force depends on the context and on the namespace, and later entries are stronger.
func TestFor(t *testing.T) {
	f := parse(t, team)
	if !f.NeedsContext() || parse(t, "ttl: 1h").NeedsContext() {
		t.Error("the context is not needed, or is needed in vain")
	}
	tests := []struct {
		context, namespace string
		ttl                []string
		source             string
		layer              int
	}{
		{"dev", "shop", []string{"4h"}, "/e/c.yaml:2", 0},
		{"prod-1", "shop", []string{"4h", "1h"}, "/e/c.yaml:8 (contexts[0])", 1},
		{"arn:aws:eks:eu:1/prod", "pay", []string{"4h", "20m"}, "/e/c.yaml:11 (contexts[1])", 1},
		{"prod-eu", "pay-2", []string{"4h", "1h", "20m"}, "/e/c.yaml:11 (contexts[1])", 2},
		{"", "", []string{"4h"}, "/e/c.yaml:2", 0},
	}
	for _, tt := range tests {
		values, layer := f.For(tt.context, tt.namespace).Of("ttl")
		var words []string
		for _, value := range values {
			words = append(words, value.Words...)
		}
		last := values[len(values)-1]
		if !reflect.DeepEqual(words, tt.ttl) || last.Source != tt.source || last.Origin != "/e/c.yaml" ||
			layer != tt.layer {
			t.Errorf("%s, %s: %v in layer %d, the last from %s of %s", tt.context, tt.namespace, words, layer,
				last.Source, last.Origin)
		}
	}
	if values, layer := f.For("dev", "shop").Of("with"); values != nil || layer != -1 {
		t.Errorf("what nothing says is %v, in layer %d", values, layer)
	}
}

// TestWords: a list has the file's own elements, and a text is as it would be typed.
func TestWords(t *testing.T) {
	layers := parse(t, team).For("eu", "pay")
	for flag, want := range map[string]Value{
		"env":  {[]string{"A=1", "B"}, true, "/e/c.yaml", "/e/c.yaml:3"},
		"with": {[]string{"proxy,log"}, false, "/e/c.yaml", "/e/c.yaml:12 (contexts[1])"},
		"wait": {[]string{"true"}, false, "/e/c.yaml", "/e/c.yaml:4"},
		"use":  {[]string{"jdk"}, false, "/e/c.yaml", "/e/c.yaml:14 (contexts[2])"},
	} {
		values, _ := layers.Of(flag)
		if got := values[len(values)-1]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", flag, got, want)
		}
	}
}

func TestSet(t *testing.T) {
	f := parse(t, team)
	set, err := f.Set("go")
	want := Layer{"as-user": {[]string{"1000:1000"}, false, "/e/c.yaml", "/e/c.yaml:18 (set go)"},
		"debug-image": {[]string{"go:1"}, false, "/e/c.yaml", "/e/c.yaml:19 (set go)"}}
	if err != nil || !reflect.DeepEqual(set, want) {
		t.Errorf("%+v, %v", set, err)
	}
	for name, next := range map[string]string{"jdkk": "it has: jdk, go", "g": "it has: go, jdk",
		"zzz": "it has: go, jdk"} {
		if _, err := f.Set(name); err == nil || hint.Of(err) != next ||
			err.Error() != `/e/c.yaml has no set "`+name+`"` {
			t.Errorf("%s: %v, hint %q", name, err, hint.Of(err))
		}
	}
	if _, err := parse(t, "# nothing\n").Set("go"); err == nil || hint.Of(err) != useSet {
		t.Errorf("without sets: %v", err)
	}
}

// TestMistakes: each has its line, and a hint if there is one.
func TestMistakes(t *testing.T) {
	tests := []struct{ text, told, hint string }{
		{"ttl: 1h\nttll: 2h\n", `/e/c.yaml:2: "ttll" is not a flag`, "did you mean: ttl"},
		{"--ttl: 2h\n", `/e/c.yaml:1: "--ttl" is not a flag`, "flags are named without dashes: ttl"},
		{"context: {}\n", `/e/c.yaml:1: "context" is not a flag`, "did you mean: contexts"},
		{"qqqqq: 1\n", `/e/c.yaml:1: "qqqqq" is not a flag`, "list the flags: kubectl eshell --help"},
		{"config: x\n", `/e/c.yaml:1: "config" is not a flag`, "list the flags: kubectl eshell --help"},
		{"ttl: 1h\n\nttl: 2h\n", `/e/c.yaml:3: "ttl" is there twice: line 1 has it too`, ""},
		{"wait: maybe\n", "/e/c.yaml:1: wait has to be true or false", ""},
		{"wait: yes\n", "/e/c.yaml:1: wait has to be true or false", ""},
		{"ordinal: '1'\n", "/e/c.yaml:1: ordinal has to be a whole number", ""},
		{"ordinal: 1.5\n", "/e/c.yaml:1: ordinal has to be a whole number", ""},
		{"ttl: [1h]\n", "/e/c.yaml:1: ttl has to be one value", ""},
		{"ttl: {a: b}\n", "/e/c.yaml:1: ttl has to be one value", ""},
		{"env: {A: hunter2}\n", "/e/c.yaml:1: env has to be one value or a list of values", ""},
		{"env:\n- A=1\n- B: hunter2\n", "/e/c.yaml:3: env has to be one value or a list of values", ""},
		{"env: []\n", "/e/c.yaml:1: env is an empty list", ""},
		{"escape: ~\n", "/e/c.yaml:1: escape has no value", `YAML reads ~ and null as no value: quote them, like "~"`},
		{"image: a\n", "/e/c.yaml:1: a default image for all sessions would be a surprise: only a set can have one", useSet},
		{"contexts: {}\n", "/e/c.yaml:1: contexts has to be a list of maps", ""},
		{"contexts:\n- ttl: 1h\n", "/e/c.yaml:2: contexts[0] has neither a context nor a namespace",
			"what is for all contexts goes to the top level of the file"},
		{"contexts:\n- context: a\n  contex: b\n", `/e/c.yaml:3: "contex" is not a flag`, "did you mean: context"},
		{"contexts:\n- context: a\n  image: b\n",
			"/e/c.yaml:3: a default image for all sessions would be a surprise: only a set can have one", useSet},
		{"contexts: [a]\n", "/e/c.yaml:1: contexts[0] has to be a map", ""},
		{"sets: [a]\n", "/e/c.yaml:1: sets has to be a map", ""},
		{"sets: {a: b}\n", "/e/c.yaml:1: set a has to be a map", ""},
		{"sets:\n  a: {use: b}\n", "/e/c.yaml:2: a set cannot use another", ""},
		{"sets:\n  a: {}\n  a: {}\n", `/e/c.yaml:3: "a" is there twice: line 2 has it too`, ""},
		{"- ttl\n", "/e/c.yaml:1: the file has to be a map", ""},
		{"[a]: 1\n", "/e/c.yaml:1: a key of the file is not a name", ""},
		{"ttl: 1h\n---\nttl: 2h\n", "/e/c.yaml:2: a second document begins here; a file has one", ""},
		{"ttl: 1h\n  wait: true\n", "/e/c.yaml:2: not well-formed YAML: mapping values are not allowed in this context", ""},
		{"env: *hunter2\n", "/e/c.yaml: an alias (*NAME) stands for nothing", "quote a value that begins with *"},
	}
	for _, tt := range tests {
		_, err := Parse("/e/c.yaml", []byte(tt.text), flags)
		if err == nil || err.Error() != tt.told || hint.Of(err) != tt.hint {
			t.Errorf("%q:\n%v\nhint %q\nwant %s\nhint %q", tt.text, err, hint.Of(err), tt.told, tt.hint)
		}
	}
}

func TestEnvironment(t *testing.T) {
	environment := map[string]string{"ESHELL_TTL": "1h", "ESHELL_DEBUG_IMAGE": "a:1", "ESHELL_ENV": "",
		"ESHELL_RACE": "1"}
	getenv := func(name string) string { return environment[name] }
	got, err := Environment(getenv, flags)
	want := Layer{"ttl": {[]string{"1h"}, false, InEnvironment, "environment ESHELL_TTL"},
		"debug-image": {[]string{"a:1"}, false, InEnvironment, "environment ESHELL_DEBUG_IMAGE"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	environment["ESHELL_IMAGE"] = "b:1"
	if _, err := Environment(getenv, flags); err == nil || err.Error() !=
		"environment ESHELL_IMAGE: a default image for all sessions would be a surprise: only a set can have one" {
		t.Error(err)
	}
}

func TestMatches(t *testing.T) {
	for pattern, names := range map[string][2]string{ // that match, that do not
		"prod":    {"prod", "prod-1 - aprod"},
		"prod*":   {"prod prod-1 prod/a", "aprod pro"},
		"*prod":   {"prod a-prod", "prod-1"},
		"*":       {"a a/b:c ", ""},
		"a*b*c":   {"abc a1b2c abbc", "ab acb ac abcd"},
		"aa*aa":   {"aaaa aa1aa", "aaa aa"},
		"*a*a*":   {"aa 1a2a3", "a 1a"},
		"p.o[d]?": {"p.o[d]?", "pxod1"},
	} {
		for n, list := range names {
			for _, name := range strings.Fields(list) {
				if matches(pattern, name) != (n == 0) {
					t.Errorf("%s matches %s: %t", pattern, name, n != 0)
				}
			}
		}
	}
	if !matchesAny(nil, "a") || matchesAny([]string{"b", "c"}, "a") || !matchesAny([]string{"b", "a"}, "a") {
		t.Error("of several patterns")
	}
}

// FuzzParse: whatever is in a file, it is read or refused, by its name. An error repeats no value.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{team, "", "ttl: 1h\n---\n", "a: &a [*a]\n", "<<: {ttl: 1h}\n",
		"env: !!binary aGk=\n", "\t"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if file, err := Parse("/e/c.yaml", []byte(text), flags); err != nil {
			if !strings.HasPrefix(err.Error(), "/e/c.yaml") {
				t.Errorf("no file in %v", err)
			}
		} else {
			file.For("prod", "pay").Of("ttl")
		}
		const secret = "hunter2-hunter2"
		if _, err := Parse("/e/c.yaml", []byte("env: [A="+secret+"]\n"+text), flags); err != nil &&
			strings.Contains(err.Error(), secret) {
			t.Errorf("the error repeats a value: %v", err)
		}
	})
}
