package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/embedded"
)

// cluster is where the tests run.
type cluster struct {
	kubectl, kubeconfig, context string
}

// embeddedContext is the name of the embedded cluster's context.
const embeddedContext = "eshell"

// chooseCluster brings the embedded cluster up, or takes the existing one that ESHELL_E2E_CONTEXT
// names. Workloads are created and deleted there, so nothing else is ever taken: the name must be
// that of the current context too.
func chooseCluster(ctx context.Context) (cluster, error) {
	if name := os.Getenv("ESHELL_E2E_CONTEXT"); name != "" {
		return existingCluster(ctx, name)
	}
	c := embedded.Default()
	if err := c.Up(ctx, os.Stderr); err != nil {
		return cluster{}, err
	}
	return cluster{c.Kubectl(), c.Kubeconfig(), embeddedContext}, nil
}

func existingCluster(ctx context.Context, name string) (cluster, error) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		return cluster{}, err
	}
	current, err := exec.CommandContext(ctx, kubectl, "config", "current-context").Output()
	if err != nil {
		return cluster{}, fmt.Errorf("ask kubectl for the current context: %w", err)
	}
	if got := strings.TrimSpace(string(current)); got != name {
		return cluster{}, fmt.Errorf(
			"ESHELL_E2E_CONTEXT is %q but the current context is %q: nothing was touched", name, got)
	}
	config := os.Getenv("KUBECONFIG")
	if config == "" {
		config = os.Getenv("HOME") + "/.kube/config"
	}
	return cluster{kubectl, config, name}, nil
}
