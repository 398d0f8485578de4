package plan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// keepContainers keeps the chosen container and the requested ones. It drops the others, because a second
// worker would take jobs and the pod would not end with the shell. Sidecars that are init containers keep
// their position, because it determines the order in which they start:
// https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
func (c *clone) keepContainers() error {
	c.spec.Containers = slices.DeleteFunc(c.spec.Containers, func(container corev1.Container) bool {
		return container.Name != c.workload.Container && !c.with("container", container.Name)
	})
	c.spec.InitContainers = slices.DeleteFunc(c.spec.InitContainers, func(container corev1.Container) bool {
		return containers.IsSidecar(container) && !c.with("sidecar", container.Name)
	})
	return nil
}

func (c *clone) with(what, name string) bool {
	switch {
	case c.options.Components.WithAll:
		c.note(Changed, what+" "+name+" runs too", "--with-all")
	case slices.Contains(c.options.Components.With, name):
		c.note(Changed, what+" "+name+" runs too", "--with")
	default:
		c.note(LeftOut, what+" "+name,
			hint.Command("it would work beside the original's; --with %s runs it too", name))
		return false
	}
	return true
}

// notASidecar refuses to make a clone of a sidecar, because it would run beside nothing.
func (c *clone) notASidecar() error {
	if c.main() != nil {
		return nil
	}
	return hint.Wrap(fmt.Errorf(
		"container %s of %s is a sidecar: a clone is made of a container, not of a sidecar",
		c.workload.Container, c.workload),
		hint.Command("a running one is joined with: kubectl eshell %s -n %s -c %s --mode debug",
			c.workload.String(), c.workload.Namespace, c.workload.Container))
}

// checkWith refuses the names of containers that the source does not have, and of init containers that do not
// run beside the others.
func (c *clone) checkWith() error {
	var known []string
	for _, container := range slices.Concat(c.spec.Containers, c.spec.InitContainers) {
		known = append(known, container.Name)
	}
	for _, name := range c.options.Components.With {
		if !slices.Contains(known, name) {
			return hint.Wrap(fmt.Errorf("--with: %s has no container %q", c.workload, name),
				"containers: "+strings.Join(known, ", "))
		}
	}
	for _, init := range c.spec.InitContainers {
		if !containers.IsSidecar(init) && slices.Contains(c.options.Components.With, init.Name) {
			return hint.Wrap(fmt.Errorf("--with: %s is an init container, which runs before the others",
				init.Name), hint.Command("run it: --init %s", init.Name))
		}
	}
	return nil
}

// strip removes what a server has and a shell must not have. Nothing is served from a clone, and its shell
// must not be killed for not serving.
func (c *clone) strip() error {
	for _, container := range c.containers() {
		c.noteServing(*container)
		numberPort(container.StartupProbe, container.Ports)
		container.LivenessProbe, container.ReadinessProbe = nil, nil
		container.Lifecycle, container.Ports = nil, nil
		container.StdinOnce = false // the session's container is the only one whose input ends with a client
		// The API accepts neither in a pod that is never restarted.
		container.RestartPolicyRules, container.ResizePolicy = nil, nil
		if !containers.IsSidecar(*container) {
			container.RestartPolicy = nil
		}
	}
	for i := range c.spec.Containers { // a container that is always restarted is no sidecar
		c.spec.Containers[i].StartupProbe, c.spec.Containers[i].RestartPolicy = nil, nil
	}
	return nil
}

// noteServing notes what strip removes. The notes name the container unless it is the chosen one.
func (c *clone) noteServing(container corev1.Container) {
	of, reason := " of container "+container.Name, "nobody waits for it to be ready"
	if container.Name == c.workload.Container {
		of, reason = "", "a shell does not answer them"
	}
	if container.LivenessProbe != nil || container.ReadinessProbe != nil || container.StartupProbe != nil &&
		!containers.IsSidecar(container) {
		c.note(LeftOut, "probes"+of, reason)
	}
	if container.Lifecycle != nil {
		c.note(LeftOut, "lifecycle hooks"+of, "they belong to the original's process")
	}
	if len(container.Ports) > 0 {
		c.note(LeftOut, "ports"+of, "nothing is served from a clone")
	}
}

// numberPort replaces the name of a port in a startup probe with its number, because strip removes the ports
// and with them their names. The probe has to stay, because the containers that start after a sidecar wait
// for it.
func numberPort(probe *corev1.Probe, ports []corev1.ContainerPort) {
	var port *intstr.IntOrString
	switch {
	case probe != nil && probe.HTTPGet != nil:
		port = &probe.HTTPGet.Port
	case probe != nil && probe.TCPSocket != nil:
		port = &probe.TCPSocket.Port
	}
	for _, p := range ports {
		if port != nil && port.Type == intstr.String && port.StrVal == p.Name {
			*port = intstr.FromInt32(p.ContainerPort)
		}
	}
}

// supported refuses workloads that cannot be cloned with these options.
func (c *clone) supported() error {
	if !isWindows(c.spec) || (c.options.Via == agent.ViaAttach || c.options.Detach) &&
		len(c.options.Command) > 0 {
		return nil
	}
	return hint.Wrap(fmt.Errorf("%s runs on Windows, which has no sh: use --via attach with a command",
		c.workload), hint.Command("kubectl eshell %s -n %s --via attach -- powershell", c.workload.String(),
		c.workload.Namespace))
}

func isWindows(spec corev1.PodSpec) bool {
	return spec.OS != nil && spec.OS.Name == corev1.Windows ||
		spec.NodeSelector[corev1.LabelOSStable] == string(corev1.Windows)
}
