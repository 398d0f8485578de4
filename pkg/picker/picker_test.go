//go:build unix

package picker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// user sits at a terminal, on which a list is shown.
type user struct {
	t          *testing.T
	keys, line *os.File
	before     string

	mu    sync.Mutex
	on    *screen
	width int
	shown chan struct{} // closed and replaced at each output
}

func newUser(t *testing.T) *user {
	t.Helper()
	keys, line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		keys.Close()
		line.Close()
	})
	u := &user{t: t, keys: keys, line: line, on: newScreen(t, 80, 24), width: 80, shown: make(chan struct{})}
	u.before = u.settings()
	return u
}

func (u *user) settings() string {
	cmd := exec.Command("stty", "-g")
	cmd.Stdin = u.line
	out, err := cmd.Output()
	if err != nil {
		u.t.Fatal(err)
	}
	return string(out)
}

// Write shows p on the user's screen.
func (u *user) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	close(u.shown)
	u.shown = make(chan struct{})
	return u.on.Write(p)
}

func (u *user) resize(width int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.width = width
	u.on.resize(width)
}

func (u *user) terminal() Terminal {
	return Terminal{In: u.line, Out: u, Size: func() (int, int) {
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.width, 24
	}}
}

func (u *user) types(text string) {
	u.t.Helper()
	if _, err := u.keys.WriteString(text); err != nil {
		u.t.Fatal(err)
	}
}

// sees waits until something is on the screen.
func (u *user) sees(text string) {
	u.t.Helper()
	late := time.After(10 * time.Second)
	for {
		u.mu.Lock()
		screen, shown := u.on.String(), u.shown
		u.mu.Unlock()
		if strings.Contains(screen, text) {
			return
		}
		select {
		case <-shown:
		case <-late:
			u.t.Fatalf("%q is not on the screen:\n%s", text, screen)
		}
	}
}

// result is what Pick returns.
type result struct {
	index int
	err   error
}

func (u *user) picks(ctx context.Context, t Terminal, l List) chan result {
	picked := make(chan result, 1)
	go func() {
		n, err := Pick(ctx, t, l)
		picked <- result{n, err}
	}()
	return picked
}

// finds asserts what was picked, and that nothing is left: neither on the screen nor of the terminal's
// settings.
func (u *user) finds(picked chan result, want result) {
	u.t.Helper()
	select {
	case got := <-picked:
		if got.index != want.index || !errors.Is(got.err, want.err) {
			u.t.Errorf("it picked %d, %v; want %d, %v", got.index, got.err, want.index, want.err)
		}
	case <-time.After(10 * time.Second):
		u.t.Fatalf("nothing is picked; the screen is\n%s", u.on)
	}
	if now := u.settings(); now != u.before {
		u.t.Errorf("the terminal's settings are %s, were %s", now, u.before)
	}
	if left := u.on.String(); left != "" {
		u.t.Errorf("this is left on the screen:\n%s", left)
	}
}

// TestPick: on a real terminal. What was typed before the list appeared is for the list, and what is typed
// after Enter is for whoever reads the terminal next.
func TestPick(t *testing.T) {
	for typed, want := range map[string]struct {
		result
		rest string
	}{
		"\r":                     {result{0, nil}, ""},
		"report\rls -l\r":        {result{2, nil}, "ls -l\r"},
		"\x1b[B\x1b[B\recho é\r": {result{2, nil}, "echo é\r"},
		"zzz\r\x15\rx":           {result{0, nil}, "x"},
		"\x03exit\r":             {result{0, ErrCancelled}, "exit\r"},
		"\x1b\x1bexit\r":         {result{0, ErrCancelled}, "exit\r"},
	} {
		t.Run(fmt.Sprintf("%q", typed), func(t *testing.T) {
			u := newUser(t)
			picked := u.picks(t.Context(), u.terminal(), shop(20))
			u.sees("Esc leaves")
			u.types(typed + "\x00") // to know the end
			u.finds(picked, want.result)
			rest := make([]byte, 100)
			n := 0
			raw := exec.Command("stty", "raw")
			raw.Stdin = u.line
			if err := raw.Run(); err != nil {
				t.Fatal(err)
			}
			for n == 0 || rest[n-1] != 0 {
				m, err := u.line.Read(rest[n:])
				if err != nil {
					t.Fatal(err)
				}
				n += m
			}
			if got := string(rest[:n-1]); got != want.rest {
				t.Errorf("%q is left for the next reader, want %q", got, want.rest)
			}
		})
	}
}

func TestPickTypedAhead(t *testing.T) {
	u := newUser(t)
	u.types("cron\n")
	u.finds(u.picks(t.Context(), u.terminal(), shop(20)), result{2, nil})
}

// TestPickEsc: a single Esc leaves, a moment later.
func TestPickEsc(t *testing.T) {
	u := newUser(t)
	picked := u.picks(t.Context(), u.terminal(), shop(20))
	u.sees("Esc leaves")
	u.types("\x1b")
	u.finds(picked, result{0, ErrCancelled})
}

func TestPickEnds(t *testing.T) {
	u := newUser(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	picked := u.picks(ctx, u.terminal(), shop(20))
	u.sees("Esc leaves")
	cancel(errTyped)
	u.finds(picked, result{0, errTyped})
}

func TestPickRestoresAfterAPanic(t *testing.T) {
	u := newUser(t)
	terminal := u.terminal()
	terminal.Size = func() (int, int) { panic("no size") }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it did not panic")
			}
		}()
		_, _ = Pick(t.Context(), terminal, shop(20))
	}()
	if now := u.settings(); now != u.before {
		t.Errorf("the terminal's settings are %s, were %s", now, u.before)
	}
}

// TestPickResized: the signal of a new size has the list drawn again.
func TestPickResized(t *testing.T) {
	u := newUser(t)
	picked := u.picks(t.Context(), u.terminal(), shop(20))
	u.sees("Esc leaves")
	u.resize(30)
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	u.sees("> deploy/api      2/2 ready\n")
	u.types("\r")
	u.finds(picked, result{0, nil})
}

// TestPickByNumber: a plain terminal has lines, and no sequences.
func TestPickByNumber(t *testing.T) {
	const few = `Workload in namespace shop:
  1) deploy/api  2/2 ready  api:1.4  5d
  2) deploy/api-worker  1/1 ready  worker:1.4  5d
  3) cronjob/report  0 3 * * *  report:2  20d
Number or name: `
	for typed, want := range map[string]struct {
		pods, index int
		err         error
		shown       string
	}{
		"2\n":                   {0, 1, nil, few},
		"cronjob/report\n":      {0, 2, nil, few},
		"report\n":              {0, 2, nil, few},
		" 1 \nrest\n":           {0, 0, nil, few},
		"deploy/api\n":          {0, 0, nil, few},
		"4\n0\nzz\x1b\n-1\n3\n": {0, 2, nil, "There is no 4.\n"},
		"api\n2\n":              {0, 1, nil, "Number or name:   1) deploy/api  2/2"},
		"api\n\n3\n":            {0, 2, nil, "  3) cronjob/report"},
		"":                      {0, 0, ErrCancelled, few},
		"pod/p98\n":             {100, 101, nil, " 20) pod/p16  Running 1/1    3m\n     and 83 more: a part"},
		"p9\n2\n":               {100, 93, nil, "  2) pod/p90"},
	} {
		typedInto, in := newPipe(t)
		if _, err := typedInto.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		typedInto.Close()
		var out strings.Builder
		n, err := Pick(t.Context(), Terminal{In: in, Out: &out, Plain: true}, shop(want.pods))
		if n != want.index || !errors.Is(err, want.err) || !strings.Contains(out.String(), want.shown) ||
			strings.Contains(out.String(), "\x1b") {
			t.Errorf("%q: %d, %v; want %d, %v; shown is\n%s", typed, n, err, want.index, want.err,
				out.String())
		}
	}
	_, in := newPipe(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTyped)
	_, err := Pick(ctx, Terminal{In: in, Out: &strings.Builder{}, Plain: true}, shop(0))
	if !errors.Is(err, errTyped) {
		t.Errorf("when the context has ended the error is %v", err)
	}
}
