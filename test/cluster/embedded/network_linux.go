package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// portPatience is how long a port may still be held by a cluster that is being killed.
const portPatience = 3 * time.Second

// createBridge makes the network between the node and its pods.
func createBridge(ctx context.Context) error {
	return ip(ctx,
		"link add "+bridge+" type bridge",
		"addr add "+nodeIP+"/"+nodeMask+" dev "+bridge,
		"link set "+bridge+" up")
}

// removeBridge removes the bridge and the pods' ends that hang on it, and no other interface.
func removeBridge(ctx context.Context) error {
	if _, err := net.InterfaceByName(bridge); err != nil {
		return nil
	}
	ends, err := filepath.Glob("/sys/class/net/" + bridge + "/brif/*")
	if err != nil {
		return err
	}
	for _, end := range ends {
		// The kernel removes an end itself when its pod's namespace goes, perhaps right now.
		if err := ip(ctx, "link del "+filepath.Base(end)); err != nil {
			if _, gone := net.InterfaceByName(filepath.Base(end)); gone == nil {
				return err
			}
		}
	}
	return ip(ctx, "link del "+bridge)
}

func ip(ctx context.Context, commands ...string) error {
	for _, command := range commands {
		if _, err := output(exec.CommandContext(ctx, "ip", strings.Fields(command)...)); err != nil {
			return err
		}
	}
	return nil
}

// freePorts fails if somebody else listens where a component of ours would.
func freePorts(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, portPatience)
	defer cancel()
	for port, owner := range ports() {
		for {
			listener, err := net.Listen("tcp", loopback(port))
			if err == nil {
				_ = listener.Close()
				break
			}
			if !errors.Is(err, syscall.EADDRINUSE) {
				return fmt.Errorf("port for %s: %w", owner, err)
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("port %d, which the cluster's %s needs, is in use by another process", port,
					owner)
			case <-time.After(probeInterval):
			}
		}
	}
	return nil
}

// raiseInotify makes room for a kubelet: the usual limit of 128 instances is for all of root's processes.
func raiseInotify() error {
	const path, want = "/proc/sys/fs/inotify/max_user_instances", 1024
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if now, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && now >= want {
		return nil
	}
	return os.WriteFile(path, []byte(strconv.Itoa(want)), 0o644)
}
