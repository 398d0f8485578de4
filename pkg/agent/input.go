package agent

import "io"

// input is the user's stdin as a session reads it: it can be ended from here, whatever a read of the
// real one is still waiting for.
type input struct {
	*io.PipeReader
	pipe *io.PipeWriter
}

// newInput reads from in, which may be nil.
func newInput(in io.Reader) input {
	r, w := io.Pipe()
	if in != nil {
		go func() {
			_, err := io.Copy(w, in)
			w.CloseWithError(err)
		}()
	}
	return input{r, w}
}

// end makes the next read, or the one that waits, the end of the input.
func (i input) end() { i.pipe.Close() }
