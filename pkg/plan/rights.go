package plan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// noteRights notes what the source is allowed on its node, because the clone is too. It warns about what only
// the clone is allowed, which the user has asked for by --as-user or --overrides.
func (c *clone) noteRights(pod corev1.PodSpec) {
	source := c.workload.Template.Spec
	had := rights(source)
	for _, right := range rights(pod) {
		if slices.Contains(had, right) {
			c.note(Kept, right, "the source has it too")
		} else {
			c.moreRights(right)
		}
	}
	for _, container := range pod.Containers {
		was := containerNamed(source.Containers, container.Name)
		if was == nil {
			continue
		}
		before, after := effective(source, *was), effective(pod, container)
		if is(after.RunAsUser, 0) && !is(before.RunAsUser, 0) {
			c.moreRights("user 0 (root) in container " + container.Name)
		}
		if *before.RunAsNonRoot && !*after.RunAsNonRoot {
			c.moreRights("container " + container.Name + " is allowed to run as root")
		}
		if is(escalation(*was), false) && !is(escalation(container), false) {
			c.moreRights("privilege escalation in container " + container.Name)
		}
	}
	if is(source.HostUsers, false) && !is(pod.HostUsers, false) {
		c.moreRights("the node's users")
	} else if is(pod.HostUsers, false) {
		c.note(Kept, "users of its own (hostUsers: false)", "root in it is not root on the node")
	}
}

func (c *clone) moreRights(right string) {
	c.note(Warning, "more rights than the workload: "+right, "you asked for it")
}

// rights are what a pod is allowed on its node beyond what every pod is.
// https://kubernetes.io/docs/concepts/security/pod-security-standards/
func rights(spec corev1.PodSpec) []string {
	var rights []string
	add := func(has bool, right string) {
		if has {
			rights = append(rights, right)
		}
	}
	add(spec.HostNetwork, "the node's network")
	add(spec.HostPID, "the node's processes")
	add(spec.HostIPC, "the node's IPC")
	for _, container := range slices.Concat(spec.InitContainers, spec.Containers) {
		security := container.SecurityContext
		if security == nil || container.Name == owned.ToolboxName { // its context is the chosen container's
			continue
		}
		add(is(security.Privileged, true), "privileged container "+container.Name)
		if security.Capabilities != nil && len(security.Capabilities.Add) > 0 {
			added := strings.Trim(fmt.Sprint(security.Capabilities.Add), "[]")
			add(true, "capabilities "+strings.ReplaceAll(added, " ", ", ")+" of container "+container.Name)
		}
	}
	return rights
}

func escalation(container corev1.Container) *bool {
	if container.SecurityContext == nil {
		return nil
	}
	return container.SecurityContext.AllowPrivilegeEscalation
}

// is reports whether a field is set to a value.
func is[T comparable](field *T, value T) bool { return field != nil && *field == value }
