package isolation

import (
	"slices"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

// reasons say what selects by the given keys, one reason for all the keys of the same selectors.
func (s search) reasons(given []string) []Dropped {
	var selecting [][]string
	var dropped []Dropped
	for _, key := range given {
		by := names(s.selectingBy(key, given))
		i := slices.IndexFunc(selecting, func(other []string) bool { return slices.Equal(by, other) })
		if i < 0 {
			i = len(dropped)
			selecting, dropped = append(selecting, by), append(dropped, Dropped{})
		}
		dropped[i].Keys = append(dropped[i].Keys, key)
	}
	for i, by := range selecting {
		dropped[i].Reason = words.ShortList(by, "and") + words.Plural(len(by), " selects by ",
			" select by ") +
			words.Plural(len(dropped[i].Keys), "it", "them")
	}
	return dropped
}

// selectingBy are the selectors that ask for the key, and match with all the labels or as soon as it
// is taken back: one of these there is, or the key need not have been given up.
func (s search) selectingBy(key string, given []string) []Selector {
	others := slices.DeleteFunc(slices.Clone(given), func(k string) bool { return k == key })
	all, back := s.without(nil), s.without(others)
	var by []Selector
	for _, m := range s.selectors {
		if asksFor(m.Match, key) && (m.Match.Matches(all) || m.Match.Matches(back)) {
			by = append(by, m)
		}
	}
	return by
}
