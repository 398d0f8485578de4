package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// lock makes this process the only one that works on a folder. The kernel releases it
// when the process ends, however it ends, and the folder itself is the lock's file, so
// nothing is left behind.
func lock(ctx context.Context, folder string, progress io.Writer) (unlock func(), err error) {
	file, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	for waiting := false; ; waiting = true {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = file.Close()
			return nil, fmt.Errorf("lock %s: %w", folder, err)
		}
		if !waiting {
			fmt.Fprintf(progress, "waiting for another process that works on %s\n", folder)
		}
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, fmt.Errorf("lock %s: %w", folder, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
