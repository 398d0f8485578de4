package plan

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// someone is the user that fills the toolbox if the pod must not run as root and names no user.
const someone = 65532

// setCommand replaces the original's process with the session's.
func (c *clone) setCommand(a agent.Agent) error {
	main := c.main()
	c.note(Detail, "the original's command does not run", "the session's takes its place")
	main.Command, main.Args = a.Process, a.Args
	main.Stdin, main.StdinOnce, main.TTY = a.Stdin, a.StdinOnce, a.ContainerTTY
	c.addScripts(a)
	switch {
	case c.options.Detach && a.Via == agent.ViaAttach:
		c.note(Changed, "its output goes into the container's log", hint.Command(
			"kubectl logs %s -c %s -n %s", owned.PodName(c.workload.Name, c.options.Session),
			c.workload.Container, c.workload.Namespace))
	case c.options.Detach:
		c.note(Detail, "the pod itself runs no command", "shells are opened in it by kubectl eshell attach")
	case c.options.Preview && a.Via == agent.ViaExec:
		c.note(Detail, "the pod itself runs no command",
			"eshell runs it there; nobody else does")
	}
	// The source may itself be a clone with a toolbox in its spec.
	c.spec.InitContainers = slices.DeleteFunc(c.spec.InitContainers,
		func(init corev1.Container) bool { return init.Name == owned.ToolboxName })
	c.dropVolume(owned.ToolboxName)
	if c.options.Toolbox != "" {
		c.addToolbox()
	}
	return nil
}

// addScripts gives scripts to the chosen container in a variable that shows an annotation of the pod, because
// kubectl describe shortens an annotation, but not a variable. It has all of the scripts: a shell that
// somebody else opens in the session needs more of them.
func (c *clone) addScripts(a agent.Agent) {
	main := c.main()
	// The source may itself be a clone.
	main.Env = slices.DeleteFunc(main.Env, isScripts)
	if a.Scripts == "" {
		return
	}
	c.annotations[owned.ScriptsAnnotation] = agent.AllScripts()
	path := fmt.Sprintf("metadata.annotations['%s']", owned.ScriptsAnnotation)
	main.Env = append(main.Env, corev1.EnvVar{Name: agent.ScriptsVariable, ValueFrom: &corev1.EnvVarSource{
		FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}})
}

func isScripts(v corev1.EnvVar) bool { return v.Name == agent.ScriptsVariable }

// addToolbox adds a shell to an image without one. An init container copies a static busybox into a volume of
// the pod. It runs under the chosen container's own security context.
func (c *clone) addToolbox() {
	main := c.main()
	mount := corev1.VolumeMount{Name: owned.ToolboxName, MountPath: agent.Toolbox}
	fill := corev1.Container{
		Name: owned.ToolboxName, Image: c.options.Toolbox, Command: agent.FillToolbox(),
		SecurityContext: main.SecurityContext.DeepCopy(), Resources: plainResources(main.Resources),
		VolumeMounts: []corev1.VolumeMount{mount},
	}
	if said := effective(c.spec, *main); *said.RunAsNonRoot && said.RunAsUser == nil {
		fill.SecurityContext = cmp.Or(fill.SecurityContext, &corev1.SecurityContext{})
		fill.SecurityContext.RunAsUser = new(int64(someone))
	}
	mount.ReadOnly = true
	main.VolumeMounts = append(main.VolumeMounts, mount)
	c.spec.InitContainers = slices.Insert(c.spec.InitContainers, 0, fill)
	c.spec.Volumes = append(c.spec.Volumes,
		corev1.Volume{Name: owned.ToolboxName,
			VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	reason := "--toolbox"
	if said := effective(c.spec, fill); said.RunAsUser == nil {
		reason += "; the init container that copies them runs as the user of that image"
	}
	c.note(Changed, "programs of "+c.options.Toolbox+" are in "+agent.Toolbox, reason)
}

// plainResources returns the requests and limits without devices.
func plainResources(resources corev1.ResourceRequirements) corev1.ResourceRequirements {
	plain := func(list corev1.ResourceList) corev1.ResourceList {
		kept := corev1.ResourceList{}
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory,
			corev1.ResourceEphemeralStorage} {
			if quantity, has := list[name]; has {
				kept[name] = quantity
			}
		}
		return kept
	}
	return corev1.ResourceRequirements{Requests: plain(resources.Requests), Limits: plain(resources.Limits)}
}

// identify gives the session the rights of the application, or the requested ones. It never weakens a
// securityContext.
func (c *clone) identify() error {
	identity := c.options.Identity
	if identity.ServiceAccount != "" {
		c.spec.ServiceAccountName = identity.ServiceAccount
		c.note(Changed, "service account "+identity.ServiceAccount, "--service-account")
	} else if name := c.spec.ServiceAccountName; name != "" && name != "default" && !identity.NoToken {
		c.note(Kept, "service account "+name, "the shell has its rights")
	}
	c.spec.DeprecatedServiceAccount = "" // the server fills it in from serviceAccountName
	for _, name := range identity.PullSecrets {
		secret := corev1.LocalObjectReference{Name: name}
		if !slices.Contains(c.spec.ImagePullSecrets, secret) {
			c.spec.ImagePullSecrets = append(c.spec.ImagePullSecrets, secret)
			c.note(Detail, "image pull secret "+name, "--image-pull-secret")
		}
	}
	if identity.NoToken {
		c.withoutTokens()
	}
	return c.asUser()
}

// withoutTokens removes every service account token, both the one that is mounted automatically and projected
// ones.
func (c *clone) withoutTokens() {
	c.spec.AutomountServiceAccountToken = new(false)
	for i := range c.spec.Volumes {
		if projected := c.spec.Volumes[i].Projected; projected != nil {
			projected.Sources = slices.DeleteFunc(projected.Sources,
				func(s corev1.VolumeProjection) bool { return s.ServiceAccountToken != nil })
		}
	}
	c.note(LeftOut, "the service account's token", "--no-token; one that is in a mounted Secret stays")
}

func (c *clone) asUser() error {
	identity, main := c.options.Identity, c.main()
	if identity.UID == nil {
		return nil
	}
	if *identity.UID == 0 && *effective(c.spec, *main).RunAsNonRoot {
		return fmt.Errorf("--as-user 0: container %s must not run as root (runAsNonRoot)", main.Name)
	}
	main.SecurityContext = cmp.Or(main.SecurityContext, &corev1.SecurityContext{})
	main.SecurityContext.RunAsUser = identity.UID
	user := fmt.Sprintf("user %d", *identity.UID)
	if identity.GID != nil {
		main.SecurityContext.RunAsGroup = identity.GID
		user += fmt.Sprintf(", group %d", *identity.GID)
	}
	c.note(Changed, user, "--as-user")
	return nil
}

// effective returns what the spec says about a container's user. The container's settings override the pod's.
// If neither names a user or group, the image determines it.
func effective(spec corev1.PodSpec, container corev1.Container) corev1.SecurityContext {
	own := cmp.Or(container.SecurityContext, &corev1.SecurityContext{})
	pod := cmp.Or(spec.SecurityContext, &corev1.PodSecurityContext{})
	return corev1.SecurityContext{
		RunAsUser:    cmp.Or(own.RunAsUser, pod.RunAsUser),
		RunAsGroup:   cmp.Or(own.RunAsGroup, pod.RunAsGroup),
		RunAsNonRoot: cmp.Or(own.RunAsNonRoot, pod.RunAsNonRoot, new(false)),
	}
}
