package packaging_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"sigs.k8s.io/yaml"
)

const (
	k9sFile = "docs/k9s/eshell.yaml"
	// Of this version are the schema, the keys and the variables that the tests read.
	k9sVersion = "v0.50.16"
	k9sSum     = "h1:djzWog8EYth+S6oLE1YjsC4BqMfo2on+mAv1FU/YoZA="
)

type k9sPlugin struct {
	ShortCut string
	Args     []string
}

func k9sPlugins(t *testing.T) map[string]k9sPlugin {
	t.Helper()
	var file struct{ Plugins map[string]k9sPlugin }
	if err := yaml.Unmarshal([]byte(read(t, filepath.Join(root, k9sFile))), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Plugins) == 0 {
		t.Fatalf("%s has no plugins", k9sFile)
	}
	return file.Plugins
}

// k9s is the folder with k9s' own source, in Go's module cache.
func k9s(t *testing.T) string {
	t.Helper()
	var module struct{ Dir, Sum string }
	out := run(t, t.TempDir(), nil, "go", "mod", "download", "-json", "github.com/derailed/k9s@"+k9sVersion)
	if err := json.Unmarshal([]byte(out), &module); err != nil {
		t.Fatal(err)
	}
	if module.Sum != k9sSum {
		t.Fatalf("k9s %s has the checksum %s, want %s", k9sVersion, module.Sum, k9sSum)
	}
	return module.Dir
}

func TestK9sSchema(t *testing.T) {
	var schema spec.Schema
	if err := json.Unmarshal([]byte(read(t, k9s(t)+"/internal/config/json/schemas/plugins.json")),
		&schema); err != nil {
		t.Fatal(err)
	}
	check := func(content string) error {
		var file any
		if err := yaml.Unmarshal([]byte(content), &file); err != nil {
			t.Fatal(err)
		}
		return validate.AgainstSchema(&schema, file, strfmt.Default)
	}
	content := read(t, filepath.Join(root, k9sFile))
	if err := check(content); err != nil {
		t.Error(err)
	}
	if check(strings.Replace(content, "scopes:", "scope:", 1)) == nil {
		t.Error("a plugin without scopes is valid too")
	}
}

// TestK9sKeys looks for each shortcut in the views of k9s, which name a key by a constant: Shift-E is
// KeyShiftE.
func TestK9sKeys(t *testing.T) {
	source := k9s(t)
	used := map[string]string{} // key, and a file that uses it
	err := filepath.WalkDir(source+"/internal", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "/internal/ui/key.go") {
			return err
		}
		content, err := os.ReadFile(file)
		for _, key := range regexp.MustCompile(`\bKey(Shift|Ctrl)[A-Z]\b`).FindAllString(string(content), -1) {
			used[key] = file
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if used["KeyShiftF"] == "" {
		t.Error("Shift-F, which forwards ports, was not found: k9s names its keys in another way")
	}
	taken := map[string]string{}
	for name, plugin := range k9sPlugins(t) {
		if !strings.Contains(read(t, source+"/internal/ui/key.go"), `"`+plugin.ShortCut+`"`) {
			t.Errorf("%s: k9s knows no key %s", name, plugin.ShortCut)
		}
		if file := used["Key"+strings.ReplaceAll(plugin.ShortCut, "-", "")]; file != "" {
			t.Errorf("%s: k9s uses %s itself, in %s", name, plugin.ShortCut, file)
		}
		if other := taken[plugin.ShortCut]; other != "" {
			t.Errorf("%s and %s have the same key %s", name, other, plugin.ShortCut)
		}
		taken[plugin.ShortCut] = name
	}
}

// TestK9sVariables looks for each variable where k9s makes them.
func TestK9sVariables(t *testing.T) {
	source := k9s(t)
	made := read(t, source+"/internal/view/helpers.go") + read(t, source+"/internal/view/table.go")
	for name, plugin := range k9sPlugins(t) {
		variables := regexp.MustCompile(`\$([A-Z_]+)`).FindAllStringSubmatch(strings.Join(plugin.Args, " "), -1)
		if len(variables) == 0 {
			t.Errorf("%s has no variables", name)
		}
		for _, v := range variables {
			if !strings.Contains(made, `"`+v[1]+`"`) {
				t.Errorf("%s: k9s has no variable %s", name, v[1])
			}
		}
	}
}
