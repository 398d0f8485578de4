package isolation

import (
	"maps"
	"slices"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

// labelSelection is a result in the making.
type labelSelection struct {
	state   NamespaceState
	fixed   map[string]string // the user's and eshell's own: never given up
	loose   map[string]string // of the source's, what is left
	dropped []Dropped
}

// SelectLabels decides on the labels of a clone of a pod that has the labels source. The clone has eshell's
// own labels, those that the user set, and of the source's all but
//
//   - those that controllers, GitOps tools and queues manage,
//   - those that the user dropped,
//   - the fewest keys without which no selector of the namespace matches; among equals, those that
//     the fewest NetworkPolicies mention. With LabelOptions.Keep none are given up, and the result says what
//     matches instead.
//
// The errors are of options that contradict themselves, cannot be judged, or leave a match that is not
// accepted; they name the selectors, and their hint is the flag to type. The same input gives the same
// result.
func SelectLabels(source map[string]string, s NamespaceState, o LabelOptions, own map[string]string) (Result,
	error) {
	if err := o.check(s, own); err != nil {
		return Result{}, err
	}
	l := &labelSelection{state: s, loose: maps.Clone(source), fixed: map[string]string{}}
	maps.Copy(l.fixed, o.Set)
	l.replace(own)
	for _, m := range allManagedLabels() {
		unmanaged := func(key string) bool { return !m.has(key) }
		l.drop(slices.DeleteFunc(slices.Collect(maps.Keys(l.loose)), unmanaged), m.reason)
	}
	l.dropWished(source, o.Drop)
	if s.Unknown != nil {
		l.drop(slices.Sorted(maps.Keys(l.loose)), s.Unknown.Error())
	}
	if o.Keep {
		return l.keep()
	}
	return l.isolate()
}

// replace takes out of the source's labels those that get another value. Of the user's nothing is
// said: that is what was asked for.
func (l *labelSelection) replace(own map[string]string) {
	var replaced []string
	for key, value := range own {
		if theirs, ok := l.loose[key]; ok && theirs != value {
			replaced = append(replaced, key)
		}
	}
	maps.Copy(l.fixed, own)
	maps.DeleteFunc(l.loose, func(key, _ string) bool { _, fixed := l.fixed[key]; return fixed })
	l.drop(replaced, "eshell sets its own value")
}

// dropWished drops the user's keys. One that the source does not have is said and is no error, as in
// "kubectl label pod api KEY-": a script can then use the same flags for every workload.
func (l *labelSelection) dropWished(source map[string]string, wished []string) {
	var dropped, missing []string
	for _, key := range wished {
		if _, ok := l.loose[key]; ok {
			dropped = appendNew(dropped, key)
		}
		if _, ok := source[key]; !ok {
			missing = appendNew(missing, key)
		}
	}
	l.drop(dropped, "--drop-labels names "+words.Plural(len(dropped), "it", "them"))
	l.drop(missing, "the original does not have "+words.Plural(len(missing), "it", "them"))
}

func (l *labelSelection) drop(keys []string, reason string) {
	if len(keys) == 0 {
		return
	}
	slices.Sort(keys)
	for _, key := range keys {
		delete(l.loose, key)
	}
	l.dropped = append(l.dropped, Dropped{Keys: keys, Reason: reason})
}

// labels are the clone's, as things stand.
func (l *labelSelection) labels() map[string]string {
	all := maps.Clone(l.fixed)
	maps.Copy(all, l.loose)
	return all
}

// isolate gives up what it takes for no selector to match.
func (l *labelSelection) isolate() (Result, error) {
	keys, stuck := l.fewest(l.state.Selectors)
	if len(stuck) > 0 {
		return Result{}, l.inescapable(stuck)
	}
	l.giveUp(keys)
	return Result{Labels: l.labels(), Dropped: l.dropped}, nil
}

func appendNew(words []string, word string) []string {
	if slices.Contains(words, word) {
		return words
	}
	return append(words, word)
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

// giveUp drops the given keys and says what selects by them, once for all the keys of the same selectors.
func (l *labelSelection) giveUp(given []string) {
	var selecting, keys [][]string
	for _, key := range given {
		by := names(l.selectingBy(key, given))
		i := slices.IndexFunc(selecting, func(other []string) bool { return slices.Equal(by, other) })
		if i < 0 {
			i = len(selecting)
			selecting, keys = append(selecting, by), append(keys, nil)
		}
		keys[i] = append(keys[i], key)
	}
	for i, by := range selecting {
		l.drop(keys[i], words.ShortList(by, "and")+words.Plural(len(by), " selects by ", " select by ")+
			words.Plural(len(keys[i]), "it", "them"))
	}
}

// selectingBy are the selectors that ask for the key, and match with all the labels or as soon as it
// is taken back: one of these there is, or the key need not have been given up.
func (l *labelSelection) selectingBy(key string, given []string) []Selector {
	all, back := l.without(nil), l.without(except(given, key))
	var by []Selector
	for _, m := range l.state.Selectors {
		if slices.Contains(asks(m.Match), key) && (m.Match.Matches(all) || m.Match.Matches(back)) {
			by = append(by, m)
		}
	}
	return by
}
