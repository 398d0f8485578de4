package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestReadInput: a pipe that nobody writes to is waited for until the context ends, and no longer.
func TestReadInput(t *testing.T) {
	quiet, silent, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	interrupted := errors.New("a signal")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, interrupted)
	defer cancel()
	if content, err := readInput(ctx, "-", quiet, 10); !errors.Is(err, interrupted) || content != nil {
		t.Errorf("from a pipe came %q, %v", content, err)
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("0123456789abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if content, err := readInput(t.Context(), path, nil, 10); err != nil || string(content) != "0123456789a" {
		t.Errorf("from a file came %q, %v", content, err)
	}
	if _, err := readInput(t.Context(), path+"-not", nil, 10); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("no file: %v", err)
	}
}
