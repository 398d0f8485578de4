// Package docs reads the project's pages: the commands that they show, their headings and their links. A page
// shows a command in a block of one of two languages:
//
//   - sh is a script, as it is typed or pasted
//   - console is what a terminal shows: lines with a prompt are typed, the others are output, and a line of
//     three dots is any output
//
// A comment in the line before says what a block is: <!-- not run: REASON --> if nothing can run it here, or
// <!-- file: PATH --> if it is a file in the reader's home that the commands read.
package docs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
)

// Page is a file in Markdown.
type Page struct {
	Path    string // from the repository's root
	Blocks  []Block
	Anchors []string // of its headings, as GitHub has them
	Links   []Link
}

// Block is a code block.
type Block struct {
	Line     int    // of its first line in the page
	Language string // empty without a fence
	Text     string
	NotRun   string // why nothing runs it; empty: there is no such comment
	File     string // where its text is in the reader's home, if the commands of the page read it
}

// Link is where a link or an image leads.
type Link struct {
	Line int
	To   string
}

// Read reads the README, SECURITY.md, and the pages below docs and test, of the repository at root.
func Read(root string) ([]Page, error) {
	paths := []string{"README.md", "SECURITY.md"}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md", "test/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			paths = append(paths, filepath.ToSlash(strings.TrimPrefix(path, filepath.Clean(root)+"/")))
		}
	}
	var pages []Page
	for _, path := range paths {
		source, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return nil, err
		}
		pages = append(pages, parse(path, source))
	}
	return pages, nil
}

func parse(path string, source []byte) Page {
	page := Page{Path: path}
	lineOf := func(offset int) int { return 1 + bytes.Count(source[:offset], []byte("\n")) }
	line := 1
	_ = ast.Walk(goldmark.DefaultParser().Parse(text.NewReader(source)),
		func(node ast.Node, entering bool) (ast.WalkStatus, error) {
			if !entering {
				return ast.WalkContinue, nil
			}
			if node.Type() == ast.TypeBlock && node.Lines().Len() > 0 {
				line = lineOf(node.Lines().At(0).Start)
			}
			switch node := node.(type) {
			case *ast.Heading:
				page.Anchors = append(page.Anchors, page.anchor(string(plainText(node, source))))
			case *ast.Link:
				page.Links = append(page.Links, Link{line, string(node.Destination)})
			case *ast.Image:
				page.Links = append(page.Links, Link{line, string(node.Destination)})
			case *ast.FencedCodeBlock:
				page.Blocks = append(page.Blocks, block(line, string(node.Language(source)), node, source))
			case *ast.CodeBlock:
				page.Blocks = append(page.Blocks, block(line, "", node, source))
			}
			return ast.WalkContinue, nil
		})
	return page
}

// plainText returns what a heading says, without its markup.
func plainText(node ast.Node, source []byte) []byte {
	var all []byte
	_ = ast.Walk(node, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, is := n.(*ast.Text); is && entering {
			all = append(all, t.Segment.Value(source)...)
		}
		return ast.WalkContinue, nil
	})
	return all
}

var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N}\p{M}_ -]`)

// anchor returns the anchor of the page's next heading: small letters, digits and hyphens for spaces. One
// that is there already gets a number
// (https://docs.github.com/en/get-started/writing-on-github/getting-started-with-writing-and-formatting-on-github/basic-writing-and-formatting-syntax.
func (p Page) anchor(heading string) string {
	slug := strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
	name := slug
	for n := 1; slices.Contains(p.Anchors, name); n++ {
		name = fmt.Sprintf("%s-%d", slug, n)
	}
	return name
}

var comment = regexp.MustCompile(`^<!-- (not run|file): (\S.*) -->\s*$`)

// block returns a code block, with what the comment before it says.
func block(line int, language string, node ast.Node, source []byte) Block {
	b := Block{Line: line, Language: language, Text: string(node.Lines().Value(source))}
	html, is := node.PreviousSibling().(*ast.HTMLBlock)
	if !is {
		return b
	}
	said := comment.FindStringSubmatch(string(html.Lines().Value(source)) + closing(html, source))
	switch {
	case said == nil:
	case said[1] == "file":
		b.File = said[2]
	default:
		b.NotRun = said[2]
	}
	return b
}

func closing(html *ast.HTMLBlock, source []byte) string {
	if !html.HasClosure() {
		return ""
	}
	return string(html.ClosureLine.Value(source))
}

// Runs reports whether a test runs the block.
func (b Block) Runs() bool { return b.NotRun == "" && (b.Language == "sh" || b.Language == "console") }

var command = regexp.MustCompile(`(?m)^(\$ |(export \S+ |[A-Z_]+=\S* )*` +
	`(kubectl|make|go|git|kind|helm|sudo|apt|apt-get|brew|curl|docker)\s)`)

// Complaint says what is wrong with the block, or nothing.
func (b Block) Complaint() string {
	runs := b.Language == "sh" || b.Language == "console"
	switch {
	case b.Language == "":
		return "an indented block, or a fence without a language: sh and console are run, others are not"
	case b.Language == "bash" || b.Language == "shell" || b.Language == "shell-session":
		return b.Language + " is written sh, or console if it shows output"
	case b.Language == "console" && !strings.HasPrefix(b.Text, "$ "):
		return "a console's first line is typed: $ COMMAND"
	case !runs && b.NotRun == "" && command.MatchString(b.Text):
		return "a command that nothing runs: make it sh or console, or say why: <!-- not run: REASON -->"
	}
	return ""
}
