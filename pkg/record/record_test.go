//go:build unix

package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// start begins a recording in a new file. It fails the test if the session cannot be recorded.
func start(t *testing.T, o Options) (*Recording, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.cast")
	o.Paths = append(o.Paths, path)
	if o.Failed == nil {
		o.Failed = func(err error) { t.Errorf("it failed: %v", err) }
	}
	r, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r, path
}

// event is one line of a recording, with the time since its beginning.
type event struct {
	at   float64
	code string
	data string
}

// play reads a recording as its specification says, and nothing of this package helps it.
func play(t *testing.T, path string) (header map[string]any, events []event) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	if lines[len(lines)-1] != "" {
		t.Fatalf("the last line does not end: %q", lines[len(lines)-1])
	}
	if err := json.Unmarshal([]byte(lines[0]), &header); err != nil {
		t.Fatalf("header %q: %v", lines[0], err)
	}
	at := 0.0
	for _, line := range lines[1 : len(lines)-1] {
		var fields [3]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil || !utf8.ValidString(line) {
			t.Fatalf("event %q: %v", line, err)
		}
		when, code, data := fields[0].(float64), fields[1].(string), fields[2].(string)
		if header["version"] == 3.0 {
			when += at
		}
		if when < at-1e-6 {
			t.Errorf("event %q is before the one above it", line)
		}
		at = when
		events = append(events, event{at, code, data})
	}
	return header, events
}

// joined returns the data of all events of a kind.
func joined(events []event, code string) string {
	var all strings.Builder
	for _, e := range events {
		if e.code == code {
			all.WriteString(e.data)
		}
	}
	return all.String()
}

func TestRecording(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{V2, V3} {
		r, path := start(t, Options{Format: format, Input: true})
		if err := r.Describe(Header{Columns: 132, Rows: 50, Term: "xterm", Title: "t", Command: "a > b",
			Session: map[string]string{"reason": "why"}}); err != nil {
			t.Fatal(err)
		}
		var shown bytes.Buffer
		fmt.Fprint(r.Writer(&shown), "\x1b[31mred\x1b[m \"\\\t\x00\r\n")
		r.Resize(132, 50)
		r.Resize(80, 24)
		if typed, err := r.Reader(strings.NewReader("ls\r")).Read(make([]byte, 10)); typed != 3 || err != nil {
			t.Errorf("%d bytes were typed, %v", typed, err)
		}
		r.Add("\x1b[?25h")
		if err := r.Close(3); err != nil {
			t.Error(err)
		}
		header, events := play(t, path)
		size := fmt.Sprint(header["width"], header["height"], header["env"])
		want, last := "132 50 map[TERM:xterm]", event{0, "m", "exit status 3"}
		if format == V3 {
			size, want, last = fmt.Sprint(header["term"]), "map[cols:132 rows:50 type:xterm]", event{0, "x", "3"}
		}
		if size != want || header["version"] != float64(format) || header["command"] != "a > b" ||
			header["title"] != "t" || fmt.Sprint(header["eshell"]) != "map[reason:why]" {
			t.Errorf("the header is %v", header)
		}
		if began := time.Since(time.Unix(int64(header["timestamp"].(float64)), 0)); began < 0 || began > time.Minute {
			t.Errorf("it began %s ago", began)
		}
		all := []event{{0, "o", "\x1b[31mred\x1b[m \"\\\t\x00\r\n"}, {0, "r", "80x24"}, {0, "i", "ls\r"},
			{0, "o", "\x1b[?25h"}, last}
		for n := range events {
			events[n].at = 0
		}
		if fmt.Sprint(events) != fmt.Sprint(all) {
			t.Errorf("the events are %v, want %v", events, all)
		}
		if shown.String() != all[0].data {
			t.Errorf("shown was %q", shown.String())
		}
	}
}

// TestText: a character in pieces is recorded when it is complete, also if another stream is in between, and
// what is no character is replaced.
func TestText(t *testing.T) {
	t.Parallel()
	r, path := start(t, Options{Format: V3})
	var out, errs bytes.Buffer
	stdout, stderr := r.Writer(&out), r.Writer(&errs)
	for _, piece := range []string{"a\xf0", "\x9f", "", "\x98"} {
		fmt.Fprint(stdout, piece)
	}
	fmt.Fprint(stderr, "é")
	fmt.Fprint(stdout, "\x80b\xff")
	fmt.Fprint(stdout, "\xe2\x82") // and nothing more
	if err := r.Close(0); err != nil {
		t.Error(err)
	}
	_, events := play(t, path)
	if got, want := joined(events, "o"), "aé😀b\ufffd\ufffd\ufffd"; got != want {
		t.Errorf("recorded was %q, want %q", got, want)
	}
	if got, want := out.String(), "a😀b\xff\xe2\x82"; got != want {
		t.Errorf("shown was %q, want %q", got, want)
	}
}

// TestCut: wherever an operating system cuts the file, which it does at a page, whole lines are left. What is
// recorded is what was shown, whatever its length.
func TestCut(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	letters := []string{"a", "\x1b", "\n", "é", "€", "😀", "\"", "\u2028", "\x7f"}
	r, path := start(t, Options{Format: V3})
	var want strings.Builder
	out := r.Writer(&want)
	for want.Len() < 1<<20 {
		fmt.Fprint(out, strings.Repeat(letters[random.IntN(len(letters))], 1+random.IntN(1<<random.IntN(14))))
	}
	if err := r.Close(0); err != nil {
		t.Error(err)
	}
	_, events := play(t, path)
	if joined(events, "o") != want.String() {
		t.Error("what was recorded differs from what was shown")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := page; at < len(text); at += page {
		if text[at-1] != '\n' {
			t.Fatalf("a line crosses the page at %d: %q", at, text[at-40:at+40])
		}
	}
	if len(text) > 3*want.Len() { // half of the letters take six bytes as JSON
		t.Errorf("%d bytes became %d", want.Len(), len(text))
	}
}

// TestFiles: a file is its owner's, and nothing that exists is written to.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(in("file"), []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"link": in("file"), "dangling": in("nothing"), "tty": "/dev/null"} {
		if err := os.Symlink(to, in(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(in("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	failed := func(err error) { t.Errorf("it failed: %v", err) }
	for _, name := range []string{"file", "link", "dangling", "tty", "pipe", "."} {
		first := in("first-" + name)
		_, err := New(t.Context(), Options{Format: V3, Failed: failed, Paths: []string{first, in(name)}})
		if !errors.Is(err, os.ErrExist) || !strings.Contains(fmt.Sprint(err), in(name)) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(first); err == nil {
			t.Errorf("%s: the other file of the recording is left", name)
		}
	}
	if kept, _ := os.ReadFile(in("file")); string(kept) != "kept" {
		t.Errorf("the file has %q", kept)
	}
	if _, err := os.Lstat(in("nothing")); err == nil {
		t.Error("a link was followed")
	}
	r, path := start(t, Options{Format: V3})
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if r.IsKept() {
		t.Error("a new recording is of a session that has begun")
	}
	r.Discard()
	if _, err := os.Lstat(path); err == nil {
		t.Error("a recording that was discarded is left")
	}
}

// TestReplaced: a recording removes no file but its own.
func TestReplaced(t *testing.T) {
	t.Parallel()
	r, path := start(t, Options{Format: V3})
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Discard()
	if text, _ := os.ReadFile(path); string(text) != "another" {
		t.Errorf("another file has %q", text)
	}
}

// TestFullDisk: what cannot be recorded is not shown, the session is told once and in the disk's words, and
// what was recorded can be played.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	var told []error
	r, path := start(t, Options{Format: V3, Failed: func(err error) { told = append(told, err) }})
	var shown bytes.Buffer
	out := r.Writer(&shown)
	fmt.Fprint(out, "recorded")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full")
	}
	own := r.files[0].File
	defer own.Close()
	r.files[0].File = full
	for range 3 {
		if n, err := fmt.Fprint(out, "lost"); n != 0 || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%d bytes were written, %v", n, err)
		}
	}
	if err := r.Close(1); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the end: %v", err)
	}
	if len(told) != 1 || told[0].Error() !=
		"the session can no longer be recorded: write /dev/full: no space left on device" {
		t.Errorf("told was %v", told)
	}
	if _, events := play(t, path); shown.String() != "recorded" || joined(events, "o") != "recorded" {
		t.Errorf("shown was %q, recorded %v", shown.String(), events)
	}
}

// TestLateOutput: what comes after the end is neither recorded nor shown, and the header stays.
func TestLateOutput(t *testing.T) {
	t.Parallel()
	r, path := start(t, Options{Format: V3, Header: Header{Title: "first"}})
	var shown bytes.Buffer
	out := r.Writer(&shown)
	fmt.Fprint(out, "1")
	if err := r.Describe(Header{Title: "second"}); err != nil {
		t.Error(err)
	}
	var typists sync.WaitGroup
	for range 4 {
		typists.Go(func() { r.Resize(1, 1); r.Add("2") })
	}
	typists.Wait()
	if err := r.Close(0); err != nil {
		t.Error(err)
	}
	if n, err := fmt.Fprint(out, "3"); n != 0 || err == nil {
		t.Errorf("%d bytes were written, %v", n, err)
	}
	header, events := play(t, path)
	if joined(events, "o") != "12222" || joined(events, "r") != "1x1" || header["title"] != "first" ||
		shown.String() != "1" {
		t.Errorf("recorded was %v, %v; shown was %q", header, events, shown.String())
	}
}

// TestNothing: without a recording all streams are the user's own.
func TestNothing(t *testing.T) {
	t.Parallel()
	var r *Recording
	var out bytes.Buffer
	in := strings.NewReader("")
	r.Resize(1, 1)
	r.Add("x")
	r.Keep()
	if r.Writer(&out) != &out || r.Reader(in) != in || r.Reader(nil) != nil || r.Describe(Header{}) != nil {
		t.Error("something is recorded")
	}
	some, _ := start(t, Options{Format: V3})
	if some.Reader(in) != in {
		t.Error("what is typed is recorded, and nobody has asked for that")
	}
}

// TestKept: the recording of a session that has begun is kept, also if nothing was shown, with the header
// that is known last.
func TestKept(t *testing.T) {
	t.Parallel()
	r, path := start(t, Options{Format: V3})
	r.Keep()
	if err := r.Describe(Header{Title: "late"}); err != nil || !r.IsKept() {
		t.Errorf("%v, kept: %t", err, r.IsKept())
	}
	if err := r.Close(143); err != nil {
		t.Error(err)
	}
	if header, events := play(t, path); header["title"] != "late" || joined(events, "x") != "143" {
		t.Errorf("recorded was %v, %v", header, events)
	}
	shown, _ := start(t, Options{Format: V3})
	if shown.Add("x"); !shown.IsKept() {
		t.Error("what was shown is not kept")
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string]string{
		dir: "<nil>", dir + "/": "<nil>",
		"here":       "record in here: not an absolute path",
		file:         "record in " + file + ": not a folder",
		link:         "record in " + link + ": not a folder",
		link + "/":   "record in " + link + "/: not a folder",
		dir + "/not": "lstat " + dir + "/not: no such file or directory",
	} {
		if err := CheckFolder(t.Context(), folder); fmt.Sprint(err) != want {
			t.Errorf("%s: %v, want %s", folder, err, want)
		}
	}
}

func TestName(t *testing.T) {
	begun := time.Date(2026, 11, 27, 5, 4, 3, 0, time.FixedZone("", 3600))
	for want, parts := range map[string][]string{
		"20261127T040403Z_ada_shop_deploy-api_x7k2p.cast":       {"ada", "shop", "deploy/api", "x7k2p"},
		"20261127T040403Z_CORP-ada_x.cast":                      {`CORP\ada`, "", "../", "x"},
		"20261127T040403Z_" + strings.Repeat("a", 48) + ".cast": {strings.Repeat("a", 300)},
		"20261127T040403Z_etc-passwd.cast":                      {"/../../etc/passwd\n"},
	} {
		if got := Name(begun, parts...); got != want {
			t.Errorf("%q: %s, want %s", parts, got, want)
		}
	}
}

// TestHungDisk: a disk that does not answer ends the session after a while, and holds up nothing after that.
func TestHungDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var told []error
		path := filepath.Join(dir, "a.cast")
		r, err := New(t.Context(), Options{Format: V3, Paths: []string{path},
			Failed: func(err error) { told = append(told, err) }})
		if err != nil {
			t.Fatal(err)
		}
		answer := make(chan struct{})
		begun := time.Now()
		r.mu.Lock()
		_ = r.each(func(*file) error { <-answer; return nil })
		r.mu.Unlock()
		var shown bytes.Buffer
		fmt.Fprint(r.Writer(&shown), "lost")
		err = r.Close(0)
		if took := time.Since(begun); took != patience || shown.Len() != 0 {
			t.Errorf("it took %s, and shown was %q", took, shown.String())
		}
		want := "the session can no longer be recorded: wait for " + path +
			": the disk has not answered within 10s"
		if len(told) != 1 || told[0].Error() != want || !errors.Is(err, told[0]) {
			t.Errorf("told was %v; the end: %v", told, err)
		}
		close(answer)
	})
}

// TestStopped: a process that was stopped for longer than a disk may take, or whose computer slept, has not
// waited for the disk.
func TestStopped(t *testing.T) {
	t.Parallel()
	const folder = "ESHELL_RECORD_STOPPED"
	if dir := os.Getenv(folder); dir != "" {
		recordUntilTold(t, dir)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestStopped$")
	cmd.Env = append(os.Environ(), folder+"="+t.TempDir())
	told, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	says, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first, err := bufio.NewReader(says).ReadString('\n')
	if err != nil || first != "recording\n" {
		t.Errorf("it says %q, %v", first, err)
	}
	_ = cmd.Process.Signal(syscall.SIGSTOP)
	<-time.After(patience + time.Second)
	_ = cmd.Process.Signal(syscall.SIGCONT)
	told.Close()
	rest, _ := io.ReadAll(says)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, rest)
	}
}

// recordUntilTold records many sessions at the same time until stdin ends.
func recordUntilTold(t *testing.T, dir string) {
	var recording sync.WaitGroup
	over := make(chan struct{})
	for n := range 100 {
		r, err := New(t.Context(), Options{Format: V3, Paths: []string{filepath.Join(dir, fmt.Sprint(n))},
			Failed: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		recording.Go(func() {
			for out := r.Writer(io.Discard); ; fmt.Fprint(out, "x") {
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	fmt.Println("recording")
	_, _ = io.Copy(io.Discard, os.Stdin)
	close(over)
	recording.Wait()
}
