//go:build unix

package e2e

import (
	"bytes"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAnyBytes: whatever bytes a command writes to stdout and stderr, among them all that begins like a mark,
// and in whatever pieces they come: all of them come out, and the exit status is the command's.
func TestAnyBytes(t *testing.T) {
	t.Parallel()
	const id = "0f1e2d3c-0f1e-4d3c-8b4a-0f1e2d3c4b5a"
	pieces := []string{"\x1e", "\x1eeshell ", "\x1eeshell env ", "eshell ", " ready\n", "go\n", " 1 2\n", "\x1e" + id + " 0\n", id,
		"\n", "\r\n", "\x00", "\xff\xfe", "0\n", "set A\nadd A 1\n", strings.Repeat("x", 5000)}
	for _, tt := range []struct{ name, where string }{
		{"clone by exec", "deploy/bash"},
		{"clone by exec, with a variable", "deploy/bash -e A=1"},
		{"clone by attach", "deploy/bash --via=attach"},
		{"debug by exec", "pod/target --mode=debug"},
		{"debug by attach", "pod/target --mode=debug --via=attach"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, uint64(len(tt.name))))
			var said bytes.Buffer
			for said.Len() < 500_000 {
				said.WriteString(pieces[random.IntN(len(pieces))])
			}
			defer env.startOne()()
			words := append(strings.Fields(tt.where), "-n", env.namespace, "-q", "-i", "--", "sh", "-c", "tee /dev/stderr; exit 7")
			cmd := exec.Command(filepath.Join(env.bin, "kubectl-eshell"), words...)
			var out, err bytes.Buffer
			cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env.env(), bytes.NewReader(said.Bytes()), &out, &err
			_ = cmd.Run() // the status is asked for below
			if status := exitStatus(cmd); status != 7 {
				t.Errorf("exit status %d, want 7", status)
			}
			for stream, got := range map[string][]byte{"stdout": out.Bytes(), "stderr": err.Bytes()} {
				if !bytes.Equal(got, said.Bytes()) {
					at := 0
					for at < min(len(got), said.Len()) && got[at] == said.Bytes()[at] {
						at++
					}
					t.Errorf("%s: %d bytes of %d; they differ at %d: %.200q", stream, len(got), said.Len(), at, got[at:])
				}
			}
		})
	}
}
