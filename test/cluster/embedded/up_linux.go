package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// startTimeout is far above the ten seconds it takes, for a machine that is busy with other things.
const startTimeout = 3 * time.Minute

// Up brings the cluster up and returns when a pod can be scheduled. A cluster that is up
// and healthy at this version is left alone; anything else in the state folder is
// cleared away first. It narrates on progress. When it fails, only the logs stay.
func (c *Cluster) Up(ctx context.Context, progress io.Writer) error {
	if os.Geteuid() != 0 {
		return ErrUnsupported
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, c.Dir, progress)
	if err != nil {
		return err
	}
	defer unlock()
	c.settleClient(ctx, progress)
	if c.healthy(ctx) {
		fmt.Fprintf(progress, "kubernetes %s is up already\n", c.Version)
		return c.ensureKubectl(ctx, progress)
	}
	if err := c.Build(ctx, progress); err != nil {
		return err
	}
	if err := c.clean(ctx); err != nil {
		return fmt.Errorf("clear away the last cluster: %w", err)
	}
	fmt.Fprintf(progress, "starting kubernetes %s\n", c.Version)
	if err := c.start(ctx); err != nil {
		return c.giveUp(ctx, err)
	}
	return nil
}

// Down ends the cluster and removes everything of it but the cache.
func (c *Cluster) Down(ctx context.Context, progress io.Writer) error {
	if os.Geteuid() != 0 {
		return ErrUnsupported
	}
	if _, err := os.Stat(c.Dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	unlock, err := lock(ctx, c.Dir, progress)
	if err != nil {
		return err
	}
	defer unlock()
	return c.clean(ctx)
}

// healthy says whether this version came up completely and still answers.
func (c *Cluster) healthy(ctx context.Context) bool {
	if _, err := os.Stat(c.completeFile()); err != nil {
		return false
	}
	status, err := c.Status(ctx)
	return err == nil && status.Up() && status.Version == c.Version && once(ctx, c.apiProbe("/readyz")) == nil
}

func (c *Cluster) completeFile() string { return c.run("complete") }

func versionFile(dir string) string { return filepath.Join(dir, "version") }

// giveUp cleans also when the reason was that ctx ended.
func (c *Cluster) giveUp(ctx context.Context, reason error) error {
	reason = fmt.Errorf("bring up kubernetes %s: %w", c.Version, reason)
	if _, err := os.Stat(c.log(supervisorName)); err == nil {
		reason = fmt.Errorf("%w\nthe logs are in %s", reason, filepath.Join(c.Dir, "log"))
	}
	return errors.Join(reason, c.clean(context.WithoutCancel(ctx), "log"))
}

func (c *Cluster) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := freePorts(ctx); err != nil {
		return err
	}
	if err := c.prepare(ctx); err != nil {
		return err
	}
	if err := c.startSupervisor(ctx); err != nil {
		return err
	}
	if err := c.tell(ctx, "start", "etcd", "apiserver", "containerd"); err != nil {
		return err
	}
	imported := make(chan error, 1)
	go func() { imported <- c.importImages(ctx) }()
	if err := c.awaitComponent(ctx, "apiserver"); err != nil {
		return err
	}
	if err := <-imported; err != nil {
		return err
	}
	if err := c.tell(ctx, "start", "kubelet", "controller-manager", "scheduler"); err != nil {
		return err
	}
	return c.complete(ctx)
}

// prepare sets up all that the components find when they start.
func (c *Cluster) prepare(ctx context.Context) error {
	machine, err := findHost()
	if err != nil {
		return err
	}
	if err := c.configure(machine); err != nil {
		return err
	}
	if err := os.WriteFile(versionFile(c.Dir), []byte(c.Version), 0o644); err != nil {
		return err
	}
	if err := c.linkPrograms(c.toolsets()...); err != nil {
		return err
	}
	if c.Client != "" {
		if err := link(c.Client, c.bin("kubectl")); err != nil {
			return err
		}
	}
	if err := createCgroups(); err != nil {
		return err
	}
	if err := raiseInotify(); err != nil {
		return err
	}
	return createBridge(ctx)
}

// linkPrograms makes one folder for PATH out of those in the cache.
func (c *Cluster) linkPrograms(toolsets ...toolset) error {
	for _, tools := range toolsets {
		for _, b := range tools.binaries {
			for _, p := range b.programs {
				if err := link(filepath.Join(c.cached(tools.name), b.name), c.bin(p.name)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// link makes a link, or replaces one.
func link(to, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Symlink(to, path)
}

func (c *Cluster) tell(ctx context.Context, action string, components ...string) error {
	for _, name := range components {
		if err := c.Component(name).tell(ctx, action); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) awaitComponent(ctx context.Context, name string) error {
	spec, _ := c.spec(name)
	return await(ctx, name, spec.ready, c.alive)
}

// alive fails once any component that was started has exited: each of them is needed.
func (c *Cluster) alive(ctx context.Context) error {
	status, err := c.Status(ctx)
	if err != nil {
		return &exitError{component: supervisorName, log: c.log(supervisorName)}
	}
	for _, component := range status.Components {
		_, started := os.Stat(c.log(component.Name))
		if component.State == Exited && started == nil {
			return &exitError{component: component.Name, log: c.log(component.Name)}
		}
	}
	return nil
}

// importImages hands the archive to containerd, and gives each image a name by its digest as well,
// as one that was pulled has: a running container reports it.
func (c *Cluster) importImages(ctx context.Context) error {
	if err := c.awaitComponent(ctx, "containerd"); err != nil {
		return err
	}
	if _, err := c.ctr(ctx, "import", c.imageArchive()); err != nil {
		return err
	}
	listed, err := c.ctr(ctx, "list")
	if err != nil {
		return err
	}
	for line := range bytes.Lines(listed) {
		fields := bytes.Fields(line) // name, type, digest, ...
		repository, tagged := strings.CutSuffix(string(fields[0]), ":1")
		if !tagged {
			continue
		}
		if _, err := c.ctr(ctx, "tag", "--force", string(fields[0]),
			repository+"@"+string(fields[2])); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) ctr(ctx context.Context, args ...string) ([]byte, error) {
	all := append([]string{"--address", c.run("containerd.sock"), "--namespace", "k8s.io", "images"}, args...)
	return output(exec.CommandContext(ctx, c.bin("ctr"), all...))
}

// complete waits for what a first pod needs, and marks the cluster as one that came up.
func (c *Cluster) complete(ctx context.Context) error {
	if err := await(ctx, "node "+nodeName, c.nodeProbe, c.alive); err != nil {
		return err
	}
	account := c.apiProbe("/api/v1/namespaces/default/serviceaccounts/default")
	if err := await(ctx, "the default service account", account, c.alive); err != nil {
		return err
	}
	return os.WriteFile(c.completeFile(), nil, 0o644)
}
