package cli

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "2d": 2 * day, "1d12h": day + 12*time.Hour,
		"0": 0, "-1h": -time.Hour, "1h30m": 90 * time.Minute, "0d": 0} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "2", "x", "2w", "-2d", "1.5d", "d", "99999999999d", "2d2"} {
		if _, err := parseDuration(text); err == nil ||
			err.Error() != `"`+text+`" is not a duration, like 90s, 30m, 8h or 2d` {
			t.Errorf("%q: %v", text, err)
		}
	}
}
