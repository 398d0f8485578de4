package embedded

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"syscall"
)

// command is the package of the command line, whose verb "serve" is the supervisor.
const command = "github.com/kubectl-eshell/kubectl-eshell/test/cluster"

// startSupervisor starts the supervisor in namespaces of its own, and returns when it listens.
func (c *Cluster) startSupervisor(ctx context.Context) error {
	if err := c.installSupervisor(ctx); err != nil {
		return err
	}
	log, err := os.Create(c.log(supervisorName))
	if err != nil {
		return err
	}
	defer log.Close()
	// Not bound to ctx and in a session of its own: it outlives this process and its terminal.
	supervisor := exec.Command(c.bin(supervisorName), "serve", c.Dir)
	supervisor.Dir, supervisor.Env = c.Dir, c.environment()
	supervisor.Stdout, supervisor.Stderr = log, log
	supervisor.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		Setsid: true}
	if err := supervisor.Start(); err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	go func() { _ = supervisor.Wait() }() // or it would stay a zombie while this process lives
	return await(ctx, "the supervisor", socketProbe(c.run("control.sock")), func(context.Context) error {
		if ended(supervisor.Process.Pid) == nil {
			return &exitError{component: supervisorName, log: c.log(supervisorName)}
		}
		return nil
	})
}

// installSupervisor puts a copy of the command into the state folder: the one that runs
// now may be a temporary file of "go run". A test binary is not the command; there it is built.
func (c *Cluster) installSupervisor(ctx context.Context) error {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Path != command {
		here, err := os.Getwd()
		if err != nil {
			return err
		}
		_, err = c.goRun(ctx, here, "build", "-o", c.bin(supervisorName), command)
		return err
	}
	own, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer own.Close()
	copied, err := os.OpenFile(c.bin(supervisorName), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(copied, own); err != nil {
		_ = copied.Close()
		return err
	}
	return copied.Close()
}
