//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
)

// How a session is timed, which is the same for all commands:
//
// A person waits for a prompt and then types. But some commands lose the prompt that the shell prints before
// they are attached to it, and tell the person to press Enter if there is none. So Enter is pressed every
// 100 ms until the terminal ends with what looks like a prompt. Then a command line is typed whose answer is
// not among what was typed. The session has begun when that answer is shown: the shell is there, and keys
// reach it. This includes one more round trip for everyone, and for a command that loses its prompt what a
// person loses too.
//
// Then "exit" is typed, and the session ends when the local process has ended.
const (
	enter      = "\r"
	enterEvery = 100 * time.Millisecond
	probe      = "echo $((40+2))x" + enter
	answer     = "42x"
	exit       = "exit" + enter
	// sessionTime bounds each of both.
	sessionTime = time.Minute
)

// prompt is what a root's and a user's prompt end with; bash asks the terminal for a mode before it.
var prompt = regexp.MustCompile(`[#$] (\x1b\[[0-9;?]*[A-Za-z])*$`)

// timing is what was measured of one session.
type timing struct {
	toPrompt, toReturn time.Duration
	cpu                time.Duration // of the process and all that it has waited for
	peak               int64         // resident memory, in bytes
}

// session is a command on a terminal.
type session struct {
	cmd      *exec.Cmd
	keyboard *os.File // the terminal's other end
	exited   chan struct{}

	mu     sync.Mutex
	screen bytes.Buffer
	news   chan struct{} // closed and replaced with each output
}

// timeSession runs a command until its shell answers, calls began, and leaves the shell.
func timeSession(ctx context.Context, env []string, began func(), words ...string) (timing, error) {
	start := time.Now()
	s, err := open(env, words)
	if err != nil {
		return timing{}, err
	}
	defer s.close()
	if err := s.waitForAnswer(ctx); err != nil {
		return timing{}, s.describe(err)
	}
	t := timing{toPrompt: time.Since(start)}
	began()
	t.peak = peakOf(s.cmd.Process.Pid)
	start = time.Now()
	s.press(exit)
	select {
	case <-s.exited:
	case <-time.After(sessionTime):
		return t, s.describe(fmt.Errorf("it has not ended within %v after exit", sessionTime))
	case <-ctx.Done():
		return t, ctx.Err()
	}
	t.toReturn = time.Since(start)
	t.cpu = s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime()
	if t.peak == 0 {
		t.peak = maxrss(s.cmd.ProcessState)
	}
	return t, nil
}

func open(env, words []string) (*session, error) {
	s := &session{cmd: exec.Command(words[0], words[1:]...), exited: make(chan struct{}),
		news: make(chan struct{})}
	s.cmd.Env = env
	var err error
	if s.keyboard, err = pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		return nil, fmt.Errorf("start %s: %w", strings.Join(words, " "), err)
	}
	go s.read()
	go func() {
		_ = s.cmd.Wait() // the status is in ProcessState
		close(s.exited)
	}()
	return s, nil
}

func (s *session) close() {
	select {
	case <-s.exited:
	default:
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
	s.keyboard.Close()
}

func (s *session) read() {
	buffer := make([]byte, 4096)
	for {
		n, err := s.keyboard.Read(buffer)
		s.mu.Lock()
		s.screen.Write(buffer[:n])
		close(s.news)
		s.news = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *session) shown() (string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.screen.String(), s.news
}

func (s *session) waitForAnswer(ctx context.Context) error {
	again := time.NewTicker(enterEvery)
	defer again.Stop()
	late := time.After(sessionTime)
	for typed := false; ; {
		screen, news := s.shown()
		if strings.Contains(screen, answer) {
			return nil
		}
		if !typed && prompt.MatchString(screen) {
			typed = true
			s.press(probe)
		}
		select {
		case <-news:
		case <-again.C:
			if !typed {
				s.press(enter)
			}
		case <-s.exited:
			return fmt.Errorf("it has ended: %s", s.cmd.ProcessState)
		case <-late:
			return fmt.Errorf("no answer within %v", sessionTime)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// press types. If the process has ended meanwhile, that is what is noticed.
func (s *session) press(keys string) { _, _ = s.keyboard.WriteString(keys) }

func (s *session) describe(err error) error {
	screen, _ := s.shown()
	return fmt.Errorf("%s: %w; it has shown:\n%s", strings.Join(s.cmd.Args, " "), err, screen)
}

// peakOf returns the peak of the resident memory of a process's present program, or zero where there is no
// /proc. What the kernel says at a process's end includes its parent's memory, if that is larger, because it
// was shared for a moment. kubectl replaces itself by a plugin, so that this is the plugin's alone.
func peakOf(pid int) int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, _ := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

func maxrss(state *os.ProcessState) int64 {
	usage := state.SysUsage().(*syscall.Rusage)
	if runtime.GOOS == "darwin" {
		return usage.Maxrss // in bytes
	}
	return usage.Maxrss << 10
}
