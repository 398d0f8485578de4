//go:build unix

package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// inTime is kubectl's flag to wait for up to 60 s.
const inTime = "--timeout=60s"

// terminal stands for a person's terminal. It is a pseudo-terminal on which kubectl eshell runs as the leader
// of a session, so that closing the terminal sends what a closed window sends.
type terminal struct {
	t        *testing.T
	cmd      *exec.Cmd
	keyboard *os.File // the pty's master
	line     *os.File // its slave
	before   string   // the line's settings
	hungUp   bool
	started  func() // reports that the session has started

	mu     sync.Mutex
	screen bytes.Buffer
	news   chan struct{} // closed and replaced at each output
	exited chan struct{}
}

// open starts kubectl with args on a terminal of 80 columns and 24 rows.
func open(t *testing.T, args ...string) *terminal {
	t.Helper()
	return env.open(t, nil, args...)
}

// open starts kubectl with the programs of w. If stdout is not nil, it replaces the terminal as stdout.
func (w testEnv) open(t *testing.T, stdout *os.File, args ...string) *terminal {
	t.Helper()
	cmd := exec.Command(filepath.Join(w.bin, "kubectl"), args...)
	cmd.Env = w.env()
	if stdout != nil {
		cmd.Stdout = stdout
	}
	return onTerminal(t, cmd, 80, w.startOne())
}

// openInto starts kubectl on a terminal, with its stdout in a file. printed returns what the file has.
func openInto(t *testing.T, args ...string) (term *terminal, printed func() string) {
	t.Helper()
	stdout, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdout.Close() })
	return env.open(t, stdout, args...), func() string {
		t.Helper()
		text, err := os.ReadFile(stdout.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// onTerminal starts a command on a terminal of so many columns. It calls started when the command has ended,
// or has begun a session. The terminal is stdout too, if the command has none.
func onTerminal(t *testing.T, cmd *exec.Cmd, columns int, started func()) *terminal {
	t.Helper()
	t.Cleanup(started)
	master, line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	keyboard := closable(t, master)
	term := &terminal{t: t, cmd: cmd, keyboard: keyboard, line: line, news: make(chan struct{}),
		exited: make(chan struct{}), started: started}
	term.resize(columns, 24)
	term.before = term.settings()
	cmd.Stdin, cmd.Stderr = line, line
	if cmd.Stdout == nil {
		cmd.Stdout = line
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go term.read()
	go func() {
		_ = term.cmd.Wait() // the status is in ProcessState
		close(term.exited)
		term.started()
	}()
	t.Cleanup(term.close)
	return term
}

// closable returns the same pty as a file whose Close does not wait for a pending Read: hanging up means
// closing it, whatever is in progress.
func closable(t *testing.T, master *os.File) *os.File {
	t.Helper()
	defer master.Close()
	syscall.ForkLock.RLock() // no other test's child must inherit it and keep it open
	defer syscall.ForkLock.RUnlock()
	fd, err := syscall.Dup(int(master.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), master.Name())
}

func (term *terminal) close() {
	select {
	case <-term.exited:
	default:
		_ = term.cmd.Process.Kill()
		<-term.exited
	}
	term.keyboard.Close()
	term.line.Close()
}

func (term *terminal) read() {
	buffer := make([]byte, 4096)
	started := false
	for {
		n, err := term.keyboard.Read(buffer)
		term.mu.Lock()
		term.screen.Write(buffer[:n])
		close(term.news)
		term.news = make(chan struct{})
		if !started && hasStarted(term.screen.String()) {
			started = true
			term.started()
		}
		term.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// starting matches what a session shows until it has started, or has waited for something for 5 s.
var starting = regexp.MustCompile(
	`(?m)^pod/\S+: (a clone|debug container)[^\n]*\n|^warning: the value of eshell_case [^\n]*\n|^  [^\n]*\n|\r|\x1b\[K|[|/\\-] waiting [0-4]s: [^\r\n]*`)

func hasStarted(screen string) bool {
	return strings.TrimSpace(starting.ReplaceAllString(screen, "")) != ""
}

func (term *terminal) shown() (string, chan struct{}) {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.screen.String(), term.news
}

// expect waits until the screen has shown the pattern. It returns the match of the pattern's last group, or
// the whole match if there is no group.
func (term *terminal) expect(pattern string) string {
	term.t.Helper()
	return term.expectWithin(patience, pattern)
}

// expectWithin is expect with a limit of its own.
func (term *terminal) expectWithin(limit time.Duration, pattern string) string {
	term.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(limit)
	for {
		screen, news := term.shown()
		if match := re.FindStringSubmatch(screen); match != nil {
			return match[len(match)-1]
		}
		select {
		case <-news:
		case <-deadline:
			term.t.Fatalf("the terminal never showed %q; it showed:\n%s", pattern, screen)
		}
	}
}

func (term *terminal) typed(text string) {
	term.t.Helper()
	if _, err := term.keyboard.WriteString(text); err != nil {
		term.t.Fatal(err)
	}
}

func (term *terminal) resize(columns, rows int) {
	term.stty("cols", strconv.Itoa(columns), "rows", strconv.Itoa(rows))
}

func (term *terminal) signal(s syscall.Signal) {
	term.t.Helper()
	if err := term.cmd.Process.Signal(s); err != nil {
		term.t.Fatal(err)
	}
}

// hangUp closes the terminal as a closed window or a lost ssh connection does.
func (term *terminal) hangUp() {
	term.hungUp = true
	term.keyboard.Close()
}

// status waits for kubectl to end and returns its exit status, or 128+n if signal n ended it.
func (term *terminal) status() int {
	term.t.Helper()
	return term.statusWithin(patience)
}

// statusWithin is status with a limit of its own.
func (term *terminal) statusWithin(limit time.Duration) int {
	term.t.Helper()
	select {
	case <-term.exited:
	case <-time.After(limit):
		screen, _ := term.shown()
		term.t.Fatalf("kubectl eshell did not end; the terminal showed:\n%s", screen)
	}
	return exitStatus(term.cmd)
}

func (term *terminal) hasExited() bool {
	select {
	case <-term.exited:
		return true
	default:
		return false
	}
}

// exitStatus returns the exit status of a command that has ended, or 128+n if signal n ended it.
func exitStatus(cmd *exec.Cmd) int {
	state := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if state.Signaled() {
		return 128 + int(state.Signal())
	}
	return state.ExitStatus()
}

// settings returns the line's settings in the format of stty -g.
func (term *terminal) settings() string { return term.stty("-g") }

func (term *terminal) stty(args ...string) string {
	cmd := exec.Command("stty", args...)
	cmd.Stdin = term.line
	out, err := cmd.Output()
	if err != nil {
		term.t.Fatalf("stty: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// restored asserts that the line has the settings from before the session, if it is still there.
func (term *terminal) restored() {
	term.t.Helper()
	if term.hungUp {
		return
	}
	if now := term.settings(); now != term.before {
		term.t.Errorf("the terminal's settings are %s, were %s", now, term.before)
	}
}

// session waits for the headline and returns the session that it names.
func (term *terminal) session() started {
	term.t.Helper()
	term.expect(`(?m)^pod/\S+: (a clone|debug container) .*\n`)
	screen, _ := term.shown()
	return headlines(screen)[0]
}

// gone waits until nothing of the session is left.
func (s started) gone(t *testing.T) {
	t.Helper()
	s.goneWithin(t, patience)
}

// goneWithin is gone with a limit of its own.
func (s started) goneWithin(t *testing.T, limit time.Duration) {
	t.Helper()
	if err := s.leaves(t.Context(), env.namespace, limit); err != nil {
		t.Fatal(err)
	}
}

// kubectl runs the real kubectl and returns its stdout.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(env.bin, "kubectl"), args...)
	cmd.Env = env.env()
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = errors.New(string(exit.Stderr))
		}
		t.Fatalf("kubectl %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}
