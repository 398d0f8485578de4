package hint

import (
	"cmp"
	"slices"
)

// Closest returns the names that a word may have been meant for, at most three, the closest first. A third of
// its letters may differ.
func Closest(word string, names []string) []string {
	type near struct {
		name    string
		letters int
	}
	var found []near
	for _, name := range names {
		if n := distance(word, name); n <= max(1, len(word)/3) && name != word {
			found = append(found, near{name, n})
		}
	}
	slices.SortStableFunc(found, func(a, b near) int { return cmp.Compare(a.letters, b.letters) })
	var closest []string
	for _, f := range found[:min(3, len(found))] {
		closest = append(closest, f.name)
	}
	return closest
}

// distance is how many letters have to be added, taken away, replaced or exchanged with the next one to make
// b of a (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		for j := range rows[i] {
			switch {
			case i == 0 || j == 0:
				rows[i][j] = i + j
			case a[i-1] == b[j-1]:
				rows[i][j] = rows[i-1][j-1]
			default:
				rows[i][j] = 1 + min(rows[i-1][j], rows[i][j-1], rows[i-1][j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
