package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestConfigPage: the file and the commands of docs/config.md are those of the script config.
func TestConfigPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("testdata/script/config.txtar")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(yaml|sh)\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("the page has %d blocks, want a file and commands", len(blocks))
	}
	_, file, _ := strings.Cut(string(script), "-- team.yaml --\n")
	if file != blocks[0][2] {
		t.Errorf("the script's file is\n%s\nand the page's\n%s", file, blocks[0][2])
	}
	for command := range strings.Lines(blocks[1][2]) {
		if !strings.Contains(string(script), "exits 0 "+strings.TrimSpace(command)) {
			t.Errorf("the script does not run %s", command)
		}
	}
}
