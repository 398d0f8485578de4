//go:build unix

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"
)

// cast is a recording, as this test reads it.
type cast struct {
	header struct {
		Version       int
		Width, Height int
		Term          struct {
			Cols, Rows int
			Type       string
		}
		Command, Title string
		Eshell         map[string]string
	}
	events []castEvent
}

type castEvent struct {
	at         float64 // seconds since the beginning
	code, data string
}

// readCast reads a recording by its specification: https://docs.asciinema.org/manual/asciicast/v3. Each of its
// lines has to be whole.
func readCast(t *testing.T, path string) (c cast) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	if last := lines[len(lines)-1]; last != "" || !utf8.Valid(text) {
		t.Fatalf("the last line of %s does not end: %q", path, last)
	}
	if err := json.Unmarshal([]byte(lines[0]), &c.header); err != nil {
		t.Fatalf("header %q: %v", lines[0], err)
	}
	now := 0.0
	for _, line := range lines[1 : len(lines)-1] {
		var e castEvent
		if err := json.Unmarshal([]byte(line), &[]any{&e.at, &e.code, &e.data}); err != nil {
			t.Fatalf("event %q: %v", line, err)
		}
		if c.header.Version == 3 { // an interval
			e.at += now
		}
		now = e.at
		c.events = append(c.events, e)
	}
	return c
}

// all returns the data of all events of a kind.
func (c cast) all(code string) string {
	var all strings.Builder
	for _, e := range c.events {
		if e.code == code {
			all.WriteString(e.data)
		}
	}
	return all.String()
}

// last returns the last event.
func (c cast) last(t *testing.T) string {
	t.Helper()
	if len(c.events) == 0 {
		t.Fatal("nothing was recorded")
	}
	last := c.events[len(c.events)-1]
	return last.code + " " + last.data
}

func (c cast) session() started { return started{pod: c.header.Eshell["pod"]} }

// asciinema 2 reads version 2 only. toV2 writes the same recording in that.
func (c cast) toV2(t *testing.T) string {
	t.Helper()
	var text bytes.Buffer
	lines := json.NewEncoder(&text)
	_ = lines.Encode(map[string]any{"version": 2, "width": c.header.Term.Cols, "height": c.header.Term.Rows})
	for _, e := range c.events {
		_ = lines.Encode([]any{e.at, e.code, e.data})
	}
	path := filepath.Join(t.TempDir(), "v2.cast")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// played returns what a terminal shows when asciinema plays a recording there.
func played(t *testing.T, path string) string {
	t.Helper()
	if _, err := exec.LookPath("asciinema"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("nothing plays the recording: apt-get install asciinema")
	}
	if c := readCast(t, path); c.header.Version == 3 {
		path = c.toV2(t)
	}
	cmd := exec.Command("asciinema", "play", "--speed=100", path)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "LC_ALL=C.UTF-8")
	term := onTerminal(t, cmd, 80, func() {})
	if got := term.status(); got != 0 {
		screen, _ := term.shown()
		t.Fatalf("asciinema has status %d, and shows:\n%s", got, screen)
	}
	screen, _ := term.shown()
	return screen
}

// installPlayer installs asciinema-player, which reads version 3, and returns its folder. Without npm it is "".
func installPlayer(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Log("asciinema-player is not tried: there is no npm")
		return ""
	}
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("testdata/player")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("install asciinema-player: %v\n%s", err, out)
	}
	return folder
}

// playedBy returns what asciinema-player shows of a recording.
func playedBy(t *testing.T, player, path string) string {
	t.Helper()
	out, err := exec.Command("node", filepath.Join(player, "play.mjs"), path).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = errors.New(string(exit.Stderr))
		}
		t.Fatalf("asciinema-player: %v", err)
	}
	return string(out)
}

// TestRecording: asciinema shows what the terminal showed, byte for byte. The recording has the sizes, the
// exit status, and who, what and why, and is its owner's.
func TestRecording(t *testing.T) {
	t.Parallel()
	player := installPlayer(t)
	for _, tt := range []struct{ name, format, via, last string }{
		{"v3 by exec", "v3", "exec", "x 3"},
		{"v2 by exec", "v2", "exec", "m exit status 3"},
		{"v3 by attach", "v3", "attach", "x 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.cast")
			term := open(t, "eshell", "deploy/bash", "-q", "--record", path, "--record-format", tt.format,
				"--via", tt.via, "--reason", "incident 12")
			term.expect(prompt)
			term.typed(`printf '\e[1;31mred\e[m caf\303'; sleep 0.2; printf '\251 \360\237'; sleep 0.2; printf '\230\200\n'` +
				"\n")
			term.expect(`red\x1b\[m café 😀\r\n`)
			term.resize(132, 50)
			term.typed("while [ \"$(stty size)\" != '50 132' ]; do :; done; echo resized to $(stty size)\n")
			term.expect(`resized to 50 132\r\n`)
			term.typed("printf '\\e[?25l'; exit 3\n") // the cursor stays hidden, and eshell shows it again
			if got := term.status(); got != 3 {
				t.Errorf("exit status %d, want 3", got)
			}
			term.restored()
			screen, _ := term.shown()
			c := readCast(t, path)
			c.session().gone(t)
			if got := played(t, path); got != screen || c.all("o") != screen {
				t.Errorf("asciinema shows:\n%q\nand the terminal showed:\n%q", got, screen)
			}
			if player != "" && playedBy(t, player, path) != screen {
				t.Errorf("asciinema-player shows:\n%q\nand the terminal showed:\n%q", playedBy(t, player, path), screen)
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
				t.Errorf("the mode of the recording is %v, %v", info.Mode(), err)
			}
			h := c.header
			if size := fmt.Sprint(h.Width, h.Height, h.Term); size != "0 0 {80 24 xterm}" && size != "80 24 {0 0 }" {
				t.Errorf("the size is %s", size)
			}
			if !strings.HasSuffix(c.all("r"), "132x50") || c.last(t) != tt.last || c.all("i") != "" {
				t.Errorf("the sizes are %q, the end is %q, typed was %q", c.all("r"), c.last(t), c.all("i"))
			}
			if h.Eshell["reason"] != "incident 12" || h.Eshell["user"] == "" || h.Eshell["source"] != "deployment/bash" ||
				h.Eshell["container"] != "app" || !strings.Contains(h.Title, "a clone of deployment/bash") {
				t.Errorf("the header is %v", h)
			}
		})
	}
}

// TestRecordedInput has what is typed, and only if that is asked for.
func TestRecordedInput(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.cast")
	term := open(t, "eshell", "deploy/bash", "--record", path, "--record-input", "--", "sh", "-c",
		"stty -echo; echo password:; read -r word; echo thanks")
	term.expect(`warning: what you type is recorded too, also a password that is not shown`)
	term.expect(`password:\r\n`)
	term.typed("s3cret\n")
	if got := term.status(); got != 0 {
		t.Errorf("exit status %d, want 0", got)
	}
	c := readCast(t, path)
	if c.all("i") != "s3cret\n" || strings.Contains(c.all("o"), "s3cret") || c.last(t) != "x 0" {
		t.Errorf("typed was %q, shown %q, the end is %q", c.all("i"), c.all("o"), c.last(t))
	}
	if want := "sh -c 'stty -echo; echo password:; read -r word; echo thanks'"; c.header.Command != want {
		t.Errorf("the command is %s, want %s", c.header.Command, want)
	}
}

// TestRecordingEnds: a recording is complete after a hangup and when the disk is full, and after kill -9 it
// has whole lines.
func TestRecordingEnds(t *testing.T) {
	t.Parallel()
	const lines = "i=0; while [ $i -lt 5000 ]; do i=$((i+1)); echo \"é line $i\"; done; echo all; sleep 600"
	begin := func(t *testing.T, dir string, until string) (*terminal, string) {
		path := filepath.Join(dir, "a.cast")
		term := open(t, "eshell", "deploy/bash", "--lease=20s", "--record", path, "--", "bash", "-c", lines)
		term.expect(until)
		return term, path
	}
	for name, tt := range map[string]struct {
		end    func(*terminal)
		status int
	}{
		"hangup": {(*terminal).hangUp, 129},
		"TERM":   {func(term *terminal) { term.signal(syscall.SIGTERM) }, 143},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			term, path := begin(t, t.TempDir(), `all\r\n`)
			tt.end(term)
			if got := term.status(); got != tt.status {
				t.Errorf("exit status %d, want %d", got, tt.status)
			}
			c := readCast(t, path)
			if want := fmt.Sprint("x ", tt.status); c.last(t) != want || !strings.Contains(c.all("o"), "é line 5000\r\nall\r\n") {
				t.Errorf("the end is %s, want %s", c.last(t), want)
			}
		})
	}
	t.Run("silence", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "a.cast")
		term := open(t, "eshell", "deploy/bash", "--record", path, "--", "sleep", "98765")
		session := term.session()
		session.runs(t, "sleep\x0098765")
		term.signal(syscall.SIGTERM)
		if got := term.status(); got != 143 {
			t.Errorf("exit status %d, want 143", got)
		}
		if c := readCast(t, path); c.last(t) != "x 143" || c.header.Command != "sleep 98765" || c.session() != session {
			t.Errorf("the recording has %v", c)
		}
	})
	t.Run("KILL", func(t *testing.T) {
		t.Parallel()
		term, path := begin(t, t.TempDir(), `line 2000\r\n`)
		term.signal(syscall.SIGKILL)
		if got := term.status(); got != 137 {
			t.Errorf("exit status %d, want 137", got)
		}
		c, screen := readCast(t, path), played(t, path)
		if !strings.Contains(screen, "é line 2000\r\n") || c.all("o") != screen || c.all("x") != "" {
			t.Errorf("asciinema shows %d bytes of %d, and the end is %q", len(screen), len(c.all("o")), c.last(t))
		}
	})
	t.Run("disk", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", dir).CombinedOutput(); err != nil {
			t.Skipf("no small disk: %s", out)
		}
		t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
		term, path := begin(t, dir, `line 100\r\n`)
		session := term.session()
		if got := term.status(); got != 125 {
			t.Errorf("exit status %d, want 125", got)
		}
		term.expect(`error: the session can no longer be recorded: write ` + regexp.QuoteMeta(path) +
			`: no space left on device\r\n`)
		term.restored()
		session.gone(t)
		screen, _ := term.shown()
		recorded := readCast(t, path).all("o")
		shown := strings.Join(regexp.MustCompile(`é line \d+\r\n`).FindAllString(screen, -1), "")
		if len(recorded) < 32<<10 || len(shown) < 32<<10 || !strings.HasPrefix(recorded, shown) {
			t.Errorf("recorded was:\n%s\nand shown:\n%s", recorded, shown)
		}
	})
}

// runs waits until a process with these words runs in the session.
func (s started) runs(t *testing.T, words string) {
	t.Helper()
	if err := until(t.Context(), patience, func(ctx context.Context) (bool, error) {
		cmd := exec.CommandContext(ctx, filepath.Join(env.bin, "kubectl"), "exec", s.pod, "--", "sh", "-c",
			"cat /proc/[0-9]*/cmdline")
		cmd.Env = env.env()
		out, _ := cmd.Output() // fails until the container runs, and when a process ends
		return strings.Contains(string(out), words), nil
	}); err != nil {
		t.Fatalf("%q does not run: %v", words, err)
	}
}

// TestRecordFolder: where a platform wants recordings, each session has one, also beside the user's own, and
// no session starts without it.
func TestRecordFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	eshell := func(folder string, args ...string) (stdout, stderr string, status int) {
		t.Helper()
		w := env
		w.also = []string{"KUBECTL_ESHELL_RECORD_DIR=" + folder}
		defer w.startOne()()
		var out, errs strings.Builder
		cmd := exec.Command(filepath.Join(w.bin, "kubectl"), append([]string{"eshell"}, args...)...)
		cmd.Env, cmd.Stdout, cmd.Stderr = w.env(), &out, &errs
		_ = cmd.Run() // the status is in ProcessState
		return out.String(), errs.String(), exitStatus(cmd)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for folder, why := range map[string]string{"recordings": "not an absolute path", link: "not a folder",
		"/proc": "no such file or directory", dir + "/none": "no such file or directory"} {
		for _, args := range [][]string{{"deploy/bash", "-v6", "--", "true"}, {"attach", "bash-eshell-12345"}} {
			_, stderr, status := eshell(folder, args...)
			if status != 125 || strings.Contains(stderr, "https://") || !strings.Contains(stderr,
				"error: every session has to be recorded (KUBECTL_ESHELL_RECORD_DIR): ") || !strings.Contains(stderr, why) {
				t.Errorf("in %s: exit status %d, and no word of %s:\n%s", folder, status, why, stderr)
			}
		}
	}
	if _, stderr, status := eshell(dir, "deploy/bash", "--detach", "--", "true"); status != 125 ||
		!strings.Contains(stderr, "--detach cannot run a command") {
		t.Errorf("a detached command: exit status %d\n%s", status, stderr)
	}
	own := filepath.Join(t.TempDir(), "own.cast")
	_, stderr, status := eshell(dir, "deploy/bash", "-q", "--record", own, "--", "sh", "-c", "echo out; echo err >&2; exit 4")
	files, _ := filepath.Glob(filepath.Join(dir, "*_"+env.namespace+"_deployment-bash_*.cast"))
	if status != 4 || len(files) != 1 || !strings.Contains(stderr,
		"note: what this session shows is recorded in "+own+" and "+files[0]+"\n") {
		t.Fatalf("exit status %d, recordings %v\n%s", status, files, stderr)
	}
	for _, path := range []string{own, files[0]} {
		c := readCast(t, path)
		if shown := c.all("o"); len(shown) != len("out\nerr\n") || !strings.Contains(shown, "out\n") ||
			!strings.Contains(shown, "err\n") || c.last(t) != "x 4" || c.header.Term.Cols != 80 {
			t.Errorf("%s has %v", path, c)
		}
	}
	name, _, status := eshell(dir, "deploy/bash", "--detach")
	if name = strings.TrimSpace(name); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	defer eshell(dir, "delete", name)
	if out, stderr, status := eshell(dir, "attach", name, "--", "echo", "visited"); status != 0 || out != "visited\n" {
		t.Errorf("exit status %d, stdout %q\n%s", status, out, stderr)
	}
	files, _ = filepath.Glob(filepath.Join(dir, "*_"+name+"_*.cast"))
	if len(files) != 1 {
		t.Fatalf("the recordings of the visit are %v", files)
	}
	if c := readCast(t, files[0]); c.all("o") != "visited\n" || c.last(t) != "x 0" || c.header.Eshell["pod"] != name ||
		c.header.Eshell["source"] != "deployment/bash" || c.header.Eshell["user"] == "" {
		t.Errorf("the recording of the visit has %v", c)
	}
}
