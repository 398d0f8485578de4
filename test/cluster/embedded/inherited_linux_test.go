package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A lock is let go when the last descriptor that it was taken with is closed.
func TestCloseInherited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	own, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	inherited, err := syscall.Open(path, syscall.O_RDONLY, 0) // without O_CLOEXEC, as after an exec
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(inherited, syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	free := func() error { return syscall.Flock(int(own.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
	if err := free(); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Fatalf("the lock is free: %v", err)
	}
	if err := closeInherited(); err != nil {
		t.Fatal(err)
	}
	if err := free(); err != nil {
		t.Errorf("the lock is still held: %v", err)
	}
	if _, err := own.WriteString("open"); err != nil {
		t.Errorf("the process's own file: %v", err)
	}
}
