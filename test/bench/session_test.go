//go:build unix

package main

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// local times a shell of this machine.
func local(ctx context.Context, t *testing.T, env []string, words ...string) (timing, bool, error) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	began := false
	got, err := timeSession(ctx, append(env, "TERM=xterm", "PATH=/usr/bin:/bin"), func() { began = true },
		append([]string{bash, "--norc", "--noprofile"}, words...)...)
	return got, began, err
}

func TestSession(t *testing.T) {
	got, began, err := local(t.Context(), t, nil, "-i")
	if err != nil {
		t.Fatal(err)
	}
	if !began || got.toPrompt <= 0 || got.toReturn <= 0 || got.peak < 1<<20 || got.peak > 100<<20 {
		t.Errorf("began %t, measured %+v", began, got)
	}
}

// TestLostPrompt: a shell whose first prompt nobody sees is asked for another one.
func TestLostPrompt(t *testing.T) {
	got, _, err := local(t.Context(), t, []string{`PROMPT_COMMAND=PS1=${seen:+bash$ }; seen=1`}, "-i")
	if err != nil {
		t.Fatal(err)
	}
	if got.toPrompt < enterEvery {
		t.Errorf("it has answered after %v, before Enter was pressed", got.toPrompt)
	}
}

func TestNoShell(t *testing.T) {
	_, began, err := local(t.Context(), t, nil, "-c", "echo no such pod; exit 7")
	if began || err == nil || !strings.Contains(err.Error(), "no such pod") ||
		!strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("began %t, %v", began, err)
	}
}

// TestStuck: a session that never begins ends with its context, and its process with it.
func TestStuck(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 3*enterEvery)
	defer stop()
	if _, began, err := local(ctx, t, nil, "-c", "read -r -d x"); began || !errors.Is(err, ctx.Err()) ||
		err == nil {
		t.Errorf("began %t, %v", began, err)
	}
}

func TestPrompt(t *testing.T) {
	for screen, want := range map[string]bool{
		"bash-5.2# ":                          true,
		"$ ":                                  true,
		"\x1b[?2004hroot@api:/# \x1b[?25h":    true,
		"":                                    false,
		"bash-5.2# \r\n":                      false,
		"press enter.\r\n":                    false,
		"pod/api: waiting 1s: image $ pulled": false,
	} {
		if got := prompt.MatchString(screen); got != want {
			t.Errorf("%q is a prompt: %t, want %t", screen, got, want)
		}
	}
}
