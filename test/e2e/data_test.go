//go:build unix

package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const (
	mebibyte = 1 << 20
	// much is what goes through a session, less where there is a log of it or only the figures are new, and
	// tight the memory that its client may take for it.
	much  = 1024 * mebibyte
	less  = 256 * mebibyte
	tight = 150 * mebibyte
)

// produce prints as many random bytes as $1 says, and before it their sum on stderr. (They take a way
// through a file because tee writes by the KiB: each write is a message of the stream's.)
const produce = `head -c "$1" /dev/urandom >/tmp/bytes && sha256sum </tmp/bytes >&2 && cat /tmp/bytes && rm /tmp/bytes`

// TestData: what is piped through a session arrives, all of it and nothing else, and is nowhere held
// back. The sessions run one at a time, for the figures.
func TestData(t *testing.T) {
	w := unraced(t)
	for n, place := range places("data") {
		size := int64(less)
		if n == 0 {
			size = much
		}
		t.Run(place.name+", both ways", func(t *testing.T) {
			end := w.transfer(t, place, size, "cat")
			if end.out.size != size || end.out.sum() != end.in.sum() || end.stderr != "" {
				t.Errorf("%d bytes came back with the sum %s, want %s; stderr is\n%s", end.out.size,
					end.out.sum(), end.in.sum(), end.stderr)
			}
		})
	}
	for _, place := range places("data")[:1] {
		t.Run(place.name+", in", func(t *testing.T) {
			end := w.transfer(t, place, less, "sha256sum")
			if end.out.sum() != sumOf(end.in.sum()) || end.stderr != "" {
				t.Errorf("not what was sent arrived; stderr is\n%s", end.stderr)
			}
		})
		t.Run(place.name+", out", func(t *testing.T) {
			end := w.transfer(t, place, 0, "sh", "-c", produce, "produce", strconv.Itoa(less))
			if end.out.size != less || end.stderr != end.out.sum() {
				t.Errorf("%d bytes came with the sum %s; stderr is\n%s", end.out.size, end.out.sum(),
					end.stderr)
			}
		})
	}
}

// transferred is what went through a session.
type transferred struct {
	in, out meter
	stderr  string
}

// transfer runs a command without a terminal, with so many random bytes as its input, and asserts
// that it succeeds and that its client stays small.
func (w testEnv) transfer(t *testing.T, place place, size int64, command ...string) transferred {
	t.Helper()
	words := append(append(place.args, "-qi", "--"), command...)
	cmd := exec.CommandContext(t.Context(), filepath.Join(w.bin, "kubectl"), words...)
	end := transferred{in: meter{Hash: sha256.New()}, out: meter{Hash: sha256.New()}}
	var stderr bytes.Buffer
	random := rand.NewChaCha8([32]byte([]byte("the same bytes in each of the runs")))
	cmd.Stdin = io.TeeReader(io.LimitReader(random, size), &end.in)
	cmd.Env, cmd.Stdout, cmd.Stderr = w.env(), &end.out, &stderr
	before := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("kubectl %q: %v; %d bytes were sent and %d came; stderr is\n%s", words, err, end.in.size,
			end.out.size, &stderr)
	}
	took, peak := time.Since(before), peakMemory(cmd)
	t.Logf("%d MiB in and %d MiB out in %.1f s: %.0f MiB/s; the client took %d MiB of memory",
		end.in.size/mebibyte, end.out.size/mebibyte,
		took.Seconds(), float64(max(end.in.size, end.out.size)/mebibyte)/took.Seconds(), peak/mebibyte)
	if end.in.size != size || peak > tight {
		t.Errorf("the client took %d of %d bytes of input, and %d bytes of memory", end.in.size, size, peak)
	}
	end.stderr = stderr.String()
	return end
}

// peakMemory is the most memory that a process has ever had. It is never too little: what the process
// was before it became the plugin counts too.
func peakMemory(cmd *exec.Cmd) int64 {
	peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	if runtime.GOOS == "linux" {
		peak *= 1024
	}
	return peak
}

// meter adds up what is written to it.
type meter struct {
	hash.Hash
	size int64
}

func (m *meter) Write(p []byte) (int, error) {
	m.size += int64(len(p))
	return m.Hash.Write(p)
}

// sum is what sha256sum prints for what was written.
func (m *meter) sum() string { return fmt.Sprintf("%x  -\n", m.Sum(nil)) }

func sumOf(text string) string {
	m := meter{Hash: sha256.New()}
	_, _ = io.WriteString(&m, text)
	return m.sum()
}

// unraced is the world with a plugin as it is released: the race detector costs time and memory.
func unraced(t *testing.T) testEnv {
	t.Helper()
	kubectl, err := filepath.EvalSymlinks(filepath.Join(env.bin, "kubectl"))
	if err != nil {
		t.Fatal(err)
	}
	w := env
	w.bin = filepath.Join(t.TempDir(), "bin")
	if err := w.build(t.Context(), kubectl); err != nil {
		t.Fatal(err)
	}
	return w
}
