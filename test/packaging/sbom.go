package packaging

import (
	"debug/buildinfo"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

const mainModule = "github.com/kubectl-eshell/kubectl-eshell"

// SBOM writes the SPDX document of a release: every Go module that is linked into one of the binaries, and
// Go's own library. It says nothing about licences that it has not read. Like an archive it depends on its
// arguments alone.
func SBOM(w io.Writer, version string, created time.Time, binaries ...string) error {
	modules := map[string]string{} // by path@version, with what go.sum says of it
	for _, binary := range binaries {
		info, err := buildinfo.ReadFile(binary)
		if err != nil {
			return fmt.Errorf("read the modules of %s: %w", binary, err)
		}
		modules["stdlib@"+strings.TrimPrefix(info.GoVersion, "go")] = ""
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			modules[m.Path+"@"+m.Version] = m.Sum
		}
	}
	doc := document(version, created)
	for _, module := range slices.Sorted(maps.Keys(modules)) {
		add(doc, module, modules[module])
	}
	return json.Write(doc, w, json.Indent("  "))
}

// document has the release itself, and no module yet.
func document(version string, created time.Time) *spdx.Document {
	program := &spdx.Package{
		PackageName:             "kubectl-eshell",
		PackageSPDXIdentifier:   "kubectl-eshell",
		PackageVersion:          version,
		PackageDownloadLocation: "git+https://" + mainModule + ".git@" + version,
		PackageLicenseConcluded: "Apache-2.0",
		PackageLicenseDeclared:  "Apache-2.0",
		PackageCopyrightText:    "NOASSERTION",
		PrimaryPackagePurpose:   "APPLICATION",
	}
	return &spdx.Document{
		SPDXVersion:       spdx.Version,
		DataLicense:       spdx.DataLicense,
		SPDXIdentifier:    "DOCUMENT",
		DocumentName:      "kubectl-eshell " + version,
		DocumentNamespace: "https://" + mainModule + "/releases/download/" + version + "/kubectl-eshell.spdx.json",
		CreationInfo: &spdx.CreationInfo{
			Creators: []common.Creator{{CreatorType: "Organization", Creator: "kubectl-eshell"}},
			Created:  created.UTC().Format(time.RFC3339),
		},
		Packages:      []*spdx.Package{program},
		Relationships: []*spdx.Relationship{relationship("DOCUMENT", "DESCRIBES", "kubectl-eshell")},
	}
}

// add adds a module that the program depends on. module is its path@version.
func add(doc *spdx.Document, module, sum string) {
	path, version, _ := strings.Cut(module, "@")
	id := common.ElementID("go-" + regexp.MustCompile(`[^A-Za-z0-9.-]+`).ReplaceAllString(module, "-"))
	p := &spdx.Package{
		PackageName:             path,
		PackageSPDXIdentifier:   id,
		PackageVersion:          version,
		PackageDownloadLocation: "NOASSERTION",
		PackageLicenseConcluded: "NOASSERTION",
		PackageLicenseDeclared:  "NOASSERTION",
		PackageCopyrightText:    "NOASSERTION",
		PrimaryPackagePurpose:   "LIBRARY",
		PackageExternalReferences: []*spdx.PackageExternalReference{{
			Category: "PACKAGE-MANAGER",
			RefType:  "purl",
			Locator:  "pkg:golang/" + strings.ReplaceAll(module, "+", "%2B"),
		}},
	}
	if sum != "" {
		p.PackageSourceInfo = "go.sum: " + sum
	}
	doc.Packages = append(doc.Packages, p)
	doc.Relationships = append(doc.Relationships, relationship("kubectl-eshell", "DEPENDS_ON", id))
}

func relationship(from common.ElementID, kind string, to common.ElementID) *spdx.Relationship {
	return &spdx.Relationship{
		RefA:         common.DocElementID{ElementRefID: from},
		Relationship: kind,
		RefB:         common.DocElementID{ElementRefID: to},
	}
}
