// Package rooms keeps the rooms of the house apart: what a package may import, and which calls are
// made in one place only. A rule that no test holds is a wish.
package rooms

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module   = "github.com/kubectl-eshell/kubectl-eshell/"
	ourRooms = module + "pkg"
	mainFile = "cmd/kubectl-eshell/main.go"
)

// rule forbids imports, each with everything below it, but for one package.
type rule struct {
	not     []string
	but     string
	because string
}

// rooms are all the packages under cmd/ and pkg/. A new one states its rules here; what may not be
// imported is what its purpose does not need.
func rooms() map[string][]rule {
	wordsAreParsed := rule{not: []string{"github.com/spf13"}, because: "words are parsed in pkg/cli only"}
	not := func(because string, rooms ...string) rule {
		r := rule{because: because}
		for _, room := range rooms {
			r.not = append(r.not, module+room)
		}
		return r
	}
	return map[string][]rule{
		"cmd/kubectl-eshell": {
			wordsAreParsed,
			{not: []string{ourRooms}, but: module + "pkg/cli",
				because: "main fits pkg/cli to a process and does nothing else"},
		},
		"pkg/cli": {}, // it joins the others; that it decides nothing is for the reader to see
		"pkg/workload": {
			wordsAreParsed,
			not("finding out what was meant comes before deciding and doing", "pkg/plan", "pkg/session",
				"pkg/cli"),
		},
		"pkg/isolation": {
			wordsAreParsed,
			not("judgement over facts depends on no one who asks for it", "pkg/workload", "pkg/plan",
				"pkg/session", "pkg/cli"),
			{not: []string{"k8s.io/client-go"}, because: "somebody else has read the facts"},
			{not: []string{"context", "os"}, because: "a judgement waits for nothing and reads nothing"},
		},
		"pkg/netpol": {
			wordsAreParsed,
			not("a comparison of facts depends on no one who asks for it", "pkg/workload", "pkg/isolation",
				"pkg/plan", "pkg/session", "pkg/cli"),
			{not: []string{"k8s.io/client-go"}, because: "somebody else has read the facts"},
			{not: []string{"context", "os"}, because: "a comparison waits for nothing and reads nothing"},
		},
		"pkg/words": {
			wordsAreParsed,
			{not: []string{ourRooms}, because: "every other room may import it"},
			{not: []string{"k8s.io/client-go"}, because: "it only joins words"},
		},
		"pkg/access": {
			wordsAreParsed,
			{not: []string{ourRooms}, because: "it asks the server, for whoever wants to know"},
		},
		"pkg/bounded": {
			wordsAreParsed,
			{not: []string{ourRooms}, because: "every other room may import it"},
			{not: []string{"k8s.io"}, because: "it only waits"},
		},
		"pkg/containers": {
			wordsAreParsed,
			{not: []string{ourRooms}, because: "every other room may import it"},
			{not: []string{"k8s.io/client-go"}, because: "it reads a pod that somebody else has fetched"},
		},
		"pkg/defaults": {
			wordsAreParsed,
			{not: []string{ourRooms}, but: module + "pkg/hint",
				because: "a default is words, whatever its flag is for"},
			{not: []string{"context", "os", "k8s.io"},
				because: "somebody else has read the file and the environment"},
		},
		"pkg/diagnosis": {
			wordsAreParsed,
			not("why a pod does not start does not depend on why it was made", "pkg/workload", "pkg/plan",
				"pkg/agent", "pkg/stream", "pkg/session", "pkg/cli"),
			{not: []string{"k8s.io/client-go"}, because: "somebody else has read the status"},
			{not: []string{"context", "os"}, because: "a diagnosis waits for nothing and reads nothing"},
		},
		"pkg/stream": {
			wordsAreParsed,
			not("a stream knows nothing of what runs at its other end", "pkg/workload", "pkg/plan",
				"pkg/agent", "pkg/session", "pkg/cli"),
		},
		"pkg/agent": {
			wordsAreParsed,
			not("an agent speaks one protocol, whatever it is used for", "pkg/workload", "pkg/plan",
				"pkg/session", "pkg/cli"),
		},
		"pkg/plan": {
			wordsAreParsed,
			not("deciding comes before doing, and does not depend on who asks", "pkg/session", "pkg/cli"),
			{not: []string{"k8s.io/client-go"},
				because: "a plan is made of facts; package workload has fetched them"},
			{not: []string{"context", "os"}, because: "a plan waits for nothing and reads nothing"},
			{not: []string{"math/rand", "crypto/rand", "k8s.io/apimachinery/pkg/util/rand"},
				because: "the same input gives the same plan"},
		},
		"pkg/ephemeral": {
			wordsAreParsed,
			{not: []string{ourRooms}, but: module + "pkg/hint",
				because: "a client of an API knows nothing of what it is used for"},
		},
		"pkg/policy": {
			wordsAreParsed,
			{not: []string{ourRooms}, because: "what a policy refuses is in its YAML"},
			{not: []string{"k8s.io/client-go"}, because: "printing policies needs no cluster"},
			{not: []string{"context", "os"}, because: "a policy waits for nothing, and its files are embedded"},
		},
		"pkg/profile": {
			wordsAreParsed,
			{not: []string{ourRooms}, because: "what a profile allows is kubectl's to say"},
			{not: []string{"k8s.io/client-go"}, because: "a profile asks nobody"},
			{not: []string{"context", "os"}, because: "a profile waits for nothing and reads nothing"},
		},
		"pkg/lease": {
			wordsAreParsed,
			not("a lease knows nothing of what it keeps, nor of who keeps it", "pkg/workload", "pkg/plan",
				"pkg/session", "pkg/cli"),
		},
		"pkg/inventory": {
			wordsAreParsed,
			not("what there is does not depend on how it came to be, nor on who asks", "pkg/workload",
				"pkg/plan", "pkg/session", "pkg/cli"),
		},
		"pkg/picker": {
			wordsAreParsed,
			{not: []string{ourRooms}, because: "a list knows nothing of what is chosen from it"},
			{not: []string{"k8s.io"}, because: "it is drawn, and asks no server"},
		},
		"pkg/record": {
			wordsAreParsed,
			{not: []string{ourRooms}, but: module + "pkg/bounded",
				because: "a recording knows nothing of what is recorded"},
			{not: []string{"k8s.io"}, because: "nothing of it touches a cluster"},
		},
		"pkg/run": {
			wordsAreParsed,
			not("the way through the rooms is the same, whoever asks for it", "pkg/cli"),
		},
		"pkg/session": {
			wordsAreParsed,
			not("a session does what the plan says: everything it needs is in there", "pkg/workload",
				"pkg/cli"),
		},
		"pkg/owned": {
			wordsAreParsed,
			{not: []string{ourRooms}, because: "every other room may import it"},
		},
		"pkg/hint": {
			wordsAreParsed,
			{not: []string{ourRooms}, because: "every other room may import it"},
			{not: []string{"k8s.io"}, because: "an error and the next thing to type are words"},
		},
	}
}

// call forbids a function, called or passed on, in the rooms below in and outside of the file but.
type call struct {
	function string
	in       string
	but      string
	because  string
}

func calls() []call {
	return []call{
		{"os.Exit", "", mainFile, "main alone ends the process, after everything else has ended"},
		{"context.Background", "pkg", "", "the context is born in main and passed on"},
		{"context.TODO", "pkg", "", "the context is born in main and passed on"},
		{"time.Sleep", "", "", "wait for what is awaited, under the context"},
		{"os/exec.Command", "", "", "eshell runs no program; client-go alone runs a kubeconfig's credential plugin"},
		{"os/exec.CommandContext", "", "", "eshell runs no program; client-go alone runs a kubeconfig's credential plugin"},
		{"time.Now", "pkg/plan", "", "the same input gives the same plan"},
	}
}

// complaints says what is wrong with a tree: Go files by their path.
func complaints(tree map[string]string) []string {
	var all []string
	exits, furnished := 0, map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		room := path.Dir(name)
		rules, known := rooms()[room]
		if !known && !furnished[room] {
			all = append(all, room+": the room is not in the table of test/rooms")
		}
		furnished[room] = true
		file := read(name, tree[name])
		if file.err != nil {
			all = append(all, file.err.Error())
			continue
		}
		all = append(all, file.tested(rules)...)
		exits += len(file.uses("os.Exit"))
	}
	for room := range rooms() {
		if !furnished[room] {
			all = append(all, room+": the room is in the table of test/rooms but not in the house")
		}
	}
	if exits != 1 {
		all = append(all, fmt.Sprintf("os.Exit is in %d places, not in one", exits))
	}
	return all
}

// file is one Go file.
type file struct {
	name    string
	test    bool
	set     *token.FileSet
	syntax  *ast.File
	imports map[string]string // path by name in the file
	err     error
}

func read(name, source string) file {
	f := file{name: name, test: strings.HasSuffix(name, "_test.go"), set: token.NewFileSet(),
		imports: map[string]string{}}
	f.syntax, f.err = parser.ParseFile(f.set, name, source, parser.SkipObjectResolution)
	if f.err != nil {
		return f
	}
	for _, spec := range f.syntax.Imports {
		name := path.Base(pathOf(spec))
		if spec.Name != nil {
			name = spec.Name.Name
		}
		f.imports[name] = pathOf(spec)
	}
	return f
}

func pathOf(spec *ast.ImportSpec) string {
	imported, _ := strconv.Unquote(spec.Path.Value)
	return imported
}

// tested applies the rules. Tests use what their rooms may not; only what is not shipped stays apart.
func (f file) tested(rules []rule) []string {
	everywhere := rule{not: []string{module + "test"},
		because: "what is shipped does not depend on what tests it"}
	if f.test {
		return f.imported([]rule{everywhere})
	}
	found := f.imported(append([]rule{everywhere}, rules...))
	for _, c := range calls() {
		if !below(f.name, c.in) || f.name == c.but {
			continue
		}
		for _, pos := range f.uses(c.function) {
			found = append(found, f.at(pos, "uses "+c.function, c.because))
		}
	}
	for _, declaration := range f.syntax.Decls {
		if function, ok := declaration.(*ast.FuncDecl); ok && function.Recv == nil &&
			function.Name.Name == "init" {
			found = append(found,
				f.at(function.Pos(), "has an init", "nothing runs because something was imported"))
		}
	}
	return found
}

func (f file) imported(rules []rule) []string {
	var found []string
	for _, spec := range f.syntax.Imports {
		if spec.Name != nil && spec.Name.Name == "." {
			found = append(found,
				f.at(spec.Pos(), "imports "+pathOf(spec)+" with a dot", "a call says whose it is"))
		}
		for _, r := range rules {
			forbidden := slices.ContainsFunc(r.not, func(not string) bool { return below(pathOf(spec), not) })
			if forbidden && pathOf(spec) != r.but {
				found = append(found, f.at(spec.Pos(), "imports "+pathOf(spec), r.because))
			}
		}
	}
	return found
}

// uses finds where a function of another package is named.
func (f file) uses(function string) []token.Pos {
	if f.test {
		return nil
	}
	var found []token.Pos
	ast.Inspect(f.syntax, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok && f.imports[x.Name]+"."+selector.Sel.Name == function {
				found = append(found, selector.Pos())
			}
		}
		return true
	})
	return found
}

func (f file) at(pos token.Pos, what, because string) string {
	return fmt.Sprintf("%s:%d: %s: %s", f.name, f.set.Position(pos).Line, what, because)
}

// below reports whether a path is prefix or in it; everything is below "".
func below(p, prefix string) bool {
	return prefix == "" || p == prefix || strings.HasPrefix(p, prefix+"/")
}

func TestRooms(t *testing.T) {
	root := os.DirFS(filepath.Join("..", ".."))
	tree := map[string]string{}
	for _, top := range []string{"cmd", "pkg"} {
		err := fs.WalkDir(root, top, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && entry.Name() == "testdata":
				return fs.SkipDir
			case entry.IsDir() || path.Ext(name) != ".go":
				return nil
			}
			source, err := fs.ReadFile(root, name)
			tree[name] = string(source)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, complaint := range complaints(tree) {
		t.Error(complaint)
	}
}

// house is the smallest tree without complaints, with changes.
func house(changes map[string]string) map[string]string {
	tree := map[string]string{}
	for room := range rooms() {
		tree[room+"/doc.go"] = "package room"
	}
	tree[mainFile] = "package main\nimport \"os\"\nfunc main() { os.Exit(0) }"
	maps.Copy(tree, changes)
	return tree
}

// importing is a file with one import, on its second line.
func importing(imported string) string { return "package room\nimport _ \"" + imported + "\"" }

// Every rule can fail: each row breaks one.
func TestComplaints(t *testing.T) {
	const (
		words   = "words are parsed in pkg/cli only"
		cobra   = "github.com/spf13/cobra"
		pflag   = "github.com/spf13/pflag"
		shipped = "what is shipped does not depend on what tests it"
		born    = "the context is born in main and passed on"
		same    = "the same input gives the same plan"
		end     = "main alone ends the process, after everything else has ended"
	)
	imports := []struct{ room, imported, because string }{
		{"cmd/kubectl-eshell", cobra, words},
		{"cmd/kubectl-eshell", module + "pkg/session",
			"main fits pkg/cli to a process and does nothing else"},
		{"cmd/kubectl-eshell", module + "pkg/clinic", "main fits pkg/cli to a process and does nothing else"},
		{"cmd/kubectl-eshell", module + "test/cluster", shipped},
		{"pkg/cli", module + "test", shipped},
		{"pkg/workload", cobra, words},
		{"pkg/workload", module + "pkg/plan", "finding out what was meant comes before deciding and doing"},
		{"pkg/workload", module + "pkg/session",
			"finding out what was meant comes before deciding and doing"},
		{"pkg/workload", module + "pkg/cli", "finding out what was meant comes before deciding and doing"},
		{"pkg/plan", pflag, words},
		{"pkg/plan", module + "pkg/cli", "deciding comes before doing, and does not depend on who asks"},
		{"pkg/plan", module + "pkg/session", "deciding comes before doing, and does not depend on who asks"},
		{"pkg/plan", "k8s.io/client-go/kubernetes",
			"a plan is made of facts; package workload has fetched them"},
		{"pkg/plan", "context", "a plan waits for nothing and reads nothing"},
		{"pkg/plan", "os", "a plan waits for nothing and reads nothing"},
		{"pkg/plan", "os/exec", "a plan waits for nothing and reads nothing"},
		{"pkg/plan", "math/rand/v2", same},
		{"pkg/plan", "crypto/rand", same},
		{"pkg/plan", "k8s.io/apimachinery/pkg/util/rand", same},
		{"pkg/ephemeral", cobra, words},
		{"pkg/ephemeral", module + "pkg/plan", "a client of an API knows nothing of what it is used for"},
		{"pkg/ephemeral", module + "pkg/session", "a client of an API knows nothing of what it is used for"},
		{"pkg/ephemeral", module + "pkg/cli", "a client of an API knows nothing of what it is used for"},
		{"pkg/ephemeral", module + "pkg/stream", "a client of an API knows nothing of what it is used for"},
		{"pkg/ephemeral", module + "pkg/containers",
			"a client of an API knows nothing of what it is used for"},
		{"pkg/session", pflag, words},
		{"pkg/session", module + "pkg/workload",
			"a session does what the plan says: everything it needs is in there"},
		{"pkg/session", module + "pkg/cli",
			"a session does what the plan says: everything it needs is in there"},
		{"pkg/owned", cobra, words},
		{"pkg/owned", module + "pkg/hint", "every other room may import it"},
		{"pkg/hint", pflag, words},
		{"pkg/hint", module + "pkg/owned", "every other room may import it"},
		{"pkg/hint", "k8s.io/api/core/v1", "an error and the next thing to type are words"},
	}
	type row struct {
		name, source string
		want         []string
	}
	var rows []row
	for _, i := range imports {
		name := i.room + "/x.go"
		rows = append(rows, row{name, importing(i.imported),
			[]string{name + ":2: imports " + i.imported + ": " + i.because}})
	}
	rows = append(rows, []row{
		{"pkg/cli/x_test.go", importing(module + "test/cluster"),
			[]string{"pkg/cli/x_test.go:2: imports " + module + "test/cluster: " + shipped}},
		{"pkg/cli/x.go", "package cli\nimport . \"fmt\"",
			[]string{"pkg/cli/x.go:2: imports fmt with a dot: a call says whose it is"}},
		{"pkg/util/x.go", "package util", []string{"pkg/util: the room is not in the table of test/rooms"}},
		{"cmd/other/x_test.go", "package main",
			[]string{"cmd/other: the room is not in the table of test/rooms"}},
		{"pkg/plan/deep/x.go", "package deep",
			[]string{"pkg/plan/deep: the room is not in the table of test/rooms"}},
		{"pkg/cli/x.go", "package", []string{"pkg/cli/x.go:1:8: expected 'IDENT', found 'EOF'"}},

		{"pkg/cli/x.go", "package cli\nimport \"os\"\nfunc f() { os.Exit(1) }",
			[]string{"pkg/cli/x.go:3: uses os.Exit: " + end, "os.Exit is in 2 places, not in one"}},
		{"cmd/kubectl-eshell/x.go", "package main\nimport sys \"os\"\nvar exit = sys.Exit",
			[]string{"cmd/kubectl-eshell/x.go:3: uses os.Exit: " + end,
				"os.Exit is in 2 places, not in one"}},
		{mainFile, "package main\nimport \"os\"\nfunc main() {\nif f() { os.Exit(1) }\nos.Exit(0) }",
			[]string{"os.Exit is in 2 places, not in one"}},
		{mainFile, "package main\nfunc main() {}", []string{"os.Exit is in 0 places, not in one"}},
		{"pkg/cli/x.go", "package cli\nimport \"context\"\nvar c = context.Background()",
			[]string{"pkg/cli/x.go:3: uses context.Background: " + born}},
		{"pkg/cli/x.go", "package cli\nimport \"context\"\nvar c = context.TODO()",
			[]string{"pkg/cli/x.go:3: uses context.TODO: " + born}},
		{"pkg/session/x.go", "package session\nimport \"time\"\nfunc f() {\ntime.Sleep(1) }",
			[]string{"pkg/session/x.go:4: uses time.Sleep: wait for what is awaited, under the context"}},
		{"pkg/cli/x.go", "package cli\nimport \"os/exec\"\nfunc f() {\nexec.Command(x) }", []string{"pkg/cli/x.go:4: " +
			"uses os/exec.Command: eshell runs no program; client-go alone runs a kubeconfig's credential plugin"}},
		{"cmd/kubectl-eshell/x.go", "package main\nimport \"time\"\nfunc f() {\ntime.Sleep(1) }",
			[]string{"cmd/kubectl-eshell/x.go:4: uses time.Sleep: wait for what is awaited, under the context"}},
		{"pkg/plan/x.go", "package plan\nimport clock \"time\"\nvar now = clock.Now()",
			[]string{"pkg/plan/x.go:3: uses time.Now: " + same}},
		{"pkg/owned/x.go", "package owned\n\nfunc init() {}",
			[]string{"pkg/owned/x.go:3: has an init: nothing runs because something was imported"}},
		{"cmd/kubectl-eshell/x.go", "package main\nfunc init() {}",
			[]string{"cmd/kubectl-eshell/x.go:2: has an init: nothing runs because something was imported"}},
	}...)
	for _, row := range rows {
		if got := complaints(house(map[string]string{row.name: row.source})); !slices.Equal(got, row.want) {
			t.Errorf("%s:\n%s\ncomplaints %q\nwant       %q", row.name, row.source, got, row.want)
		}
	}

	empty := house(nil)
	delete(empty, "pkg/hint/doc.go")
	want := []string{"pkg/hint: the room is in the table of test/rooms but not in the house"}
	if got := complaints(empty); !slices.Equal(got, want) {
		t.Errorf("an empty room: complaints %q, want %q", got, want)
	}
}

// What looks like a broken rule and is none.
func TestNoComplaints(t *testing.T) {
	allowed := map[string]string{
		"the house":             "pkg/cli/x.go: package cli",
		"what main is for":      "cmd/kubectl-eshell/x.go: " + importing(module+"pkg/cli"),
		"a hint in a client":    "pkg/ephemeral/x.go: " + importing(module+"pkg/hint"),
		"words in their room":   "pkg/cli/x.go: " + importing("github.com/spf13/cobra"),
		"a longer name":         "pkg/plan/x.go: " + importing("k8s.io/client-goes"),
		"a context in main":     "cmd/kubectl-eshell/x.go: package main\nimport \"context\"\nvar c = context.Background()",
		"a clock in a session":  "pkg/session/x.go: package session\nimport \"time\"\nvar now = time.Now()",
		"a duration in a plan":  "pkg/plan/x.go: package plan\nimport \"time\"\nvar d = time.Second",
		"another os":            "pkg/cli/x.go: package cli\nimport \"example.com/os\"\nfunc f() { os.Exit(1) }",
		"a method called init":  "pkg/cli/x.go: package cli\ntype t struct{}\nfunc (t) init() {}",
		"what tests need":       "pkg/plan/x_test.go: " + importing("os"),
		"a context in its test": "pkg/cli/x_test.go: package cli\nimport \"context\"\nvar c = context.Background()",
	}
	for name, file := range allowed {
		at, source, _ := strings.Cut(file, ": ")
		if got := complaints(house(map[string]string{at: source})); got != nil {
			t.Errorf("%s: complaints %q, want none", name, got)
		}
	}
}
