package isolation

import (
	"maps"
	"slices"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

// labelSelection is a result under construction.
type labelSelection struct {
	state   NamespaceState
	fixed   map[string]string // labels set by the user and eshell, which are never given up
	loose   map[string]string // what is left of the source's labels
	dropped []Dropped
}

// SelectLabels decides on the labels of a clone of a pod that has the labels source. The clone has eshell's
// own labels, those that the user set, and all of the source's except
//
//   - those that controllers, GitOps tools and queues manage,
//   - those that the user dropped,
//   - the fewest keys without which no selector in the namespace matches. Among equals, these are the keys
//     that the fewest NetworkPolicies mention. With LabelOptions.Keep no such keys are given up, and the
//     result contains what matches instead.
//
// Errors are for options that contradict themselves, cannot be judged, or leave a match that is not accepted.
// They name the selectors, and their hint is the flag to type. The same input gives the same result.
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

// replace removes the source's labels that get another value. It does not report the user's own, because the
// user asked for them.
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

// dropWished drops the keys that the user named. A key that the source does not have is reported and is not
// an error, as in "kubectl label pod api KEY-". A script can then use the same flags for every workload.
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

// labels returns the clone's labels as selected so far.
func (l *labelSelection) labels() map[string]string {
	all := maps.Clone(l.fixed)
	maps.Copy(all, l.loose)
	return all
}

// isolate gives up as many labels as it takes for no selector to match.
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

// names returns the selectors in kubectl's notation, each once, because the source's own controller may have
// been read twice.
func names(selectors []Selector) []string {
	var all []string
	for _, s := range selectors {
		all = appendNew(all, s.String())
	}
	return all
}

// giveUp drops the given keys and reports what selects by them. Keys with the same selectors share one
// report.
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

// selectingBy returns the selectors that require the key and that match either with all labels or as soon as
// the key is taken back. There is at least one, because otherwise the key need not have been given up.
func (l *labelSelection) selectingBy(key string, given []string) []Selector {
	all, back := l.without(nil), l.without(except(given, key))
	var by []Selector
	for _, m := range l.state.Selectors {
		if (m.Match.Matches(all) || m.Match.Matches(back)) && slices.Contains(asks(m.Match), key) {
			by = append(by, m)
		}
	}
	return by
}
