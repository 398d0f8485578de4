package packaging_test

import (
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-eshell/kubectl-eshell/test/packaging"
)

// TestFormula renders the Homebrew formula with a checksum that tells which archive it is of.
func TestFormula(t *testing.T) {
	formula, err := packaging.Render(read(t, "release/kubectl-eshell.rb.tmpl"), "v1.2.3",
		func(uri string) (string, error) { return "sum of " + uri, nil })
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(formula, "\n  version \"1.2.3\"\n") || strings.Contains(formula, "<no value>") {
		t.Errorf("the formula is\n%s", formula)
	}
	for _, platform := range []struct{ homebrew, name string }{
		{`on_macos do.*?on_arm do`, "darwin_arm64"}, {`on_macos do.*?on_intel do`, "darwin_amd64"},
		{`on_linux do.*?on_arm do`, "linux_arm64"}, {`on_linux do.*?on_intel do`, "linux_amd64"},
	} {
		uri := releases + "v1.2.3/kubectl-eshell_" + platform.name + ".tar.gz"
		want := platform.homebrew + "\n      " + regexp.QuoteMeta(`url "`+uri+`"`) +
			"\n      " + regexp.QuoteMeta(`sha256 "sum of `+uri+`"`) + "\n    end\n"
		if !regexp.MustCompile("(?s)" + want).MatchString(formula) {
			t.Errorf("%s is not in the formula as\n%s\nbut\n%s", platform.name, want, formula)
		}
	}
	begun := regexp.MustCompile(`(?m)^ *(class|def|.* do$)`).FindAllString(formula, -1)
	ended := regexp.MustCompile(`(?m)^ *end$`).FindAllString(formula, -1)
	if len(begun) != len(ended) || len(begun) == 0 {
		t.Errorf("%d blocks begin and %d end in\n%s", len(begun), len(ended), formula)
	}
	if ruby, err := exec.LookPath("ruby"); err == nil {
		file := filepath.Join(t.TempDir(), "kubectl-eshell.rb")
		writeFile(t, file, formula, 0o600)
		run(t, root, nil, ruby, "-c", file)
	}
}

type workflow struct {
	Permissions *map[string]string
	Jobs        map[string]struct {
		Permissions map[string]string
		Steps       []struct{ Uses, Run string }
	}
}

// TestWorkflows holds the workflows to what actionlint does not look at: actions by commit, and the
// permissions that each job has.
func TestWorkflows(t *testing.T) {
	writes := map[string]string{ // what each job may change
		"release.yaml attest":  "attestations id-token",
		"release.yaml publish": "contents",
		"release.yaml index":   "contents",
	}
	files, err := filepath.Glob(root + "/.github/workflows/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	for _, file := range files {
		content := read(t, file)
		pinned := regexp.MustCompile(`(?m)^ +- uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+`)
		if all := regexp.MustCompile(`\buses:`); len(pinned.FindAllString(content, -1)) !=
			len(all.FindAllString(content, -1)) {
			t.Errorf("%s has actions that are not pinned by commit, with their version beside it", file)
		}
		var w workflow
		if err := yaml.Unmarshal([]byte(content), &w); err != nil {
			t.Fatal(err)
		}
		if w.Permissions == nil || changes(*w.Permissions) != "" {
			t.Errorf("%s: permissions of all jobs are %v, want at most contents: read", file, w.Permissions)
		}
		for name, job := range w.Jobs {
			if got, want := changes(job.Permissions), writes[filepath.Base(file)+" "+name]; got != want {
				t.Errorf("%s: job %s may change %q, want %q", file, name, got, want)
			}
		}
	}
}

// changes are the permissions to write, in order.
func changes(permissions map[string]string) string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(permissions)) {
		if permissions[name] != "read" {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}
