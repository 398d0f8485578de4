package docs

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

func pages(t *testing.T) []Page {
	t.Helper()
	all, err := Read(root)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestBlocks: each command is run by TestDocs, or has a reason why nothing runs it.
func TestBlocks(t *testing.T) {
	for _, page := range pages(t) {
		for _, block := range page.Blocks {
			if complaint := block.Complaint(); complaint != "" {
				t.Errorf("%s:%d: %s\n%s", page.Path, block.Line, complaint, block.Text)
			}
		}
	}
}

// TestLinks: what a page leads to is there, file and heading. What is elsewhere is not asked for.
func TestLinks(t *testing.T) {
	all := pages(t)
	for _, page := range all {
		for _, link := range page.Links {
			if err := leads(all, page, link.To); err != nil {
				t.Errorf("%s:%d: %v", page.Path, link.Line, err)
			}
		}
	}
}

func leads(all []Page, from Page, to string) error {
	if strings.HasPrefix(to, "https://") {
		return nil
	}
	file, anchor, isPart := strings.Cut(to, "#")
	target := path.Join(path.Dir(from.Path), file)
	if file == "" {
		target = from.Path
	}
	if _, err := os.Stat(filepath.Join(root, target)); err != nil {
		return err
	}
	if !isPart {
		return nil
	}
	i := slices.IndexFunc(all, func(p Page) bool { return p.Path == target })
	if i < 0 || !slices.Contains(all[i].Anchors, anchor) {
		return fmt.Errorf("%s has no heading #%s", target, anchor)
	}
	return nil
}

// TestIndex: docs/README.md leads to each page in docs, once.
func TestIndex(t *testing.T) {
	all := pages(t)
	index := all[slices.IndexFunc(all, func(p Page) bool { return p.Path == "docs/README.md" })]
	led := map[string]int{}
	for _, link := range index.Links {
		led[path.Join("docs", link.To)]++
	}
	for _, page := range all {
		if strings.HasPrefix(page.Path, "docs/") && page.Path != index.Path && led[page.Path] != 1 {
			t.Errorf("docs/README.md has %d links to %s, want one", led[page.Path], page.Path)
		}
	}
}

// sample has each kind of block, heading and link.
const sample = `# A page, *with* ` + "`code`" + ` & [a link](other.md)

## Twice
## Twice

| a table | with [a link](#twice) |
|---|---|
| b | ![an image](image.svg) |

` + "```sh\nkubectl eshell deploy/api\n```" + `

<!-- not run: it takes a day -->
` + "```sh\nmake everything\n```" + `

- an item

  ` + "```console\n  $ true\n  output\n  ```" + `

<!-- a comment -->
` + "```text\nNAME=1 kubectl get pods\n```" + `

    make test

` + "```text\nno command: kubectl get pods\n```\n" + `
<!-- file: config.yaml -->
` + "```yaml\nttl: 4h\n```\n"

func TestParse(t *testing.T) {
	want := Page{
		Path:    "docs/page.md",
		Anchors: []string{"a-page-with-code--a-link", "twice", "twice-1"},
		Links:   []Link{{1, "other.md"}, {6, "#twice"}, {6, "image.svg"}},
		Blocks: []Block{
			{11, "sh", "kubectl eshell deploy/api\n", "", ""},
			{16, "sh", "make everything\n", "it takes a day", ""},
			{22, "console", "$ true\noutput\n", "", ""},
			{28, "text", "NAME=1 kubectl get pods\n", "", ""},
			{31, "", "make test\n", "", ""},
			{34, "text", "no command: kubectl get pods\n", "", ""},
			{39, "yaml", "ttl: 4h\n", "", "config.yaml"},
		},
	}
	got := parse("docs/page.md", []byte(sample))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	var runs, wrong []int
	for _, block := range got.Blocks {
		if block.Runs() {
			runs = append(runs, block.Line)
		}
		if block.Complaint() != "" {
			wrong = append(wrong, block.Line)
		}
	}
	if !slices.Equal(runs, []int{11, 22}) || !slices.Equal(wrong, []int{28, 31}) {
		t.Errorf("the blocks of lines %v run, want 11 and 22; those of %v are wrong, want 28 and 31", runs, wrong)
	}
}

// TestLeads: a link to nothing is found.
func TestLeads(t *testing.T) {
	all := []Page{{Path: "README.md", Anchors: []string{"here"}}, {Path: "docs/design.md"}}
	for to, isThere := range map[string]bool{
		"#here": true, "#there": false, "docs/design.md": true, "docs/none.md": false,
		"docs/design.md#here": false, "LICENSE": true, "https://kubernetes.io": true,
	} {
		if err := leads(all, all[0], to); (err == nil) != isThere {
			t.Errorf("%s: %v", to, err)
		}
	}
}
