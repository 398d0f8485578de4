// Command cluster runs the project's embedded Kubernetes. See README.md in this folder.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/embedded"
)

const usage = `usage: go run ./test/cluster VERB

  up                  bring the cluster up and print how to use it
  down                end it and remove everything but the cache
  status              say what its components do
  kubeconfig          print the path of the admin's kubeconfig
  env                 print the export lines for a shell
  logs [COMPONENT]    print one log, or the end of each
  build               fill the cache without starting anything
  images              print the path of the images' archive, for another cluster to load

  stop COMPONENT      freeze a component (SIGSTOP)
  continue COMPONENT  end a stop (SIGCONT)
  kill COMPONENT      end a component (SIGKILL)
  restart COMPONENT   start it anew and wait until it is ready
`

// errUsage asks for the usage text and exit code 2.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(exitCode(run(ctx, os.Args[1:]), os.Stderr))
}

func exitCode(err error, stderr io.Writer) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprint(stderr, usage)
		return 2
	default:
		fmt.Fprintln(stderr, "error:", err)
		return 1
	}
}

func run(ctx context.Context, args []string) error {
	c := embedded.Default()
	if len(args) == 1 {
		return runVerb(ctx, c, args[0])
	}
	if len(args) != 2 {
		return errUsage
	}
	component := c.Component(args[1])
	switch args[0] {
	case "serve": // how the library starts its supervisor; not for people
		return embedded.Serve(args[1])
	case "logs":
		return logs(c, args[1])
	case "stop":
		return component.Stop()
	case "continue":
		return component.Continue()
	case "kill":
		return component.Kill()
	case "restart":
		return component.Restart(ctx)
	default:
		return errUsage
	}
}

func runVerb(ctx context.Context, c *embedded.Cluster, verb string) error {
	switch verb {
	case "up":
		if err := c.Up(ctx, os.Stderr); err != nil {
			return err
		}
		fmt.Println(c.Kubeconfig())
		env(c)
		return nil
	case "down":
		return c.Down(ctx, os.Stderr)
	case "build":
		return c.Build(ctx, os.Stderr)
	case "images":
		archive, err := c.ImageArchive(ctx, os.Stderr)
		fmt.Println(archive)
		return err
	case "kubeconfig":
		fmt.Println(c.Kubeconfig())
		return nil
	case "env":
		env(c)
		return nil
	case "status":
		return status(ctx, c)
	case "logs":
		return tails(c)
	case "help", "-h", "--help":
		fmt.Print(usage)
		return nil
	default:
		return errUsage
	}
}

func env(c *embedded.Cluster) {
	fmt.Printf("export KUBECONFIG=%s PATH=%s:$PATH\n", c.Kubeconfig(), c.BinDir())
}

func status(ctx context.Context, c *embedded.Cluster) error {
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	fmt.Println("kubernetes", status.Version)
	for _, component := range status.Components {
		fmt.Printf("%-20s%s\n", component.Name, component.State)
	}
	if !status.Up() {
		return errors.New("not every component runs")
	}
	return nil
}

func logs(c *embedded.Cluster, component string) error {
	log, err := c.Logs(component)
	if err != nil {
		return err
	}
	defer log.Close()
	_, err = io.Copy(os.Stdout, log)
	return err
}

func tails(c *embedded.Cluster) error {
	for _, component := range c.LogNames() {
		fmt.Printf("==> %s <==\n%s\n\n", component, c.LogTail(component))
	}
	return nil
}
