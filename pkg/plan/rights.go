package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

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
		for _, right := range gained(source, pod, *was, container) {
			c.moreRights(right + " in container " + container.Name)
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

// gained returns what a container is allowed as its user that another one, of another spec, is not.
func gained(source, other corev1.PodSpec, was, container corev1.Container) []string {
	before, after := effective(source, was), effective(other, container)
	var gained []string
	if is(after.RunAsUser, 0) && !is(before.RunAsUser, 0) {
		gained = append(gained, "user 0 (root)")
	}
	if *before.RunAsNonRoot && !*after.RunAsNonRoot {
		gained = append(gained, "running as root")
	}
	if is(escalation(was), false) && !is(escalation(container), false) {
		gained = append(gained, "privilege escalation")
	}
	return gained
}

// compareRights warns about what the debug container is allowed and its target is not, which the user has
// asked for by --profile, --inherit or --custom, and about capabilities that do nothing.
func (d *debug) compareRights() error {
	spec, container := d.workload.Pod.Spec, corev1.Container(d.container)
	was := cmp.Or(d.source.SecurityContext, &corev1.SecurityContext{})
	now := cmp.Or(container.SecurityContext, &corev1.SecurityContext{})
	source := d.source
	source.SecurityContext = d.sameUser()
	rights := gained(spec, spec, source, container)
	user := d.user()
	before := effective(spec, source).RunAsUser
	another := before != nil || container.Image != source.Image
	if user == nil && !is(before, 0) && another && !*effective(spec, container).RunAsNonRoot {
		rights = append(rights, "the user of its image, who may be root")
	}
	if is(now.Privileged, true) && !is(was.Privileged, true) {
		rights = append(rights, "privileged")
	}
	added := without(capabilities(now).Add, capabilities(was).Add)
	if len(added) > 0 && !is(was.Privileged, true) {
		rights = append(rights, "capabilities "+joined(added))
	}
	if dropped := without(capabilities(was).Drop, capabilities(now).Drop); len(dropped) > 0 {
		rights = append(rights, "capabilities that its target has dropped: "+joined(dropped))
	}
	rights = append(rights, relaxed(spec, source.SecurityContext, now)...)
	if len(rights) > 0 {
		d.note(Warning, "more rights than the target: "+strings.Join(rights, "; "), "you asked for it")
	}
	if len(added) > 0 && user != nil && *user != 0 && !is(now.Privileged, true) {
		d.note(Warning, "capabilities without effect: "+joined(added), fmt.Sprintf(
			"only root gets them, and the session runs as user %d; --custom can set runAsUser: 0", *user))
	}
	return nil
}

// user returns the user of the debug container, or nil if only its image tells.
func (d *debug) user() *int64 {
	said := effective(d.workload.Pod.Spec, corev1.Container(d.container)).RunAsUser
	if user := d.linuxUser(); said == nil && user != nil && d.container.Image == d.source.Image {
		return &user.UID
	}
	return said
}

func capabilities(context *corev1.SecurityContext) corev1.Capabilities {
	return *cmp.Or(context.Capabilities, &corev1.Capabilities{})
}

// without returns the capabilities of all that are not among some, or none if ALL is.
func without(all, some []corev1.Capability) (rest []corev1.Capability) {
	for _, c := range all {
		if !slices.Contains(some, c) && !slices.Contains(some, "ALL") {
			rest = append(rest, c)
		}
	}
	return rest
}

func joined(capabilities []corev1.Capability) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(capabilities), "[]"), " ", ", ")
}

// relaxed returns what restricts the one security context and not the other.
func relaxed(spec corev1.PodSpec, was, now *corev1.SecurityContext) []string {
	pod := cmp.Or(spec.SecurityContext, &corev1.PodSecurityContext{})
	var relaxed []string
	add := func(is bool, what string) {
		if is {
			relaxed = append(relaxed, what)
		}
	}
	armor := func(c *corev1.SecurityContext) corev1.AppArmorProfileType {
		return cmp.Or(cmp.Or(c.AppArmorProfile, pod.AppArmorProfile), &corev1.AppArmorProfile{}).Type
	}
	group := cmp.Or(was.RunAsGroup, pod.RunAsGroup)
	add(is(now.RunAsGroup, 0) && !is(group, 0), "group 0 (root)")
	add(confined(spec, was) && !confined(spec, now), "no seccomp profile")
	add(armor(now) == corev1.AppArmorProfileTypeUnconfined && armor(was) != armor(now), "no AppArmor profile")
	add(!equality.Semantic.DeepEqual(was.SELinuxOptions, now.SELinuxOptions), "other SELinux options")
	add(is(now.ProcMount, corev1.UnmaskedProcMount) && !is(was.ProcMount, corev1.UnmaskedProcMount),
		"an unmasked /proc")
	add(is(was.ReadOnlyRootFilesystem, true) && !is(now.ReadOnlyRootFilesystem, true),
		"a root filesystem that is not read-only")
	add(!equality.Semantic.DeepEqual(was.WindowsOptions, now.WindowsOptions), "other Windows options")
	return relaxed
}

// confined reports whether a seccomp profile restricts a container, by its own context or the pod's.
func confined(spec corev1.PodSpec, context *corev1.SecurityContext) bool {
	pod := cmp.Or(spec.SecurityContext, &corev1.PodSecurityContext{})
	seccomp := cmp.Or(context.SeccompProfile, pod.SeccompProfile)
	return !is(context.Privileged, true) && seccomp != nil &&
		seccomp.Type != corev1.SeccompProfileTypeUnconfined
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
			add(true, "capabilities "+joined(security.Capabilities.Add)+" of container "+container.Name)
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
