//go:build unix

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/ephemeral"
	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/embedded"
)

const staticPod = `apiVersion: v1
kind: Pod
metadata: {name: static, namespace: %s}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: app, image: "localhost/eshell/busybox:1", command: [sleep, "86400"]}]
`

// TestMirrorPod: the pod that the API shows for a static pod takes no ephemeral container, which is
// said before anything is written; a clone of it is a pod like any other.
func TestMirrorPod(t *testing.T) {
	if !env.embedded {
		t.Skip("an existing cluster's nodes are out of reach")
	}
	t.Parallel()
	manifest := filepath.Join(embedded.Default().StaticPods(), env.namespace+".yaml")
	if err := os.WriteFile(manifest, fmt.Appendf(nil, staticPod, env.namespace), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(manifest) })
	mirror := "pod/static-" +
		strings.TrimSpace(kubectl(t, "get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"))
	kubectl(t, "wait", "--for=create", mirror, "--timeout=60s")
	kubectl(t, "wait", "--for=condition=Ready", mirror, "--timeout=60s")

	debug := open(t, "eshell", mirror, "--mode", "debug")
	if got := debug.status(); got != 125 {
		t.Errorf("exit status %d, want 125", got)
	}
	debug.expect(`error: ` + mirror +
		` is a static pod of its node: Kubernetes does not add ephemeral containers to it\r\nhint: clone it instead`)
	if added := kubectl(t, "get", mirror, "-o", "jsonpath={.spec.ephemeralContainers}"); added != "" {
		t.Errorf("it has ephemeral containers: %s", added)
	}
	refused := named(strings.TrimPrefix(mirror, "pod/"), "")
	if _, err := ephemeral.New(client(t), env.namespace).Add(t.Context(), refused,
		plainContainer("x")); !errors.Is(err, ephemeral.ErrMirrorPod) || !apierrors.IsInvalid(err) {
		t.Errorf("the server's refusal is %v", err)
	}

	clone := open(t, "eshell", mirror, "--", "echo", "from the clone")
	clone.expect(`from the clone\r\n`)
	clone.ended(0, clone.session())
}
