//go:build unix

package agent

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	osignal "os/signal"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// shells are what sh can be: dash in Debian's images, bash in Red Hat's, busybox in Alpine's.
var shells = [][]string{{"dash"}, {"bash", "--posix"}, {"busybox", "sh"}}

// inShells runs a test with each shell that this machine has; one it must have.
func inShells(t *testing.T, test func(t *testing.T, shell []string)) {
	t.Parallel()
	found := 0
	for _, shell := range shells {
		if _, err := exec.LookPath(shell[0]); err != nil {
			t.Logf("no %s here", shell[0])
			continue
		}
		found++
		t.Run(shell[0], func(t *testing.T) {
			t.Parallel()
			test(t, shell)
		})
	}
	if found == 0 {
		t.Fatal("none of the shells is here")
	}
}

// inHolderShells adds a dash that finds no bash, which is a holder of several processes.
func inHolderShells(t *testing.T, test func(t *testing.T, shell []string)) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	dash, err := exec.LookPath("dash")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.Symlink(sleep, filepath.Join(folder, "sleep")); err != nil {
		t.Fatal(err)
	}
	t.Run("dash alone", func(t *testing.T) {
		t.Parallel()
		test(t, []string{"env", "PATH=" + folder, dash})
	})
	inShells(t, test)
}

// process is a script that runs in a session of its own, as in a container, so that what it leaves behind
// shows.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr *os.File
	ended  chan struct{}
	state  *os.ProcessState // once it has ended
}

// startScript runs a script from the environment, as in a container.
func startScript(t *testing.T, shell []string, name string, args ...string) *process {
	t.Helper()
	return startScriptOf(t, AllScripts(), shell, name, args...)
}

// startScriptOf runs one of the scripts that the variable has.
func startScriptOf(t *testing.T, scripts string, shell []string, name string, args ...string) *process {
	t.Helper()
	words := append(append(shell[1:len(shell):len(shell)], "-c", runScript, name), args...)
	p := &process{t: t, cmd: exec.Command(shell[0], words...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), ScriptsVariable+"="+scripts)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var stdout io.ReadCloser
	var err error
	if p.stderr, err = os.Create(filepath.Join(t.TempDir(), "stderr")); err != nil {
		t.Fatal(err)
	}
	defer p.stderr.Close()
	p.cmd.Stderr = p.stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if stdout, err = p.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(stdout)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.state, _ = p.cmd.Process.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	return p
}

// emptied waits a little until the script's process group has nobody in it: one that was killed may
// still be on its way out, and nothing tells when somebody else's child is gone.
func (p *process) emptied() error {
	tick, late := time.NewTicker(10*time.Millisecond), time.After(soon)
	defer tick.Stop()
	for {
		err := syscall.Kill(-p.cmd.Process.Pid, 0)
		if err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-late:
			return nil
		}
	}
}

// ends asserts that the script ends in time and leaves no process behind.
func (p *process) ends(within time.Duration) {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(within):
		p.t.Fatalf("the script still runs after %s", within)
	}
	if err := p.emptied(); !errors.Is(err, syscall.ESRCH) {
		p.t.Errorf("it left processes behind: %v", err)
	}
}

// runs asserts that the script runs for a while.
func (p *process) runs(during time.Duration) {
	p.t.Helper()
	select {
	case <-p.ended:
		p.t.Fatalf("the script ended within %s", during)
	case <-time.After(during):
	}
}

func (p *process) writes(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, text); err != nil {
		p.t.Fatal(err)
	}
}

// reads waits until the script reads its input, and so has set its traps: a line is longer than a pipe holds.
func (p *process) reads() {
	p.t.Helper()
	p.writes(strings.Repeat("more than a pipe holds", 100_000/22) + "\n")
}

const soon = 10 * time.Second

// takes sends a signal until the script has ended. bash overlooks a HUP or an INT that comes while it runs
// the trap of a signal with a higher number, as a heartbeat's is, until the next one comes.
func (p *process) takes(signal syscall.Signal) {
	p.t.Helper()
	tick, late := time.NewTicker(time.Second), time.After(soon)
	defer tick.Stop()
	for {
		if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			p.t.Fatal(err)
		}
		select {
		case <-p.ended:
			return
		case <-tick.C:
		case <-late:
			p.t.Fatalf("the script still runs %s after %s", soon, signal)
		}
	}
}

func TestHolderEndsWithItsInput(t *testing.T) {
	inHolderShells(t, func(t *testing.T, shell []string) {
		p := startScript(t, shell, holderName, "60", "60")
		p.writes("\n\n")
		p.runs(300 * time.Millisecond)
		p.stdin.Close()
		p.ends(soon)
	})
}

func TestHolderEndsInSilence(t *testing.T) {
	inHolderShells(t, func(t *testing.T, shell []string) {
		startScript(t, shell, holderName, "60", "1").ends(soon)
		p := startScript(t, shell, holderName, "1", "60")
		p.runs(1500 * time.Millisecond)
		p.writes("\n")
		p.ends(soon)
	})
}

func TestHolderLivesOnHeartbeats(t *testing.T) {
	inHolderShells(t, func(t *testing.T, shell []string) {
		p := startScript(t, shell, holderName, "4", "60")
		for range 12 {
			p.writes("\n")
			p.runs(500 * time.Millisecond)
		}
		p.ends(soon)
	})
}

func TestHolderEndsOnSignals(t *testing.T) {
	// A signal that is ignored where the tests were started (by nohup, or a shell's &) would stay
	// ignored in every child, and no shell could trap it. One that is caught goes back to its default.
	caught := make(chan os.Signal, 1)
	osignal.Notify(caught, syscall.SIGINT, syscall.SIGHUP)
	t.Cleanup(func() { osignal.Stop(caught) })
	inHolderShells(t, func(t *testing.T, shell []string) {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
			p := startScript(t, shell, holderName, "60", "60")
			p.reads()
			p.runs(300 * time.Millisecond)
			p.takes(signal)
			p.ends(soon)
		}
	})
}

// TestHolderStays: told so, it answers, and needs no client any more, until it is ended.
func TestHolderStays(t *testing.T) {
	inHolderShells(t, func(t *testing.T, shell []string) {
		p := startScript(t, shell, holderName, "2", "60")
		p.writes("\n" + tellStay)
		if said, err := p.stdout.ReadString('\n'); said != staying+"\n" || err != nil {
			t.Errorf("it answers %q, %v", said, err)
		}
		p.stdin.Close()
		p.runs(4 * time.Second)
		p.takes(syscall.SIGTERM)
		p.ends(soon)
		p.exited(0)
	})
}

// TestHolderStaysAtOnce: the reader can be told to stay before the holder has noted which process it is.
func TestHolderStaysAtOnce(t *testing.T) {
	const noted, late = `\nreader=$!\nwhile command`, `\nsleep 1 </dev/null 3<&-\nreader=$!\nwhile command`
	scripts := strings.Replace(AllScripts(), noted, late, 1)
	if scripts == AllScripts() {
		t.Fatal("the holder notes its reader elsewhere")
	}
	inHolderShells(t, func(t *testing.T, shell []string) {
		p := startScriptOf(t, scripts, shell, holderName, "60", "60")
		p.writes("\n" + tellStay)
		if said, err := p.stdout.ReadString('\n'); said != staying+"\n" || err != nil {
			t.Errorf("it answers %q, %v", said, err)
		}
		p.takes(syscall.SIGTERM)
		p.ends(soon)
		p.exited(0)
	})
}

// TestHolderIsOneProcess: nothing but it is in ps, in one short row, where a read of the shell can end.
func TestHolderIsOneProcess(t *testing.T) {
	inShells(t, func(t *testing.T, shell []string) {
		p := startScript(t, shell, holderName, "60", "60")
		p.reads()
		pid := p.cmd.Process.Pid
		out, err := exec.Command("ps", "-o", "args=", "-g", strconv.Itoa(pid)).Output()
		if rows := strings.Split(strings.TrimSpace(string(out)), "\n"); err != nil || len(rows) != 1 ||
			!strings.HasSuffix(rows[0], " eshell-holder 60 60") || len(rows[0]) > 80 {
			t.Errorf("ps: %q, %v; want one short row", rows, err)
		}
		p.stdin.Close()
		p.ends(soon)
		p.exited(0)
	})
}

// TestIdlerStays: it minds no lines but the one that ends it.
func TestIdlerStays(t *testing.T) {
	for _, end := range []struct {
		name string
		what func(*process)
	}{
		{"told", func(p *process) { p.writes(tellEnd) }},
		{"without input", func(p *process) { p.stdin.Close() }},
		{"stopped", func(p *process) { _ = p.cmd.Process.Signal(syscall.SIGTERM) }},
	} {
		for _, bounds := range [][]string{{"", ""}, {"60", "60"}} {
			t.Run(end.name+strings.Join(bounds, " "), func(t *testing.T) {
				inShells(t, func(t *testing.T, shell []string) {
					p := startScript(t, shell, idlerName, bounds...)
					p.reads()
					p.writes("\nending\nthe end\n" + tellStay + tellStay)
					p.runs(300 * time.Millisecond)
					end.what(p)
					p.ends(soon)
					p.exited(0)
				})
			})
		}
	}
}

// TestIdlerIsBounded: with a limit it ends by itself, and soon where its client is never heard of.
func TestIdlerIsBounded(t *testing.T) {
	inShells(t, func(t *testing.T, shell []string) {
		unheard := startScript(t, shell, idlerName, "2", "60")
		stays := startScript(t, shell, idlerName, "2", "7")
		unheard.writes("hello\n")
		stays.writes(tellStay)
		unheard.ends(soon)
		unheard.exited(125)
		stays.runs(500 * time.Millisecond) // beyond its silence
		stays.ends(soon)
		stays.exited(0)
		ended := startScript(t, shell, idlerName, "60", "60")
		ended.writes(tellEnd)
		ended.ends(soon)
		ended.exited(0)
	})
}

// TestIdlerWithoutSleep: it takes no limit that it could not keep.
func TestIdlerWithoutSleep(t *testing.T) {
	inShells(t, func(t *testing.T, shell []string) {
		words := func(bounds ...string) *exec.Cmd {
			cmd := exec.Command(shell[0],
				append(append(shell[1:len(shell):len(shell)], "-c", idlerScript, "eshell-test"),
					bounds...)...)
			cmd.Env = []string{"PATH=/nowhere"}
			return cmd
		}
		if strings.HasPrefix(shell[0], "busybox") {
			t.Skip("its sleep is built in")
		}
		free := words("", "")
		free.Stdin = strings.NewReader("hello\n" + tellEnd)
		if out, err := free.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("without a limit: %v, %q", err, out)
		}
		out, err := words("60", "60").CombinedOutput()
		var exit *exec.ExitError
		if want := "no sleep is in the image's PATH: nothing would end this container in time\n"; !errors.As(
			err, &exit) || exit.ExitCode() != 125 || string(out) != want {
			t.Errorf("with a limit: %v, %q; want 125, %q", err, out, want)
		}
	})
}

// exited asserts the exit status of a script that has ended.
func (p *process) exited(status int) {
	p.t.Helper()
	if got := p.state.ExitCode(); got != status {
		p.t.Errorf("exit status %d, want %d", got, status)
	}
}

func TestGateHoldsTheCommandBack(t *testing.T) {
	inShells(t, func(t *testing.T, shell []string) {
		p := startScript(t, shell, gateName, "60", "mark", "", "sh", "-c",
			`echo "[$1]"; cat; kill -KILL $$`, "sh", "a  $b")
		p.runs(300 * time.Millisecond)
		p.writes("\n\ngo\nfor the command\n")
		p.stdin.Close()
		out, err := io.ReadAll(p.stdout)
		if err != nil {
			t.Fatal(err)
		}
		said, _ := strings.CutPrefix(string(out), "mark ready\nmark ready\n")
		mark, rest, _ := strings.Cut(said, "\n")
		if want := "[a  $b]\nfor the command\n"; !strings.HasPrefix(mark, "mark ") || rest != want {
			t.Errorf("it printed %q, want the mark and %q", out, want)
		}
		p.ends(soon)
		if said, err := os.ReadFile(p.stderr.Name()); err != nil || len(said) > 0 {
			t.Errorf("it said %q on stderr, %v", said, err)
		}
	})
}

func TestGateEndsWithoutAClient(t *testing.T) {
	inShells(t, func(t *testing.T, shell []string) {
		nobody := startScript(t, shell, gateName, "1", "mark", "", "echo", "never")
		gone := startScript(t, shell, gateName, "60", "mark", "", "echo", "never")
		gone.stdin.Close()
		for _, p := range []*process{nobody, gone} {
			if out, _ := io.ReadAll(p.stdout); len(out) > 0 {
				t.Errorf("it printed %q", out)
			}
			p.ends(soon)
		}
	})
}

// open opens a gate and returns the PIDs that its mark tells.
func (p *process) open() (gate, watchdog string) {
	p.t.Helper()
	p.writes("go\n")
	mark, err := p.stdout.ReadString('\n')
	words := strings.Fields(mark)
	if err != nil || len(words) != 3 || words[0] != "mark" {
		p.t.Fatalf("the mark is %q, %v", mark, err)
	}
	return words[1], words[2]
}

// TestGateWatches: without a sign of life the command ends, whatever it does with its input, and what it
// has started with it.
func TestGateWatches(t *testing.T) {
	inShells(t, func(t *testing.T, shell []string) {
		p := startScript(t, shell, gateName, "60", "mark", "4", "sh", "-c",
			"set -m; sleep 4242 & exec sleep 4242")
		_, watchdog := p.open()
		relay := startScript(t, shell, relayName, watchdog)
		for range 12 {
			relay.writes("\n")
			if told, err := relay.stdout.ReadString('\n'); err != nil || told != "\n" {
				t.Fatalf("the relay acknowledges with %q, %v", told, err)
			}
			p.runs(500 * time.Millisecond)
		}
		p.ends(soon)
		relay.writes("\n")
		relay.ends(soon)
	})
}

// TestGateLetsGo: nothing of the watch is left when the command ends by itself, with its status.
func TestGateLetsGo(t *testing.T) {
	inShells(t, func(t *testing.T, shell []string) {
		p := startScript(t, shell, gateName, "60", "mark", "60", "sh", "-c",
			`trap 'exit 7' USR1; echo $$; while :; do sleep 0.1; done`)
		gate, watchdog := p.open()
		command, err := p.stdout.ReadString('\n')
		if err != nil || gate == watchdog {
			t.Fatalf("gate %s, watchdog %s, command %q, %v", gate, watchdog, command, err)
		}
		if err := exec.Command("kill", "-USR1", strings.TrimSpace(command)).Run(); err != nil {
			t.Fatal(err)
		}
		p.ends(soon)
		if got := p.state.ExitCode(); got != 7 {
			t.Errorf("exit status %d, want 7", got)
		}
	})
}

func TestLaunch(t *testing.T) {
	inShells(t, func(t *testing.T, shell []string) {
		run := func(stdin string, args ...string) string {
			cmd := exec.Command(shell[0],
				append(append(shell[1:len(shell):len(shell)], "-c", launchScript, "eshell"), args...)...)
			cmd.Env = []string{"PATH=/usr/bin:/bin", "TERM=of-the-image"}
			cmd.Stdin = strings.NewReader(stdin)
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %v", args, err)
			}
			return string(out)
		}
		if got := run("", "xterm-256color", "", "sh", "-c", `echo $TERM "$@"`, "sh", "", "a b",
			"$$"); got != "xterm-256color  a b $$\n" {
			t.Errorf("with a terminal: %q", got)
		}
		if got := run("", "", "", "sh", "-c", `echo $TERM`); got != "of-the-image\n" {
			t.Errorf("without a terminal: %q", got)
		}
		if got := run(`echo $BASH`+"\n", "", ""); !strings.HasSuffix(got, "/bash\n") {
			t.Errorf("the default shell is %q, want bash", got)
		}
	})
}

// TestLaunchFails: what is wrong with a command is said in the same words whatever the shell is.
func TestLaunchFails(t *testing.T) {
	inShells(t, func(t *testing.T, shell []string) {
		for word, want := range map[string]string{
			"cd": "eshell: cd: not found: it is a word of the shell\n", "nosuch": "eshell: nosuch: not found\n",
			"ls -l /x": "eshell: ls -l /x: not found\n", "/no/such": "eshell: /no/such: not found\n",
		} {
			var stderr strings.Builder
			cmd := exec.Command(shell[0],
				append(shell[1:len(shell):len(shell)], "-c", launchScript, "eshell", "", "", word, "/tmp")...)
			cmd.Stderr = &stderr
			_ = cmd.Run() // the status is in ProcessState
			if got := cmd.ProcessState.ExitCode(); got != 127 || stderr.String() != want {
				t.Errorf("%s: exit status %d, %q; want 127, %q", word, got, stderr.String(), want)
			}
		}
	})
}

// TestNeedsShell: a line is for a shell, and so is a word of its own.
func TestNeedsShell(t *testing.T) {
	for line, want := range map[string]bool{"ls -l /x": true, "cd\x00/tmp": true, "ls\x00-l": false, "nosuch": false,
		"a|b": true, "": false, "sh\x00-c\x00cd /tmp": false} {
		if got := NeedsShell(strings.Split(line, "\x00")); got != want {
			t.Errorf("%q: %t", line, got)
		}
	}
	if NeedsShell(nil) {
		t.Error("no command needs one")
	}
}

// TestLaunchOnTerminal: a terminal without a size gets one before the command starts; one that has a size
// keeps it, since it is the newer one.
func TestLaunchOnTerminal(t *testing.T) {
	inShells(t, func(t *testing.T, shell []string) {
		for _, tt := range []struct {
			name string
			has  pty.Winsize
			want string
		}{
			{"new", pty.Winsize{}, "24 80\r\n"},
			{"resized meanwhile", pty.Winsize{Rows: 50, Cols: 132}, "50 132\r\n"},
		} {
			cmd := exec.Command(shell[0],
				append(shell[1:len(shell):len(shell)], "-c", launchScript, "eshell", "", "rows 24 columns 80",
					"stty", "size")...)
			terminal, err := pty.StartWithSize(cmd, &tt.has)
			if err != nil {
				t.Fatal(err)
			}
			shown, err := io.ReadAll(terminal)
			if !errors.Is(err, syscall.EIO) { // how a terminal ends
				t.Error(err)
			}
			if err := cmd.Wait(); err != nil || string(shown) != tt.want {
				t.Errorf("%s: %q, %v; want %q", tt.name, shown, err, tt.want)
			}
		}
	})
}

// TestNoEnv: without variables nothing is read before the command begins.
func TestNoEnv(t *testing.T) {
	inShells(t, func(t *testing.T, shell []string) {
		cmd := exec.Command(shell[0], append(shell[1:len(shell):len(shell)], "-c", envScript, "eshell-env", "END ",
			envBegins, "sh", "-c", "cat")...)
		cmd.Stdin = strings.NewReader("set PATH\ngo\n")
		out, err := cmd.CombinedOutput()
		if !regexp.MustCompile(`^END \d+\nset PATH\ngo\n$`).Match(out) || err != nil {
			t.Errorf("%q, error %v", out, err)
		}
	})
}

// TestEnv: values arrive byte by byte, on a terminal and without, and the input after them is the command's.
func TestEnv(t *testing.T) {
	var all []byte
	for b := range 255 {
		all = append(all, byte(b+1))
	}
	env := []Variable{{"PLAIN", "a b"}, {"BYTES", string(all)}, {"LONG", strings.Repeat("x\\y ", 20_000)},
		{"EMPTY", ""}, {"name", "1"}, {"LINES_", "two\n\n"}, {"SUBST", "$(id) `id` $HOME %s"}, {"PLAIN2", "="}}
	command := `while read -r line; do :; done; exec cat /proc/self/environ`
	inShells(t, func(t *testing.T, shell []string) {
		words := append(shell[1:len(shell):len(shell)], "-c", envScript, "eshell-env", "END ", "")
		plain := exec.Command(shell[0], append(words, "sh", "-c", command)...)
		plain.Stdin = strings.NewReader(envLines(env, true) + "theirs\n")
		plain.Env = []string{"PATH=" + os.Getenv("PATH"), "EMPTY=not"}
		var stderr strings.Builder
		plain.Stderr = &stderr
		out, err := plain.Output()
		if err != nil || stderr.Len() > 0 {
			t.Fatalf("%v, stderr %q", err, &stderr)
		}
		hasEnv(t, string(out), env)

		onTerminal := exec.Command(shell[0], append(words, "sh", "-c", "stty raw; cat /proc/self/environ")...)
		terminal, err := pty.Start(onTerminal)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(terminal, envLines(env, true)) }()
		var shown strings.Builder
		_, err = io.Copy(&gateReader{Writer: &shown, mark: "END ", ready: func() {}, opened: func(string) {}},
			terminal)
		if !errors.Is(err, syscall.EIO) { // how a terminal ends
			t.Error(err)
		}
		if err := onTerminal.Wait(); err != nil {
			t.Error(err)
		}
		hasEnv(t, "\n"+shown.String(), env)

		nothing := exec.Command(shell[0], append(words, "cat")...)
		nothing.Stdin = strings.NewReader(envLines(env, false) + "not theirs\n")
		if out, err := nothing.Output(); err != nil || !regexp.MustCompile(`^END [0-9]+\n$`).Match(out) {
			t.Errorf("without input: %v, %q", err, out)
		}
		gone := exec.Command(shell[0], append(words, "echo", "never")...)
		gone.Stdin = strings.NewReader("set A\nadd A 1\n")
		if out, err := gone.Output(); err == nil || len(out) > 0 {
			t.Errorf("after half of the variables: %v, %q; want a failure", err, out)
		}
	})
}

// hasEnv asserts that what a command printed ends with an environment that has the variables.
func hasEnv(t *testing.T, out string, env []Variable) {
	t.Helper()
	_, environ, _ := strings.Cut(out, "\n")
	got := map[string]string{}
	for _, entry := range strings.Split(environ, "\x00") {
		name, value, _ := strings.Cut(entry, "=")
		got[name] = value
	}
	for _, v := range env {
		if got[v.Name] != v.Value {
			t.Errorf("%s is %.300q, want %.300q", v.Name, got[v.Name], v.Value)
		}
	}
}

// TestDrain: the status is told on stderr as soon as the command has ended, whatever it read, and the
// rest of the input is taken.
func TestDrain(t *testing.T) {
	inShells(t, func(t *testing.T, shell []string) {
		for _, tt := range []struct {
			name, input, command string
			status               int
			stdout, stderr       string
		}{
			{"reads nothing", inputStdin, "exit 3", 3, "SAID 3\n", "SAID 3\n"},
			{"reads a line", inputStdin, "read -r line; echo $line >&2; printf out", 0, "outSAID 0\n",
				"first\nSAID 0\n"},
			{"is given nothing", inputNone, "cat; echo >&2", 0, "SAID 0\n", "\nSAID 0\n"},
			{"is killed", inputStdin, "kill -KILL $$", 137, "SAID 137\n", "SAID 137\n"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				words := append(shell[1:len(shell):len(shell)], "-c", drainScript, "eshell", "\x1eeshell x7k2p ",
					tt.input, launchScript, "eshell", "", "", "sh", "-c", tt.command)
				cmd := exec.Command(shell[0], words...)
				stdin, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				var stdout, stderr strings.Builder
				cmd.Stdout, cmd.Stderr = &stdout, &stderr
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				input := "first\n" + strings.Repeat("more than a pipe holds\n", 100_000)
				if _, err := io.WriteString(stdin, input); err != nil {
					t.Errorf("the input was not taken: %v", err)
				}
				stdin.Close()
				_ = cmd.Wait() // the status is in ProcessState
				if got := cmd.ProcessState.ExitCode(); got != tt.status {
					t.Errorf("status %d, want %d", got, tt.status)
				}
				for _, stream := range []struct{ said, want string }{
					{stdout.String(), tt.stdout}, {stderr.String(), tt.stderr},
				} {
					mark, rest, _ := strings.Cut(strings.TrimPrefix(stream.said, "\x1eeshell x7k2p "), "\n")
					rest = strings.ReplaceAll(rest, endMark(mark), "SAID ")
					if rest != stream.want || !markWord.MatchString(mark) || mark == "" {
						t.Errorf("mark %q and then %q, want %q", mark, rest, stream.want)
					}
				}
			})
		}
	})
}

// TestNothingIsExported: no variable of the scripts is in the command's environment, even in an image that
// makes bash export every variable.
func TestNothingIsExported(t *testing.T) {
	command := []string{launchScript, launchName, "", "", "sh", "-c", "echo; env"}
	drained := append([]string{drainScript, drainName, "\x1eeshell x7k2p ", inputStdin}, command...)
	for name, args := range map[string][]string{
		"drain": drained,
		"env":   append([]string{envScript, envName, "\x1eeshell env x7k2p ", "", "sh", "-c"}, command...),
		"gate":  append([]string{gateScript, gateName, "9", "eshell x7k2p", "", "sh", "-c"}, command...),
	} {
		cmd := exec.Command("bash", append([]string{"--posix", "-c"}, args...)...)
		cmd.Env = append(os.Environ(), "SHELLOPTS=allexport")
		cmd.Stdin = strings.NewReader("go\n")
		out, err := cmd.Output()
		if err != nil || !strings.Contains(string(out), "\nPATH=") || strings.Contains(string(out), "\neshell_") {
			t.Errorf("%s: error %v, environment\n%s", name, err, out)
		}
	}
}

func TestEscape(t *testing.T) {
	got := Escape([]string{"plain", "$$", "$(HOME)", "$HOME", ""})
	want := []string{"plain", "$$$$", "$$(HOME)", "$$HOME", ""}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Escape = %q, want %q", got, want)
	}
}
