package hint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestEveryCommandIsQuoted: wherever the program builds a command to type from words that are not constants,
// Command does it.
func TestEveryCommandIsQuoted(t *testing.T) {
	found := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		quoted, unquoted := commands(file)
		found += quoted
		for _, node := range unquoted {
			t.Errorf("%s: a command with a word in it that hint.Command has not quoted", set.Position(node.Pos()))
		}
		return nil
	})
	if err != nil || found < 30 {
		t.Errorf("%d commands were found, %v", found, err)
	}
	bad, err := parser.ParseFile(token.NewFileSet(), "", "package p\nvar a = \"kubectl get \" + b\n"+
		"var c = f(\"kubectl get %s\", b)\nvar d = hint.Command(\"kubectl get %s\", b)\n"+
		"var e = \"kubectl get pods\" + \" -A\"\nvar g = \"set it with -e \" + b + \"=...\"\n"+
		"var h = \"--init \" + b", 0)
	if err != nil {
		t.Fatal(err)
	}
	if quoted, unquoted := commands(bad); quoted != 1 || len(unquoted) != 4 {
		t.Errorf("%d and %d commands of one and four were found", quoted, len(unquoted))
	}
}

// commands counts the commands that Command makes, and returns the others that have a word put in.
func commands(file *ast.File) (quoted int, unquoted []ast.Node) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GenDecl:
			return n.Tok != token.CONST
		case *ast.CallExpr:
			function, _ := n.Fun.(*ast.SelectorExpr)
			if function != nil && function.Sel.Name == "Command" {
				quoted++
				return false
			}
			for _, argument := range n.Args {
				if text := literal(argument); len(n.Args) > 1 && isCommand(text) && strings.Contains(text, "%") {
					unquoted = append(unquoted, n)
				}
			}
		case *ast.BinaryExpr:
			if constant, text := parts(n); !constant && (isCommand(text) || takesWord(n)) {
				unquoted = append(unquoted, n)
				return false
			}
		}
		return true
	})
	return quoted, unquoted
}

// isCommand reports whether a text has a command to which words can be added.
func isCommand(text string) bool {
	return typed.MatchString(text)
}

var typed = regexp.MustCompile(`kubectl [a-z-]+ `)

// flagBefore matches a text that ends with a flag to which a word is added.
var flagBefore = regexp.MustCompile(`(^|[ ;:])--?[a-z][a-z-]*[ =]$`)

// takesWord reports whether a word that is not a literal follows a flag.
func takesWord(e *ast.BinaryExpr) bool {
	before, isLiteral := e.X.(*ast.BasicLit)
	if sum, isSum := e.X.(*ast.BinaryExpr); isSum {
		before, isLiteral = sum.Y.(*ast.BasicLit)
	}
	if _, more := e.Y.(*ast.BasicLit); more || !isLiteral {
		return false
	}
	text, err := strconv.Unquote(before.Value)
	return err == nil && flagBefore.MatchString(text)
}

func literal(e ast.Expr) string {
	_, text := parts(e)
	return text
}

// parts returns the literals of an expression, and whether it has nothing else.
func parts(e ast.Expr) (constant bool, text string) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return err == nil, text
	case *ast.BinaryExpr:
		one, text := parts(e.X)
		two, more := parts(e.Y)
		return one && two, text + more
	}
	return false, ""
}
