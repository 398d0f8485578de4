package embedded

import (
	"bytes"
	"fmt"
	"os"
)

const tailLines = 15

// exitError says that a component's process ended by itself, in the words of its log.
type exitError struct{ component, log string }

func (e *exitError) Error() string {
	return fmt.Sprintf("%s exited; the end of %s:\n%s", e.component, e.log, tail(e.log, tailLines))
}

// tail is the end of a file, or why it can't be read.
func tail(path string, lines int) []byte {
	content, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	content = bytes.TrimRight(content, "\n")
	for i := len(content); i > 0; lines-- {
		if i = bytes.LastIndexByte(content[:i], '\n'); lines <= 1 {
			return content[i+1:]
		}
	}
	return content
}
