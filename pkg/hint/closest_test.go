package hint

import (
	"slices"
	"testing"
)

func TestClosest(t *testing.T) {
	names := []string{"api", "api-worker", "payments", "web", "wbe2"}
	for word, want := range map[string][]string{
		"apii": {"api"}, "ap": {"api"}, "pai": {"api"}, "paymnets": {"payments"}, "wbe": {"web", "wbe2"},
		"api": nil, "": nil, "nothing": nil, "api-worke": {"api-worker"},
	} {
		if got := Closest(word, names); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	if got := Closest("aaa", []string{"aab", "aac", "aad", "aae"}); len(got) != 3 {
		t.Errorf("%q are more than three", got)
	}
}
