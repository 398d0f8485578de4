// Package hint pairs an error with the next thing to type. An error is a fact on one line. Its hint is
// printed on a line of its own.
package hint

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

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

// Command returns a command to type, in which each word that takes the place of a verb is one word for a
// shell, whatever it consists of. Every word that is not a constant of ours must pass here: names, and above
// all annotations, variables and images, come from the cluster or from a file, and a user might paste the
// hint.
func Command(format string, words ...string) string {
	quoted := make([]any, len(words))
	for i, word := range words {
		quoted[i] = Quote(word)
	}
	return fmt.Sprintf(format, quoted...)
}

// Quote returns a word as a POSIX shell reads it: as it is, or in single quotes.
// https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02
func Quote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// A word that begins with "=" is a command's path in zsh, and one with "~" a home directory.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:,@%+-][A-Za-z0-9_./:,@%+=-]*$`)
