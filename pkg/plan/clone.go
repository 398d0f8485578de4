package plan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/target"
)

// clone is a plan in the making.
type clone struct {
	target  *target.Target
	options Options
	notes   []Note

	spec      corev1.PodSpec
	container corev1.Container
}

// Clone plans a new pod made from the target's template: the chosen container with its image,
// environment, identity and volumes, and nothing that could serve, be adopted or outlive the
// session. It refuses where the caller's permissions would leave the pod behind.
func Clone(t *target.Target, o Options) (*Plan, error) {
	via, viaNote, err := chooseVia(t, o)
	if err != nil {
		return nil, err
	}
	if !t.Access.DeletePods {
		return nil, missing("delete", "pods", t.Namespace, "the clone could not be removed")
	}
	c := &clone{target: t, options: o, notes: viaNote, spec: *t.Template.Spec.DeepCopy()}
	c.keepContainer()
	c.container.Env = c.changeEnv(c.container.Env)
	c.override()
	// Nothing is served from a clone, and nothing may kill its shell for not serving.
	c.strip()
	c.unbind()
	c.bound()
	r := newRun(o, via)
	c.occupy(r)
	c.keepInitContainers()
	c.keepVolumes()
	return c.plan(r), nil
}

func chooseVia(t *target.Target, o Options) (Via, []Note, error) {
	switch {
	case !t.Access.WatchPods:
		return "", nil, missing("watch", "pods", t.Namespace, "eshell could not see the session start")
	case !t.Access.AttachPods:
		return "", nil, missing("create", "pods/attach", t.Namespace, "eshell keeps a session alive by attaching to it")
	case o.Via == ViaAttach:
		return ViaAttach, nil, nil
	case t.Access.ExecPods:
		return ViaExec, nil, nil
	case o.Via == ViaExec:
		return "", nil, missing("create", "pods/exec", t.Namespace, "--via exec needs it")
	}
	return ViaAttach, []Note{{Warning, "running by attach", "you may not create pods/exec in namespace " + t.Namespace +
		"; what is typed and shown goes into the container's log"}}, nil
}

func missing(verb, resource, namespace, why string) error {
	return hint.Errorf("ask for it, and check with: kubectl auth can-i "+verb+" "+resource+" -n "+namespace,
		"you may not %s %s in namespace %s: %s", verb, resource, namespace, why)
}

func (c *clone) note(kind NoteKind, what, reason string) {
	c.notes = append(c.notes, Note{kind, what, reason})
}

// keepContainer takes the chosen container and leaves the others: a second worker would take jobs,
// and the pod would not end with the shell.
func (c *clone) keepContainer() {
	for _, container := range c.spec.Containers {
		if container.Name == c.target.Container {
			c.container = container
			continue
		}
		c.note(LeftOut, "container "+container.Name, "it would work beside the original's")
	}
}

func (c *clone) override() {
	if c.options.Image != "" {
		c.container.Image = c.options.Image
	}
	setResource(&c.container, corev1.ResourceCPU, c.options.CPU)
	setResource(&c.container, corev1.ResourceMemory, c.options.Memory)
}

func (c *clone) strip() {
	if c.container.LivenessProbe != nil || c.container.ReadinessProbe != nil || c.container.StartupProbe != nil {
		c.note(LeftOut, "probes", "a shell does not answer them")
	}
	if c.container.Lifecycle != nil {
		c.note(LeftOut, "lifecycle hooks", "they belong to the original's process")
	}
	if len(c.container.Ports) > 0 {
		c.note(LeftOut, "ports", "nothing is served from a clone")
	}
	c.container.LivenessProbe, c.container.ReadinessProbe, c.container.StartupProbe = nil, nil, nil
	c.container.Lifecycle, c.container.Ports = nil, nil
	c.container.RestartPolicy, c.container.RestartPolicyRules = nil, nil
	c.spec.ReadinessGates = nil
}

// unbind takes away what belongs to one running pod: its place, its name, its turn. What admission
// had filled in from a class is filled in again.
func (c *clone) unbind() {
	c.spec.NodeName, c.spec.Hostname, c.spec.Subdomain = "", "", ""
	c.spec.SetHostnameAsFQDN, c.spec.HostnameOverride = nil, nil
	c.spec.SchedulingGates, c.spec.EphemeralContainers = nil, nil
	c.spec.Priority, c.spec.PreemptionPolicy, c.spec.Overhead = nil, nil, nil
}

// bound makes the pod end: with its shell, soon after a delete, and at last by itself.
func (c *clone) bound() {
	c.spec.RestartPolicy = corev1.RestartPolicyNever
	c.spec.ActiveDeadlineSeconds = new(int64(lifetime.Seconds()))
	c.spec.TerminationGracePeriodSeconds = new(int64(gracePeriod))
}

// occupy puts the session's process in the place of the original's.
func (c *clone) occupy(r run) {
	c.container.Command, c.container.Args = r.process, nil
	c.container.Stdin, c.container.StdinOnce, c.container.TTY = true, true, r.via == ViaAttach && c.options.TTY
	c.spec.Containers = []corev1.Container{c.container}
}

func (c *clone) plan(r run) *Plan {
	t, name := c.target, owned.PodName(c.target.Name, c.options.Session)
	return &Plan{
		Headline: fmt.Sprintf("pod/%s: a clone of %s, container %s, in namespace %s", name, t, t.Container, t.Namespace),
		Notes:    c.notes, Namespace: t.Namespace, PodName: name, Container: t.Container,
		Via: r.via, Command: r.exec, Gate: r.gate, End: r.end, TTY: c.options.TTY,
		Pod: &corev1.Pod{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
			ObjectMeta: metav1.ObjectMeta{
				Name: name, Namespace: t.Namespace,
				Labels:      owned.Labels(c.options.Session),
				Annotations: owned.Annotations(t.Kind, t.Name),
			},
			Spec: c.spec,
		},
	}
}

// keepInitContainers keeps those that write a volume which the session's container mounts (they
// make its configuration) and leaves the others (they migrate, register, wait for peers).
func (c *clone) keepInitContainers() {
	var kept []corev1.Container
	for _, init := range c.spec.InitContainers {
		switch {
		case init.RestartPolicy != nil && *init.RestartPolicy == corev1.ContainerRestartPolicyAlways:
			c.note(LeftOut, "sidecar "+init.Name, "it would work beside the original's")
		case !c.prepares(init):
			c.note(LeftOut, "init container "+init.Name, "it writes no volume that container "+c.container.Name+" mounts")
		default:
			kept = append(kept, init)
			c.note(Changed, "init container "+init.Name+" runs", "it writes a volume that container "+c.container.Name+" mounts")
		}
	}
	c.spec.InitContainers = kept
}

func (c *clone) prepares(init corev1.Container) bool {
	return slices.ContainsFunc(init.VolumeMounts, func(written corev1.VolumeMount) bool {
		return !written.ReadOnly && !isServiceAccountMount(written) && mounts(c.container, written.Name)
	})
}

// isServiceAccountMount reports the token that admission mounts into every container of a live pod.
func isServiceAccountMount(m corev1.VolumeMount) bool {
	return strings.HasPrefix(m.MountPath, "/var/run/secrets/kubernetes.io/serviceaccount")
}

func mounts(container corev1.Container, volume string) bool {
	return slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume }) ||
		slices.ContainsFunc(container.VolumeDevices, func(d corev1.VolumeDevice) bool { return d.Name == volume })
}
