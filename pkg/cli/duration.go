package cli

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseDuration reads a duration as people type one: Go's units, and days.
func parseDuration(text string) (time.Duration, error) {
	number, rest, hasDays := strings.Cut(text, "d")
	if !hasDays {
		number, rest = "0", text
	}
	days, err := strconv.ParseUint(number, 10, 16)
	var clock time.Duration
	if err == nil {
		clock, err = time.ParseDuration(cmp.Or(rest, "0"))
	}
	if err != nil || text == "" {
		return 0, fmt.Errorf("%q is not a duration, like 90s, 30m, 8h or 2d", text)
	}
	return time.Duration(days)*24*time.Hour + clock, nil
}

// parseDurationFlag reads a flag's duration, if it was given. It has to be at least as long as least.
func parseDurationFlag(to *time.Duration, flag, text string, least time.Duration) error {
	if text == "" {
		return nil
	}
	parsed, err := parseDuration(text)
	switch {
	case err != nil:
		return fmt.Errorf("--%s: %w", flag, err)
	case parsed < least:
		return fmt.Errorf("--%s %s is less than %s", flag, text, least)
	}
	*to = parsed
	return nil
}
