package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const cgroupMount = "/sys/fs/cgroup"

// cgroupTrees are the folders in which our cgroup has to exist: the one tree of
// version 2, or each controller's of version 1.
func cgroupTrees() ([]string, error) {
	if unified() {
		return []string{cgroupMount}, nil
	}
	entries, err := os.ReadDir(cgroupMount)
	if err != nil {
		return nil, err
	}
	var trees []string
	for _, entry := range entries {
		if entry.IsDir() { // links such as cpu -> cpu,cpuacct are no trees of their own
			trees = append(trees, filepath.Join(cgroupMount, entry.Name()))
		}
	}
	return trees, nil
}

func unified() bool {
	_, err := os.Stat(filepath.Join(cgroupMount, "cgroup.controllers"))
	return err == nil
}

// createCgroups makes the cgroup below which the kubelet puts its pods.
func createCgroups() error {
	trees, err := cgroupTrees()
	if err != nil {
		return err
	}
	for _, tree := range trees {
		group := filepath.Join(tree, cgroupRoot)
		if err := os.MkdirAll(group, 0o755); err != nil {
			return fmt.Errorf("make cgroup %s: %w", group, err)
		}
		if unified() {
			delegate(tree)
			delegate(group)
		} else if err := copyCPUSet(tree, group); err != nil {
			return fmt.Errorf("set up cgroup %s: %w", group, err)
		}
	}
	return nil
}

// delegate hands every controller on to the children. One that can't be is one that no pod can use.
func delegate(group string) {
	controllers, _ := os.ReadFile(filepath.Join(group, "cgroup.controllers"))
	for controller := range strings.FieldsSeq(string(controllers)) {
		_ = os.WriteFile(filepath.Join(group, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
	}
}

// copyCPUSet fills in what version 1 leaves empty: no process can enter a cpuset without processors.
func copyCPUSet(parent, group string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(parent, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(group, name), value, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// removeCgroups removes our cgroups from the leaves up. It repeats, since a process that
// was killed keeps its cgroup busy for a moment.
func removeCgroups(ctx context.Context) error {
	trees, err := cgroupTrees()
	if err != nil {
		return err
	}
	for _, tree := range trees {
		group := filepath.Join(tree, cgroupRoot)
		if err := await(ctx, "the processes in "+group+" to end",
			func(context.Context) error { return removeTree(group) }, nil); err != nil {
			return err
		}
	}
	return nil
}

func removeTree(group string) error {
	var folders []string
	err := filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return ignoreMissing(err)
	})
	slices.Reverse(folders)
	for _, folder := range folders {
		err = errors.Join(err, ignoreMissing(os.Remove(folder)))
	}
	return err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
