package countproxy

import (
	"testing"
	"time"
)

func TestHeaviest(t *testing.T) {
	at := func(began, ended, weight int) span {
		s := span{began: time.Unix(int64(began), 0), weight: weight}
		if ended > 0 {
			s.ended = time.Unix(int64(ended), 0)
		}
		return s
	}
	tests := []struct {
		name  string
		spans []span
		want  int
	}{
		{"none", nil, 0},
		{"one after the other", []span{at(1, 2, 1), at(2, 3, 1), at(5, 6, 1)}, 3},
		{"in any order", []span{at(5, 6, 1), at(1, 2, 1), at(2, 3, 1)}, 3},
		{"side by side", []span{at(1, 4, 1), at(1, 3, 1), at(2, 5, 1)}, 1},
		{"one beside two", []span{at(1, 9, 1), at(1, 3, 1), at(3, 5, 1)}, 2},
		{"the heavier of two", []span{at(1, 9, 2), at(1, 3, 1), at(9, 10, 1)}, 3},
		{"not the first that ends", []span{at(1, 5, 2), at(2, 3, 1), at(4, 6, 1), at(6, 7, 1)}, 3},
		{"no end", []span{at(1, 2, 1), at(3, 0, 1), at(4, 5, 1)}, 2},
		{"no end, after all others", []span{at(1, 2, 1), at(3, 4, 1), at(5, 0, 1), at(6, 0, 1)}, 3},
	}
	for _, tt := range tests {
		if got := heaviest(tt.spans); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
