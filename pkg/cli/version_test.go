package cli

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/version"
)

func TestTestedVersions(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	// VERSIONS ?= 1.33.13 ... 1.37.2
	versions := regexp.MustCompile(`(?m)^VERSIONS +\?= 1\.(\d+)\.\d+ .* 1\.(\d+)\.\d+$`).
		FindStringSubmatch(string(makefile))
	if want := fmt.Sprint(oldestTested, newestTested); len(versions) != 3 || versions[1]+" "+versions[2] != want {
		t.Errorf("the tests run on %q, and the versions here are 1.%d to 1.%d", versions, oldestTested,
			newestTested)
	}
}

func TestIsTested(t *testing.T) {
	tests := map[version.Info]bool{
		{Major: "1", Minor: "33"}:  true,
		{Major: "1", Minor: "37+"}: true,
		{Major: "1", Minor: "32"}:  false,
		{Major: "1", Minor: "38"}:  false,
		{Major: "2", Minor: "35"}:  false,
		{Major: "1", Minor: ""}:    false,
		{}:                         false,
	}
	for server, want := range tests {
		if got := isTested(server); got != want {
			t.Errorf("%s.%s: %t", server.Major, server.Minor, got)
		}
	}
}

func TestVersionsInJSON(t *testing.T) {
	v := versions{ServerVersion: &version.Info{GitVersion: "v1\u009b2J\u202e"}}
	for _, format := range []string{"json", "yaml"} {
		var out strings.Builder
		if err := v.print(&out, format); err != nil || strings.ContainsFunc(out.String(), controls) {
			t.Errorf("%s: %q, %v", format, out.String(), err)
		}
	}
}

func TestVersions(t *testing.T) {
	yes, no := true, false
	server := &version.Info{GitVersion: "v1.37.2\x1b[2J"}
	tests := []struct {
		versions versions
		want     string
	}{
		{versions{ClientVersion: clientVersion{"v1.2.3"}}, "Client Version: v1.2.3\n"},
		{versions{clientVersion{"v1.2.3"}, server, &yes},
			"Client Version: v1.2.3\nServer Version: v1.37.2[2J (eshell is tested with it)\n"},
		{versions{clientVersion{"v1.2.3"}, server, &no},
			"Client Version: v1.2.3\nServer Version: v1.37.2[2J (eshell is tested with 1.33 to 1.37)\n"},
	}
	for _, tt := range tests {
		if got := tt.versions.String(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
