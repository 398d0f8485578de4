package embedded

import (
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
