package stream

import (
	"context"
	"fmt"
	"io"
)

// OutputError means that the command's output could not be written here: a full disk, or a reader
// like head that has gone.
type OutputError struct{ Err error }

// Error names the direction and says the system's words.
func (e *OutputError) Error() string { return fmt.Sprintf("write the output: %v", e.Err) }

// Unwrap returns the system's error.
func (e *OutputError) Unwrap() error { return e.Err }

// output ends the session when it cannot be written to.
type output struct {
	io.Writer
	stop context.CancelCauseFunc
}

// Write passes p on.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		o.stop(&OutputError{err})
	}
	return n, err
}
