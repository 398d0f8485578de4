package cli

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pass lets the time of a synctest bubble go on.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// A start that waits, as it is seen where nothing can be taken back.
func TestProgressInAFile(t *testing.T) {
	tests := []struct {
		name string
		tell func(*printer)
		want string
	}{
		{"not before patience", func(p *printer) {
			p.Waiting("pulling")
			pass(patience - time.Millisecond)
		}, ""},
		{"each reason once", func(p *printer) {
			for range 3 {
				p.Waiting("pulling")
				pass(2 * patience)
				p.Waiting("back-off")
				pass(2 * patience)
			}
		}, "waiting: pulling\nwaiting: back-off\n"},
		{"a reason that has passed is not told", func(p *printer) {
			p.Waiting("scheduling")
			pass(patience / 2)
			p.Waiting("pulling")
			pass(patience)
		}, "waiting: pulling\n"},
		{"nothing after the end", func(p *printer) {
			p.Waiting("pulling")
			p.Ready()
			pass(2 * patience)
		}, ""},
		{"patience begins anew", func(p *printer) {
			p.Waiting("pulling")
			pass(patience / 2)
			p.Ready()
			p.Waiting("attaching")
			pass(patience - time.Millisecond)
		}, ""},
		{"an end without a beginning, and twice", func(p *printer) {
			p.Ready()
			p.Waiting("pulling")
			p.Ready()
			p.Ready()
		}, ""},
		{"hostile", func(p *printer) {
			p.Waiting(hostile)
			pass(2 * patience)
		}, "waiting: " + harmless + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				p := newPrinter(&out, false)
				tt.tell(p)
				p.Ready()
				if out.String() != tt.want {
					t.Errorf("printed %q, want %q", out.String(), tt.want)
				}
			})
		})
	}
}

func TestProgressOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const erase = "\r\x1b[K"
		var out strings.Builder
		p := &printer{out: narrate(&out),
			progress: &progress{out: &out, moving: true, width: func() int { return 80 }}}
		p.Waiting("pulling " + hostile)
		pass(2 * frameTime)
		p.Waiting(strings.Repeat("x", 100))
		pass(frameTime)
		p.Say("ready")
		want := erase + "| waiting 0s: pulling " + harmless +
			erase + "/ waiting 0s: pulling " + harmless +
			erase + "- waiting 0s: " + strings.Repeat("x", 77-len("- waiting 0s: ")) +
			erase + "ready\n"
		if out.String() != want {
			t.Errorf("drawn:\n%q, want\n%q", out.String(), want)
		}
	})
}

// TestLastLineStays: a command's last line may have no end, and the line that moves must not erase it.
func TestLastLineStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := &printer{out: narrate(&out), told: map[string]bool{},
			progress: &progress{out: &out, moving: true, width: func() int { return 4 }}}
		p.Ready()
		p.Waiting("a")
		pass(2 * frameTime)
		p.Ready()
		if got := out.String(); !strings.HasPrefix(got, "    \r\r\x1b[K") || strings.Count(got, "    \r") != 1 {
			t.Errorf("drawn: %q, want a row of blanks first, and once", got)
		}
	})
}

func TestBell(t *testing.T) {
	for waited, rings := range map[time.Duration]int{bellTime - time.Millisecond: 0, bellTime: 1} {
		for _, moving := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				p := &printer{out: narrate(&out), told: map[string]bool{},
					progress: &progress{out: &out, moving: moving, printed: map[string]bool{},
						width: func() int { return 80 }}}
				p.Waiting("pulling")
				pass(waited)
				p.Ready()
				p.Ready()
				want := 0
				if moving {
					want = rings
				}
				if got := strings.Count(out.String(), "\a"); got != want {
					t.Errorf("%d bells after %s (on a terminal: %t), want %d", got, waited, moving, want)
				}
			})
		}
	}
}

func TestQuietProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := newPrinter(&out, true)
		p.Waiting("pulling")
		pass(2 * patience)
		p.Ready()
		if out.String() != "" {
			t.Errorf("printed %q, want nothing", out.String())
		}
	})
}

func TestCut(t *testing.T) {
	tests := []struct {
		line  string
		width int
		want  string
	}{
		{"abc", 6, "abc"},
		{"abc", 5, "ab"}, // the last column stays free, beside "^C": some terminals wrap when it is written
		{"abc", 3, ""},
		{"abc", 0, ""},
		{"", 80, ""},
		{"äöü", 5, "äö"},
		{"a\nb\tc", 80, "a b c"},
	}
	for _, tt := range tests {
		if got := cut(tt.line, tt.width); got != tt.want {
			t.Errorf("cut(%q, %d) = %q, want %q", tt.line, tt.width, got, tt.want)
		}
	}
}
