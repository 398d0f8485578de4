//go:build unix

package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// TestKubeconfigThatHangs: a kubeconfig that is a pipe with nothing in it keeps nobody from ending.
func TestKubeconfigThatHangs(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // its reader goes on
		if writer, err := os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			writer.Close()
		}
	})
	flags := genericclioptions.NewConfigFlags(false)
	flags.KubeConfig = &pipe
	ctx, stop := context.WithCancelCause(t.Context())
	signal := errors.New("a signal")
	time.AfterFunc(100*time.Millisecond, func() { stop(signal) })
	if _, err := connect(ctx, flags, newPrinter(io.Discard, false)); !errors.Is(err, signal) {
		t.Errorf("error %v, want the signal", err)
	}
}
