package picker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// shop is a list of three workloads and n pods.
func shop(pods int) List {
	l := List{Prompt: "Workload", Place: "in namespace shop", Items: []Item{
		{"deploy/api", []string{"2/2 ready", "api:1.4", "5d"}},
		{"deploy/api-worker", []string{"1/1 ready", "worker:1.4", "5d"}},
		{"cronjob/report", []string{"0 3 * * *", "report:2", "20d"}},
	}}
	for n := range pods {
		l.Items = append(l.Items, Item{fmt.Sprintf("pod/p%d", n), []string{"Running 1/1", "", "3m"}})
	}
	return l
}

// errTyped ends a keyboard's input without the wait for the signal of a closed terminal.
var errTyped = errors.New("all is typed")

// pressed are the keys that bytes stand for, up to the one that ends the list.
func pressed(t *testing.T, typed string) (keys []key) {
	t.Helper()
	ctx, end := context.WithCancelCause(t.Context())
	k := &keyboard{in: strings.NewReader(typed), came: make(chan read, 1)}
	for {
		k.ask()
		r := <-k.came
		if r.err != nil {
			end(errTyped)
			if !errors.Is(k.over(ctx, r.err), errTyped) {
				t.Fatal("the end of the input is not the context's")
			}
			return keys
		}
		k.came <- r
		next, err := k.next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, next)
	}
}

func TestKeys(t *testing.T) {
	for typed, want := range map[string][]key{
		"aé日😀 ":                    {'a', 'é', '日', '😀', ' '},
		"\r":                       {keyEnter},
		"\n":                       {keyEnter},
		"\x03":                     {keyCancel},
		"\x04":                     {keyCancel},
		"\x1b":                     {keyCancel},
		"\x1b\x1b":                 {keyCancel},
		"\x10\x0e":                 {keyUp, keyDown},
		"\x1b[A\x1b[B":             {keyUp, keyDown},
		"\x1bOA\x1bOB":             {keyUp, keyDown},
		"\x1b[1;5A":                {keyUp},
		"\x1b[H\x1b[1~\x1bOH":      {keyHome, keyHome, keyHome},
		"\x1b[F\x1b[4~\x1b[8~":     {keyEnd, keyEnd, keyEnd},
		"\x1b[5~\x1b[6;2~":         {keyPageUp, keyPageDown},
		"\x7f\x08\x15\x17":         {keyBackspace, keyBackspace, keyErase, keyEraseWord},
		"\x1bx\t\x00\x1b[3~":       {keyNone, keyNone, keyNone, keyNone}, // Alt-x, Tab, Ctrl-Space, Delete
		"\x1b[[A\x1b[24~":          {keyNone, keyNone},                   // F1 on Linux, F12
		"\xff\xc3(":                {keyNone, keyNone},                   // no UTF-8
		"\u200b\u202e\u0301":       {keyNone, keyNone, keyNone},          // what cannot be seen
		"\x1b[200~a\rb\x1b[201~\r": {keyNone, 'a', keyNone, 'b', keyNone, keyEnter},
		"\x1b[" + strings.Repeat("1", 40) + "x": append([]key{keyNone},
			append(slices.Repeat([]key{'1'}, 40-longestSequence), 'x')...),
	} {
		if got := pressed(t, typed); !slices.Equal(got, want) {
			t.Errorf("%q is %v, want %v", typed, got, want)
		}
	}
}

func newPipe(t *testing.T) (typed, in *os.File) {
	t.Helper()
	in, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		typed.Close()
	})
	return typed, in
}

// A sequence may come in parts, but not for ever.
func TestSlowKeys(t *testing.T) { synctest.Test(t, testSlowKeys) }

func testSlowKeys(t *testing.T) {
	keyboardIn, typed := io.Pipe()
	defer typed.Close() // ends the read that is left pending
	k := &keyboard{in: keyboardIn, came: make(chan read, 1)}
	go func() {
		for _, part := range []string{"\x1b", "[", "B"} {
			if _, err := typed.Write([]byte(part)); err != nil {
				t.Error(err)
			}
			<-time.After(sequenceTime / 10)
		}
	}()
	if got, err := k.next(t.Context()); got != keyDown || err != nil {
		t.Errorf("a sequence in parts is %v, %v", got, err)
	}
	go func() {
		if _, err := typed.Write([]byte{escape}); err != nil {
			t.Error(err)
		}
	}()
	began := time.Now()
	if got, err := k.next(t.Context()); got != keyCancel || err != nil || time.Since(began) < sequenceTime {
		t.Errorf("Esc alone is %v, %v after %s", got, err, time.Since(began))
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTyped)
	if _, err := k.next(ctx); !errors.Is(err, errTyped) {
		t.Errorf("when the context has ended the error is %v", err)
	}
}

// TestModel: what is typed, and which item is chosen then.
func TestModel(t *testing.T) {
	for typed, want := range map[string]string{
		"":                           "deploy/api",
		"\x1b[B":                     "deploy/api-worker",
		"\x1b[B\x1b[A\x1b[A":         "deploy/api",
		"\x1b[F":                     "pod/p29",
		"\x1b[F\x1b[B":               "pod/p29",
		"\x1b[F\x1b[H":               "deploy/api",
		"\x1b[6~":                    "pod/p6",
		"\x1b[6~\x1b[5~":             "deploy/api",
		"worker":                     "deploy/api-worker",
		"WORKER":                     "deploy/api-worker",
		"api":                        "deploy/api",
		"dapiw":                      "deploy/api-worker",
		"deploy api":                 "deploy/api",
		"cron":                       "cronjob/report",
		"zzz":                        "",
		"zzz\x1b[A\x1b[B\x1b[F":      "",
		"zzz\x15":                    "deploy/api",
		"reportx\x7f":                "cronjob/report",
		"\x7f\x17":                   "deploy/api",
		"report zzz\x17":             "cronjob/report",
		"pod/p1\x1b[B":               "pod/p10",
		"\x1b[F\x1b[200~p2\x1b[201~": "pod/p2",
	} {
		m := newModel(shop(30))
		m.visible(24)
		for _, k := range pressed(t, typed) {
			m.press(k)
		}
		got := ""
		if len(m.found) > 0 {
			got = m.found[m.at].Str
		}
		if got != want {
			t.Errorf("after %q %q is chosen, want %q", typed, got, want)
		}
	}
}

// TestMany: ten thousand items are filtered while somebody types.
func TestMany(t *testing.T) {
	m := newModel(shop(10_000))
	began := time.Now()
	for _, char := range "pod/p9999" {
		m.press(key(char))
		m.draw(80, 24, true)
	}
	if took := time.Since(began); len(m.found) != 1 || m.found[0].Str != "pod/p9999" || took > 9*time.Second {
		t.Errorf("%d found after %s", len(m.found), took)
	}
}

func BenchmarkKey(b *testing.B) {
	m := newModel(shop(10_000))
	for b.Loop() {
		m.press('p')
		m.draw(80, 24, true)
		m.press(keyBackspace)
		m.draw(80, 24, true)
	}
}

func TestDraw(t *testing.T) {
	for _, tt := range []struct {
		name, typed   string
		list          List
		width, height int
		want          string
		column        int
	}{
		{"few", "", shop(0), 80, 24, `
Workload:   type to filter, Esc leaves; 3 in namespace shop
> deploy/api         2/2 ready  api:1.4     5d
  deploy/api-worker  1/1 ready  worker:1.4  5d
  cronjob/report     0 3 * * *  report:2    20d`, 10},
		{"filtered", "rep", shop(0), 80, 24, `
Workload: rep  1 of 3 in namespace shop
> cronjob/report     0 3 * * *  report:2    20d`, 13},
		{"nothing", "zzz", shop(0), 80, 24, `
Workload: zzz  0 of 3 in namespace shop`, 13},
		{"narrow", "", shop(0), 24, 24, `
Workload:   type to fil
> deploy/api   2/2 read
  deploy/api-worker  1/
  cronjob/report  0 3 *`, 10},
		{"long filter", "abcdefghijklmnopqrstuvwxyz", shop(0), 24, 24, `
Workload: opqrstuvwxyz`, 22},
		{"low", "\x1b[F", shop(7), 40, 4, `
Workload:   type to filter, Esc leaves;
  pod/p4             Running 1/1
  pod/p5             Running 1/1
> pod/p6             Running 1/1`, 10},
		{"tiny", "", shop(0), 1, 1, `
W`, 0},
		{"wide", "", List{Prompt: "日本", Items: []Item{{"日本日本日本", []string{"x"}}}}, 10, 24, `
日本:   t
> 日本日`, 6},
		{"controlled", "", List{Prompt: "A", Place: "B\x1b[31m", Items: []Item{
			{"a\x1b]0;title\ab\u202ec", []string{"d\n\re\u0301\u009bf"}}}}, 80, 24, `
A:   type to filter, Esc leaves; 1 B[31m
> a]0;titlebc  def`, 3},
	} {
		m := newModel(tt.list)
		m.visible(tt.height)
		for _, k := range pressed(t, tt.typed) {
			m.press(k)
		}
		on := newScreen(t, tt.width, tt.height)
		for range 2 { // the second time takes the place of the first
			fmt.Fprint(on, m.draw(tt.width, tt.height, true))
		}
		want := strings.TrimPrefix(tt.want, "\n")
		if got := on.String(); got != want || on.row != 0 || on.column != tt.column {
			t.Errorf("%s: the cursor is at %d, %d, want 0, %d; the screen is\n%s\nwant%s", tt.name, on.row,
				on.column, tt.column, got, tt.want)
		}
	}
}

// Nothing but the position of the cursor is said in sequences to a terminal without styles. The others are
// marked where they match.
func TestStyles(t *testing.T) {
	m := newModel(shop(0))
	for _, char := range "rep" {
		m.press(key(char))
	}
	if got := m.draw(80, 24, false); regexp.MustCompile(`\x1b\[[0-9;]*m`).MatchString(got) {
		t.Errorf("unstyled it is %q", got)
	}
	const want = "\x1b[1;4mr\x1b[0m\x1b[1;4me\x1b[0m\x1b[1;4mp\x1b[0m\x1b[1mort\x1b[0m"
	if got := m.draw(80, 24, true); !strings.Contains(got, want) {
		t.Errorf("%q is not in %q", want, got)
	}
}

// TestResize: whatever becomes of the rows when the terminal gets another size, the next drawing leaves
// nothing of them, and what was above stays.
func TestResize(t *testing.T) {
	for _, reflows := range []bool{false, true} {
		m := newModel(shop(20))
		on := newScreen(t, 80, 24)
		on.reflows = reflows
		fmt.Fprint(on, "$ kubectl\r\n")
		for _, width := range []int{80, 30, 24, 120, 20, 80} {
			on.resize(width)
			m.press(keyDown)
			fmt.Fprint(on, m.draw(width, 24, true))
			alone := newScreen(t, width, 24)
			fmt.Fprint(alone, "$ kubectl\r\n"+m.draw(width, 24, true))
			if got, want := on.String(), alone.String(); got != want {
				t.Errorf("reflows %t: at a width of %d the screen is\n%s\nwant\n%s", reflows, width, got,
					want)
			}
		}
		fmt.Fprint(on, erase)
		if got := on.String(); got != "$ kubectl" || on.row != 1 || on.column != 0 {
			t.Errorf("reflows %t: in the end the screen is\n%s", reflows, got)
		}
	}
}

// FuzzList: whatever is typed and listed, the list takes ten rows at most, and chooses what it shows.
func FuzzList(f *testing.F) {
	f.Add("api\x1b[B\x17", "pod/日本\x1b[2J", 40, 10)
	f.Add("\x1b[200~\xff\x1b[201~\x1b[F", "a\x00b", 3, 1)
	f.Fuzz(func(t *testing.T, typed, name string, width, height int) {
		width, height = 1+max(width, -width)%200, 1+max(height, -height)%50
		if width < 3 {
			width = 3 // a wide character would be wrapped
		}
		l := shop(12)
		l.Items = append(l.Items, Item{name, []string{name, name}})
		m := newModel(l)
		on := newScreen(t, width, height)
		for _, k := range pressed(t, typed) {
			m.press(k)
			fmt.Fprint(on, m.draw(width, height, true))
			if rows := len(on.rows); rows > min(mostRows, height) {
				t.Fatalf("%d rows at a height of %d", rows, height)
			}
			if chosen := len(m.found) > 0; chosen && m.rows > 0 && (m.at < m.top || m.at >= m.top+m.rows) ||
				!chosen && m.at != 0 {
				t.Fatalf("%d is chosen, %d to %d of %d are shown", m.at, m.top, m.top+m.rows, len(m.found))
			}
		}
	})
}
