package cli

import (
	"context"
	"io"
	"os"
)

// readInput returns the content of a file, or of stdin for "-", but at most one byte more than most. It waits
// no longer than until ctx ends: nobody might write to a pipe or type on a terminal.
func readInput(ctx context.Context, filename string, stdin io.Reader, most int64) ([]byte, error) {
	type result struct {
		content []byte
		err     error
	}
	read := make(chan result, 1)
	go func() {
		content, err := readFile(filename, stdin, most)
		read <- result{content, err}
	}()
	select {
	case r := <-read:
		return r.content, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func readFile(filename string, stdin io.Reader, most int64) ([]byte, error) {
	if filename == "-" {
		return io.ReadAll(io.LimitReader(stdin, most+1))
	}
	file, err := os.Open(filename)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, most+1))
}
