package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cleanTimeout bounds how long killed processes may take to go.
const cleanTimeout = 20 * time.Second

// clean removes everything of a cluster in this state folder, whether it is up, was
// killed, or never came up; the folder itself and the names in keep stay.
func (c *Cluster) clean(ctx context.Context, keep ...string) error {
	ctx, cancel := context.WithTimeout(ctx, cleanTimeout)
	defer cancel()
	if err := c.killSupervisors(ctx); err != nil {
		return err
	}
	if err := c.unmount(); err != nil {
		return err
	}
	if err := removeCgroups(ctx); err != nil {
		return err
	}
	if err := removeBridge(ctx); err != nil {
		return err
	}
	remove := func(context.Context) error { return c.removeFiles(keep) }
	return await(ctx, "the files in "+c.Dir+" to be let go", remove, nil)
}

func (c *Cluster) removeFiles(keep []string) error {
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !slices.Contains(keep, entry.Name()) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(c.Dir, entry.Name())))
		}
	}
	return err
}

// killSupervisors kills every process that executes this folder's copy of the
// supervisor, and with it its namespace. The program file identifies it: a process id
// kept in a file could belong to somebody else by now.
func (c *Cluster) killSupervisors(ctx context.Context) error {
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return err
	}
	for _, link := range links {
		pid, err := strconv.Atoi(strings.Split(link, "/")[2])
		if err != nil || !c.isSupervisor(pid) {
			continue
		}
		if err := c.killSupervisor(ctx, pid); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) isSupervisor(pid int) bool {
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && strings.TrimSuffix(program, " (deleted)") == c.bin(supervisorName)
}

// killSupervisor looks again once it holds the process, as os.FindProcess pins the id.
func (c *Cluster) killSupervisor(ctx context.Context, pid int) error {
	process, err := os.FindProcess(pid)
	if err != nil || !c.isSupervisor(pid) {
		return nil
	}
	defer func() { _ = process.Release() }()
	if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill supervisor %d: %w", pid, err)
	}
	return await(ctx, fmt.Sprintf("supervisor %d to end", pid),
		func(context.Context) error { return ended(pid) }, nil)
}

// ended wants the process gone, or a zombie with no thread left: only then has the
// kernel ended all others in its namespace.
func ended(pid int) error {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil || len(threads) == 1 && processState(pid) == Exited {
		return nil
	}
	return fmt.Errorf("process %d has %d threads left", pid, len(threads))
}

// unmount lets go of mounts below the state folder that are visible here. There should
// be none, since the cluster mounts in its own namespace.
func (c *Cluster) unmount() error {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	slices.Reverse(lines)
	for _, line := range lines {
		fields := strings.Fields(line)
		if len(fields) > 1 && strings.HasPrefix(fields[1], c.Dir+"/") {
			if err := syscall.Unmount(fields[1], syscall.MNT_DETACH); err != nil {
				return fmt.Errorf("unmount %s: %w", fields[1], err)
			}
		}
	}
	return nil
}
