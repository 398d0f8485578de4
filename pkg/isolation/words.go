package isolation

import (
	"fmt"
	"strings"
)

// list joins words as a sentence does: "a, b and c".
func list(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	end := len(words) - 1
	return strings.Join(words[:end], ", ") + " " + last + " " + words[end]
}

// shortList is a list of at most four: "a, b, c and 3 more".
func shortList(words []string, last string) string {
	if len(words) > 4 {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:3], ", "), len(words)-3)
	}
	return list(words, last)
}

func plural(n int, one, several string) string {
	if n == 1 {
		return one
	}
	return several
}

// names are the selectors as kubectl writes them, each once: the source's own controller may have
// been read twice.
func names(selectors []Selector) []string {
	var all []string
	for _, s := range selectors {
		all = appendNew(all, s.String())
	}
	return all
}
