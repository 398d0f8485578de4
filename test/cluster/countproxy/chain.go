package countproxy

import (
	"math"
	"slices"
	"sort"
	"time"
)

// span is the time that something took, and its weight in round trips.
type span struct {
	began, ended time.Time // ended is zero if it never did
	weight       int
}

// heaviest returns the weight of the heaviest chain of spans none of which began before the former had ended.
func heaviest(spans []span) int {
	spans = slices.Clone(spans)
	for i := range spans {
		if spans[i].ended.IsZero() {
			spans[i].ended = time.Unix(math.MaxInt32, 0) // after all others
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.ended.Compare(b.ended) })
	// best[i] is the heaviest chain of the first i, by their ends.
	best := make([]int, len(spans)+1)
	for i, s := range spans {
		before := sort.Search(i, func(j int) bool { return spans[j].ended.After(s.began) })
		best[i+1] = max(best[i], best[before]+s.weight)
	}
	return best[len(spans)]
}
