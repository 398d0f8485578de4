package embedded

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestGoModRequiresOnlyWhatKubernetesRequires(t *testing.T) {
	found, err := parseStaging([]byte(`{
		"Require": [{"Path": "k8s.io/client-go"}, {"Path": "k8s.io/api"}, {"Path": "k8s.io/klog/v2"}],
		"Replace": [
			{"Old": {"Path": "k8s.io/client-go"}, "New": {"Path": "./staging/src/k8s.io/client-go"}},
			{"Old": {"Path": "k8s.io/api"}, "New": {"Path": "./staging/src/k8s.io/api"}},
			{"Old": {"Path": "k8s.io/sample-cli-plugin"}, "New": {"Path": "./staging/src/k8s.io/sample-cli-plugin"}},
			{"Old": {"Path": "example.com/fork"}, "New": {"Path": "example.com/other"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := goMod(toolset{name: "kubernetes-1.33.13", module: "k8s.io/kubernetes", version: "1.33.13"},
		found)
	if err != nil {
		t.Fatal(err)
	}
	want := `module embedded.invalid/kubernetes-1.33.13

go 1.26.0

require k8s.io/kubernetes v1.33.13

require (
	k8s.io/api v0.33.13
	k8s.io/client-go v0.33.13
)

replace (
	k8s.io/api => k8s.io/api v0.33.13
	k8s.io/client-go => k8s.io/client-go v0.33.13
	k8s.io/sample-cli-plugin => k8s.io/sample-cli-plugin v0.33.13
)
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestStagingVersion(t *testing.T) {
	for version, want := range map[string]string{"1.36.3": "v0.36.3", "1.33.13": "v0.33.13", "1.36": "",
		"v1.36.3": "", "2.0.0": "", "": ""} {
		got, err := stagingVersion(version)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("stagingVersion(%q) = %q, %v; want %q", version, got, err, want)
		}
	}
}

func TestVersionFlags(t *testing.T) {
	got := versionFlags("1.33.13")
	for _, want := range []string{".gitVersion=v1.33.13", ".gitMajor=1", ".gitMinor=33"} {
		if !strings.Contains(got, want) {
			t.Errorf("versionFlags = %q lacks %q", got, want)
		}
	}
}

func TestComponentsAreOneBinary(t *testing.T) {
	c := &Cluster{Version: "1.33.13"}
	called := map[string]string{}
	for _, tools := range c.toolsets() {
		for _, b := range tools.binaries {
			for _, p := range b.programs {
				called[p.name] = b.name
			}
		}
	}
	for _, s := range c.specs() {
		if name := filepath.Base(s.argv[0]); called[name] == "" {
			t.Errorf("nothing builds %s of component %s", name, s.name)
		} else if name != "containerd" && called[name] != "kubernetes" {
			t.Errorf("%s is in %s", name, called[name])
		}
	}
	if called["kubectl"] != "kubectl" {
		t.Errorf("kubectl is in %q", called["kubectl"])
	}
	c.Client = "/usr/bin/kubectl"
	for _, tools := range c.toolsets() {
		if strings.HasPrefix(tools.name, "kubectl-") {
			t.Errorf("%s is built beside %s", tools.name, c.Client)
		}
	}
}

// What was built in another way must not be taken for this.
func TestToolsetNameChangesWithTheRecipe(t *testing.T) {
	tools := componentTools("1.33.13")
	other := tools
	other.binaries = []binary{{"kubernetes", tools.binaries[0].programs[1:]}}
	if again := tools.named("kubernetes"); again.name == other.named("kubernetes").name {
		t.Errorf("both are %s", again.name)
	}
	if componentTools("1.33.13").name != tools.name || componentTools("1.34.4").name == tools.name {
		t.Errorf("%s is not stable, or that of another version", tools.name)
	}
}

// A binary of several programs is the one that it is called by.
func TestDispatcher(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the compiler")
	}
	tools := toolset{name: "tools-1"}
	both := binary{"both", []program{{"one", "example.com/one"}, {"the-other", "example.com/the-other"}}}
	folder := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module "+tools.root()+"\n\ngo 1.26.0\n")
	write("both/main.go", tools.dispatcher(both))
	for _, p := range both.programs {
		write("both/"+p.name+"/file.go", asLibrary("// Licensed.\n\npackage main\n\nimport \"fmt\"\n\n"+
			"// main is main.\nfunc main() { fmt.Print(\"I am "+p.name+"\") }\n"))
	}
	build := exec.Command("go", "build", "-o", "binary", tools.target(both))
	build.Dir = folder
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, want := range map[string]string{"one": "I am one", "the-other": "I am the-other",
		"third": "no program is named third\n"} {
		if err := os.Symlink("binary", filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(filepath.Join(folder, name)).CombinedOutput()
		if string(out) != want || (err != nil) != (name == "third") {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}
