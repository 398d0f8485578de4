// Package hint pairs an error with the next thing to type. An error is a fact on one line; its hint
// stands on a line of its own where errors are printed.
package hint

import (
	"errors"
	"fmt"
)

type hinted struct {
	error
	next string
}

func (h *hinted) Unwrap() error { return h.error }

// Errorf returns the error of fmt.Errorf(format, args...) with next as its hint.
func Errorf(next, format string, args ...any) error {
	return &hinted{error: fmt.Errorf(format, args...), next: next}
}

// Of returns the hint of the outermost error in err's chain that has one, or "".
func Of(err error) string {
	var h *hinted
	if errors.As(err, &h) {
		return h.next
	}
	return ""
}
