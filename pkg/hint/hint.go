// Package hint pairs an error with the next thing to type. An error is a fact on one line. Its hint is
// printed on a line of its own.
package hint

import "errors"

type hinted struct {
	error
	next string
}

func (h *hinted) Unwrap() error { return h.error }

// Wrap returns err with next as its hint: what to type next.
func Wrap(err error, next string) error { return &hinted{error: err, next: next} }

// Of returns the hint of the outermost error in err's chain that has one, or "".
func Of(err error) string {
	var h *hinted
	if errors.As(err, &h) {
		return h.next
	}
	return ""
}
