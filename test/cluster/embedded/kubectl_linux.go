package embedded

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// settleClient looks at the kubectl that the caller would like to use, and tells progress why it is not used.
func (c *Cluster) settleClient(ctx context.Context, progress io.Writer) {
	if c.Client == "" {
		return
	}
	path, err := recentKubectl(ctx, c.Client, c.Version)
	if err != nil {
		fmt.Fprintf(progress, "%v: the cluster has a kubectl of its own\n", err)
	}
	c.Client = path
}

// recentKubectl returns the file behind a kubectl that works with that Kubernetes: a kubectl supports API
// servers that are at most one minor version older or newer
// (https://kubernetes.io/releases/version-skew-policy/#kubectl).
func recentKubectl(ctx context.Context, name, kubernetes string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	// The link in the state folder ends with the cluster.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := output(exec.CommandContext(ctx, path, "version", "--client", "--output=json"))
	if err != nil {
		return "", err
	}
	var answer struct{ ClientVersion struct{ GitVersion string } }
	if err := json.Unmarshal(out, &answer); err != nil {
		return "", fmt.Errorf("%s version: %w", path, err)
	}
	version := strings.TrimPrefix(answer.ClientVersion.GitVersion, "v")
	if skew := minor(version) - minor(kubernetes); skew < -1 || skew > 1 {
		return "", fmt.Errorf("%s is version %q, which is not for Kubernetes %s", path, version, kubernetes)
	}
	return path, nil
}

// minor is 37 for 1.37.2, and -1 for what is no version.
func minor(version string) int {
	var minor, patch int
	if n, _ := fmt.Sscanf(version, "1.%d.%d", &minor, &patch); n != 2 {
		return -1
	}
	return minor
}

// ensureKubectl replaces the kubectl of a cluster that is up, if it is one of the machine's and the caller
// wants the cluster's own.
func (c *Cluster) ensureKubectl(ctx context.Context, progress io.Writer) error {
	linked, err := os.Readlink(c.bin("kubectl"))
	if err != nil {
		return err
	}
	if c.Client != "" || strings.HasPrefix(linked, c.Cache+string(filepath.Separator)) {
		return nil
	}
	own := kubectlTools(c.Version)
	if err := c.buildMissing(ctx, progress, own); err != nil {
		return err
	}
	return c.linkPrograms(own)
}
