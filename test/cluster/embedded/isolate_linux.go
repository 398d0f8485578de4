package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// hidden are folders whose paths are fixed in containerd, the CNI library or the
// kubelet. Inside our namespace a folder of our own lies over each, because another
// kubelet or containerd on this machine would find our files there and we theirs: a
// kubelet removes the logs of pods that it doesn't know.
func hidden() []string {
	return []string{
		"/run/containerd",
		"/var/lib/cni",
		"/var/lib/kubelet",
		"/var/log/containers",
		"/var/log/pods",
	}
}

// isolate turns the mount namespace that this process was started in into the cluster's own.
func (c *Cluster) isolate() error {
	const recursive = syscall.MS_REC
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		// Cut off first, so that no mount of ours shows up outside; then shared, because the
		// kubelet hands mounts on to containers.
		{"", "/", "", recursive | syscall.MS_SLAVE},
		{"", "/", "", recursive | syscall.MS_SHARED},
		{"proc", "/proc", "proc", syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC},
	} {
		if err := syscall.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	for _, folder := range hidden() {
		if err := c.hide(folder); err != nil {
			return fmt.Errorf("lay a folder of our own over %s: %w", folder, err)
		}
	}
	return nil
}

func (c *Cluster) hide(folder string) error {
	own := filepath.Join(c.Dir, "private", strings.ReplaceAll(folder[1:], "/", "-"))
	for _, path := range []string{own, folder} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
	}
	return syscall.Mount(own, folder, "", syscall.MS_BIND, "")
}
