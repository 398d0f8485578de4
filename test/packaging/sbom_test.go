package packaging_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"
)

// checkSBOM reads the SBOM with SPDX's own library, and holds its packages against what "go list" says the
// binary is built from on this machine.
func checkSBOM(t *testing.T, file, version string) {
	t.Helper()
	doc, err := json.Read(strings.NewReader(read(t, file)))
	if err != nil {
		t.Fatal(err)
	}
	if err := spdxlib.ValidateDocument(doc); err != nil {
		t.Error(err)
	}
	described, err := spdxlib.GetDescribedPackageIDs(doc)
	if err != nil || len(described) != 1 || described[0] != "kubectl-eshell" {
		t.Errorf("describes %v, %v, want kubectl-eshell alone", described, err)
	}
	var got []string
	for _, p := range doc.Packages {
		got = append(got, p.PackageName+" "+p.PackageVersion)
	}
	if !slices.Contains(got, "kubectl-eshell "+version) {
		t.Errorf("there is no kubectl-eshell %s", version)
	}
	modules := run(t, root, []string{"CGO_ENABLED=0"}, "go", "list", "-deps",
		"-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}", "./cmd/kubectl-eshell")
	for module := range strings.SplitSeq(strings.TrimSpace(modules), "\n") {
		if module != "" && !slices.Contains(got, module) {
			t.Errorf("%s is linked into the binary and not in the SBOM", module)
		}
	}
	if want := len(doc.Packages); len(doc.Relationships) != want {
		t.Errorf("%d relationships, want one for each of %d packages", len(doc.Relationships), want)
	}
}
