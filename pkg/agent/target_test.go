//go:build linux

package agent

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestTarget(t *testing.T) {
	for want, target := range map[string]Target{
		"":                           {OwnProcesses: true},
		"4f1c":                       {ID: "4f1c"},
		"4f1c :own :chroot":          {ID: "4f1c", OwnProcesses: true, Chroot: true},
		"4f1c :own :env PATH DB_URL": {ID: "4f1c", OwnProcesses: true, Env: true, Keep: []string{"PATH", "DB_URL"}},
	} {
		if got := target.String(); got != want {
			t.Errorf("%+v: %q, want %q", target, got, want)
		}
	}
}

// runTarget runs a script of a debug container with a command, and returns its output.
func runTarget(t *testing.T, shell []string, script string, env []string, args ...string) (stdout,
	stderr string, status int) {
	t.Helper()
	var out, errs strings.Builder
	cmd := exec.CommandContext(t.Context(), shell[0],
		append(append(shell[1:len(shell):len(shell)], "-c", script, "eshell-target"), args...)...)
	cmd.Env = append(env, "PATH=/usr/bin:/bin", "first=image's", "line=image's", "word=image's")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// The target is found by its cgroup: the oldest process in it, whatever its PID.
func TestTargetRoot(t *testing.T) {
	cgroup, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(cgroup), "\n")
	here, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	other := exec.CommandContext(t.Context(), "sleep", "60") // a process of another container
	other.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if err := other.Start(); errors.Is(err, syscall.EPERM) {
		t.Skip("only root has a mount namespace to itself")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	oldest, since := "", ^uint64(0)
	files, _ := filepath.Glob("/proc/[0-9]*/cgroup")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		stat, err := os.ReadFile(filepath.Join(filepath.Dir(file), "stat"))
		space, _ := os.Readlink(filepath.Join(filepath.Dir(file), "ns/mnt"))
		if err != nil || !strings.Contains(string(text), line) || space == here {
			continue
		}
		var start uint64
		fields := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))
		if _, err := fmt.Sscan(fields[19], &start); err != nil {
			t.Fatal(err)
		}
		if start < since {
			oldest, since = filepath.Base(filepath.Dir(file)), start
		}
	}
	const show = `echo "$TARGET_ROOT|$first|$line|$eshell_pid"`
	inShells(t, func(t *testing.T, shell []string) {
		for about, root := range map[string]string{
			line:                  "/proc/" + oldest + "/root",
			"no-such-cgroup :own": "/proc/1/root",
			"no-such-cgroup":      "",
			"":                    "",
		} {
			got, _, _ := runTarget(t, shell, targetScript, []string{TargetVariable + "=" + about}, "sh", "-c", show)
			if want := root + "|image's|image's|\n"; got != want {
				t.Errorf("%q: %q, want %q", about, got, want)
			}
		}
	})
}

// What the target's process has in its environment arrives byte for byte, but for what is the session's.
func TestEnviron(t *testing.T) {
	values := map[string]string{"PLAIN": "a b", "EMPTY": "", "LINES": "one\n two\n", "ODD": "a=b '\"$(id)` \\n\\0101 é*",
		"KEPT": "process's", "_": "x", "TERM": "process's", "BASH_ENV": "/x", "not-a-name": "x", "GONE": "process's",
		"LD_PRELOAD": "/evil.so", "PROMPT_COMMAND": "evil", "ENV": "/evil", "HOME": "/proc/1/root/evil",
		"GCONV_PATH": "/evil", "MAILPATH": "/etc/passwd?$(evil)", "XDG_CONFIG_HOME": "/evil", "LONG": strings.Repeat("0123456789\n", 20<<10/11)}
	inShells(t, func(t *testing.T, shell []string) {
		process := exec.CommandContext(t.Context(), "sleep", "60")
		for name, value := range values {
			process.Env = append(process.Env, name+"="+value)
		}
		process.Env = append(process.Env, "PATH=/of/the/process")
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
		root := fmt.Sprintf("TARGET_ROOT=/proc/%d/root", process.Process.Pid)
		env := []string{root, TargetVariable + "=4f1c :env KEPT GONE", "KEPT=user's", "TERM=user's", "ODD=image's"}
		out, told, status := runTarget(t, shell, environScript, env, "command", "env", "-0")
		got := map[string]string{}
		for _, entry := range strings.Split(out, "\x00") {
			name, value, _ := strings.Cut(entry, "=")
			got[name] = value
		}
		want := map[string]string{"PLAIN": "a b", "EMPTY": "", "LINES": values["LINES"], "ODD": values["ODD"],
			"KEPT": "user's", "TERM": "user's", "first": "image's", "PATH": "/usr/bin:/bin:/of/the/process",
			"LONG": values["LONG"]}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s is %q, want %q", name, got[name], value)
			}
		}
		for _, name := range []string{"GONE", "BASH_ENV", "not-a-name", "eshell_value", "LD_PRELOAD",
			"PROMPT_COMMAND", "ENV", "HOME", "GCONV_PATH", "MAILPATH", "XDG_CONFIG_HOME"} {
			if value, has := got[name]; has {
				t.Errorf("%s is %q, want none", name, value)
			}
		}
		if status != 0 {
			t.Errorf("exit status %d: %s", status, told)
		}
	})
}

// A command whose environment cannot be had does not run; a shell does, after a message.
func TestEnvironFails(t *testing.T) {
	inShells(t, func(t *testing.T, shell []string) {
		env := []string{"TARGET_ROOT=/proc/0/root", TargetVariable + "=4f1c :env"}
		for what, want := range map[string]string{"command": "", "shell": "ran\n"} {
			out, told, status := runTarget(t, shell, environScript, env, what, "echo", "ran")
			if out != want || (status == 0) != (what == "shell") ||
				!strings.Contains(told, "is not allowed to read /proc/0/environ") {
				t.Errorf("%s: %q, %q, exit status %d", what, out, told, status)
			}
		}
	})
}
