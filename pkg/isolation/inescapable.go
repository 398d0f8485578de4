package isolation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

const debugInstead = "--mode debug opens a shell in a running pod instead"

// inescapable is the error of labels of which no set can be given up. The stuck selectors are those
// that the search could not get away from.
func (j *labelSelection) inescapable(stuck []Selector) error {
	matching := j.state.Matching(j.labels())
	next := debugInstead
	if j.state.Unknown == nil && !slices.ContainsFunc(matching, unacceptable) {
		next = "--keep-labels accepts it"
	}
	if always := j.always(matching); len(always) > 0 {
		return hint.Wrap(fmt.Errorf("%s", strings.Join(j.sentences(always), "; ")), next)
	}
	// Each can be escaped, but only into the other.
	whichever := names(slices.Concat(matching, stuck))
	return hint.Wrap(fmt.Errorf("whichever labels are given up, %s selects the clone",
		words.ShortList(whichever, "or")), next)
}

// always are those of the matching selectors that no key of the source breaks.
func (j *labelSelection) always(matching []Selector) []Selector {
	s := j.search(matching)
	return slices.DeleteFunc(slices.Clone(matching),
		func(m Selector) bool { return len(s.breaking(m, nil)) > 0 })
}

// cause is why nothing of the source's breaks a match: the labels that it asks for were set by the user
// or eshell, or it asks for none.
type cause struct {
	labels int    // how many it asks for
	text   string // these labels, or the pods that it selects
}

func (j *labelSelection) cause(m Selector) cause {
	var given []string
	for _, r := range requirements(m.Match) {
		if presence(r) {
			given = appendNew(given, r.Key()+"="+j.fixed[r.Key()])
		}
	}
	if len(given) == 0 {
		return cause{0, words.Selected("pod", m.Match)}
	}
	return cause{len(given), words.List(given, "and")}
}

func (c cause) sentence(selecting []string) string {
	who := words.ShortList(selecting, "and")
	if c.labels == 0 {
		return who + words.Plural(len(selecting), " selects ", " select ") + c.text
	}
	return words.Plural(c.labels, "label ", "labels ") + c.text + words.Plural(c.labels, " makes ",
		" make ") + who + " select the clone"
}

// sentences say why the selectors match, one for all of the same cause.
func (j *labelSelection) sentences(selectors []Selector) []string {
	var causes []cause
	by := map[cause][]Selector{}
	for _, m := range selectors {
		c := j.cause(m)
		if by[c] == nil {
			causes = append(causes, c)
		}
		by[c] = append(by[c], m)
	}
	sentences := make([]string, len(causes))
	for i, c := range causes {
		sentences[i] = c.sentence(names(by[c]))
	}
	return sentences
}
