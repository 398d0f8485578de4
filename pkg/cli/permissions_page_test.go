package cli

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/access"
)

const permissionsPage = "../../docs/permissions.md"

// TestPermissionsPage: the table and the Role of docs/permissions.md are those of package access. With
// -update they are written.
func TestPermissionsPage(t *testing.T) {
	text, err := os.ReadFile(permissionsPage)
	if err != nil {
		t.Fatal(err)
	}
	role := runMain(t.Context(), t, "rbac", "-n", "shop")
	page := string(text)
	for begin, want := range map[string]string{
		"| capability |":                    capabilityTable(),
		"<!-- file: eshell-role.yaml -->\n": "<!-- file: eshell-role.yaml -->\n```yaml\n" + role.out + "```\n",
	} {
		from := strings.Index(page, begin)
		if from < 0 {
			t.Fatalf("the page has no %q", begin)
		}
		till := from + regexp.MustCompile("\n(\n|```\n)").FindStringIndex(page[from+len(begin):])[1] + len(begin)
		if begin[0] == '|' {
			till-- // the empty line after the table
		}
		page = page[:from] + want + page[till:]
	}
	if *update {
		if err := os.WriteFile(permissionsPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if page != string(text) {
		t.Errorf("docs/permissions.md is not what package access says: " +
			"go test ./pkg/cli -run TestPermissionsPage -update")
	}
}

func capabilityTable() string {
	var table strings.Builder
	table.WriteString("| capability | what it is | it needs | a part is lost without |\n|---|---|---|---|\n")
	for _, c := range access.Capabilities(access.Scope{}) {
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", c.Name, c.About, inCell(c, true), inCell(c, false))
	}
	return table.String()
}

// inCell returns the permissions without which a capability is not there, or the others.
func inCell(c access.Capability, must bool) string {
	var names []string
	for _, n := range c.Needs {
		name := n.String()
		if n.Mode != "" && n.Mode != c.Mode {
			name += " (" + n.Mode + ")"
		}
		if (n.Degree == access.Must) == must && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	one := ""
	if must && c.Any {
		one = "one of: "
	}
	return one + strings.Join(names, ", ")
}
