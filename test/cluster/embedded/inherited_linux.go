package embedded

import (
	"os"
	"strconv"
	"syscall"
)

// closeInherited closes what this process has inherited beside its three streams. Otherwise a lock that the
// caller of Up holds, and that flock(1) hands on to its command, is held for as long as the cluster is up. A
// file that this process has opened closes on exec, which tells it from those.
func closeInherited() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			return err
		}
		flags, _, failed := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if fd <= syscall.Stderr || failed != 0 || flags&syscall.FD_CLOEXEC != 0 {
			continue // failed: the folder's own, which is closed by now
		}
		if err := syscall.Close(fd); err != nil {
			return err
		}
	}
	return nil
}
