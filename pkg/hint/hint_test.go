package hint

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"testing"
)

var errGone = errors.New("gone")

func TestOf(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"no error", nil, ""},
		{"an error without a hint", io.EOF, ""},
		{"an error with one", Wrap(errGone, "try again"), "try again"},
		{"wrapped", fmt.Errorf("open: %w", Wrap(errGone, "try again")), "try again"},
		{"the outermost of two", Wrap(fmt.Errorf("open: %w", Wrap(errGone, "try again")), "ask for it"),
			"ask for it"},
		{"joined", errors.Join(io.EOF, Wrap(errGone, "try again")), "try again"},
	}
	for _, tt := range tests {
		if got := Of(tt.err); got != tt.want {
			t.Errorf("%s: Of = %q, want %q", tt.name, got, tt.want)
		}
	}
}

// The hint is not in the error's text, and does not hide what the error wraps.
func TestWrap(t *testing.T) {
	err := Wrap(fmt.Errorf("read %s: %w", "a file", io.EOF), "try again")
	if got, want := err.Error(), "read a file: EOF"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if !errors.Is(err, io.EOF) {
		t.Error("the wrapped error is not found in the chain")
	}
}

// TestCommand: a POSIX shell reads what is not ours as one word each, whatever it is.
func TestCommand(t *testing.T) {
	for word, want := range map[string]string{
		"api-7d4b9": "api-7d4b9", "deployments.apps": "deployments.apps", "app=api": "app=api", "A-": "A-",
		"": "''", "$(id)": "'$(id)'", "a b": "'a b'", "it's": `'it'\''s'`, "=ls": "'=ls'", "~root": "'~root'",
		"a;id": "'a;id'", "a\nid": "'a\nid'", "app in (a, b)": "'app in (a, b)'", "é": "'é'", "#": "'#'",
		"{a,b}": "'{a,b}'", "!!": "'!!'",
	} {
		if got := Command("get %s -n %s", word, "shop"); got != "get "+want+" -n shop" {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
		if out, err := exec.Command("sh", "-c", "printf %s. "+Quote(word)).Output(); err != nil ||
			string(out) != word+"." {
			t.Errorf("a shell reads %s as %q, %v", Quote(word), out, err)
		}
	}
}
