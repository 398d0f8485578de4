package hint

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestOf(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"no error", nil, ""},
		{"an error without a hint", io.EOF, ""},
		{"an error with one", Errorf("try again", "gone"), "try again"},
		{"wrapped", fmt.Errorf("open: %w", Errorf("try again", "gone")), "try again"},
		{"the outermost of two", Errorf("ask for it", "open: %w", Errorf("try again", "gone")), "ask for it"},
		{"joined", errors.Join(io.EOF, Errorf("try again", "gone")), "try again"},
	}
	for _, tt := range tests {
		if got := Of(tt.err); got != tt.want {
			t.Errorf("%s: Of = %q, want %q", tt.name, got, tt.want)
		}
	}
}

// The hint is not in the error's text, and does not hide what the error wraps.
func TestErrorf(t *testing.T) {
	err := Errorf("try again", "read %s: %w", "a file", io.EOF)
	if got, want := err.Error(), "read a file: EOF"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if !errors.Is(err, io.EOF) {
		t.Error("the wrapped error is not found in the chain")
	}
}
