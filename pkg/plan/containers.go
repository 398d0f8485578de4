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

// keepContainers takes the chosen container, those that were asked for, and leaves the others: a
// second worker would take jobs, and the pod would not end with the shell. Sidecars that are init
// containers stay in their place, because their order is what they start in:
// https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
func (c *clone) keepContainers() error {
	if err := c.namesExist(c.options.Components.With, "--with"); err != nil {
		return err
	}
	for _, init := range c.spec.InitContainers {
		if !containers.IsSidecar(init) && slices.Contains(c.options.Components.With, init.Name) {
			return hint.Wrap(fmt.Errorf("--with: %s is an init container, which runs before the others",
				init.Name), "run it: --init "+init.Name)
		}
	}
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
		c.note(LeftOut, what+" "+name, "it would work beside the original's; --with "+name+" runs it too")
		return false
	}
	return true
}

// notASidecar refuses to make a clone around a sidecar: it would run beside nothing.
func (c *clone) notASidecar() error {
	if slices.ContainsFunc(c.spec.Containers,
		func(container corev1.Container) bool { return container.Name == c.workload.Container }) {
		return nil
	}
	return hint.Wrap(fmt.Errorf(
		"container %s of %s is a sidecar: a clone is made of a container, not of a sidecar",
		c.workload.Container, c.workload),
		fmt.Sprintf("a running one is joined with: kubectl eshell %s -n %s -c %s --mode debug",
			c.workload, c.workload.Namespace, c.workload.Container))
}

// namesExist refuses the name of a container that the source has not. Which of them may be named
// there is told by the steps themselves.
func (c *clone) namesExist(names []string, flag string) error {
	var known []string
	for _, container := range slices.Concat(c.workload.Template.Spec.Containers,
		c.workload.Template.Spec.InitContainers) {
		known = append(known, container.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return hint.Wrap(fmt.Errorf("%s: %s has no container %q", flag, c.workload, name),
				"containers: "+strings.Join(known, ", "))
		}
	}
	return nil
}

// strip takes away what a server has and a shell must not: nothing is served from a clone, and
// nothing may kill its shell for not serving.
func (c *clone) strip() error {
	for _, container := range c.containers() {
		c.noteServing(*container)
	}
	for i := range c.spec.Containers {
		c.spec.Containers[i].StartupProbe, c.spec.Containers[i].RestartPolicy = nil, nil
	}
	for i := range c.spec.InitContainers {
		init := &c.spec.InitContainers[i]
		init.StartupProbe = numbered(init.StartupProbe, init.Ports)
		if !containers.IsSidecar(*init) {
			init.RestartPolicy = nil
		}
	}
	for _, container := range c.containers() {
		stripContainer(container)
	}
	return nil
}

// noteServing tells what is stripped. The chosen container's goes without saying whose it is.
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

func stripContainer(container *corev1.Container) {
	container.LivenessProbe, container.ReadinessProbe = nil, nil
	container.Lifecycle, container.Ports = nil, nil
	// The API takes neither where the pod is never restarted.
	container.RestartPolicyRules, container.ResizePolicy = nil, nil
}

// numbered gives a startup probe the number of a port that it knows by name: the names go with the
// ports. The probe has to stay, because what starts after a sidecar waits for it.
func numbered(probe *corev1.Probe, ports []corev1.ContainerPort) *corev1.Probe {
	if probe == nil {
		return nil
	}
	number := func(port *intstr.IntOrString) {
		for _, p := range ports {
			if port.Type == intstr.String && p.Name == port.StrVal {
				*port = intstr.FromInt32(p.ContainerPort)
			}
		}
	}
	if probe.HTTPGet != nil {
		number(&probe.HTTPGet.Port)
	}
	if probe.TCPSocket != nil {
		number(&probe.TCPSocket.Port)
	}
	return probe
}

// supported refuses what a clone cannot do.
func (c *clone) supported() error {
	if !isWindows(c.spec) || (c.options.Via == agent.ViaAttach || c.options.Detach) &&
		len(c.options.Command) > 0 {
		return nil
	}
	return hint.Wrap(fmt.Errorf("%s runs on Windows, which has no sh: use --via attach with a command",
		c.workload), fmt.Sprintf("kubectl eshell %s -n %s --via attach -- powershell", c.workload,
		c.workload.Namespace))
}

func isWindows(spec corev1.PodSpec) bool {
	return spec.OS != nil && spec.OS.Name == corev1.Windows ||
		spec.NodeSelector[corev1.LabelOSStable] == string(corev1.Windows)
}
