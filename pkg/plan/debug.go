package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// Debug plans an ephemeral container beside the workload's chosen container. It runs in that container's
// process namespace with its environment, mounts, user and group, and with its image unless another is
// requested. Debug refuses if the kubelet could not start the ephemeral container.
func Debug(t *workload.Workload, o Options) (*Plan, error) {
	if err := debuggable(t); err != nil {
		return nil, err
	}
	via, notes, err := chooseVia(t, o, ModeDebug)
	if err != nil {
		return nil, err
	}
	notes = append(notes, o.lacking(t, ModeDebug)...)
	w := watchdog(t, o, ModeDebug)
	source := containers.Spec(t.Pod, t.Container).DeepCopy()
	passed := o.passed(via, *source)
	a := agent.New(o.agent(via, w, passed))
	if via == agent.ViaAttach && !w.Relay {
		notes = append(notes,
			Note{Warning, "after kill -9 of eshell the command can run on for " + o.TTL.String() +
				" at most (--ttl)",
				"you are not allowed to create pods/exec in namespace " + t.Namespace +
					", which eshell needs to send heartbeats"})
	}
	container, more := lookalike(t.Pod, *source, o, passed)
	more = append(more, o.full(t, container)...)
	container.Name = owned.ContainerName(o.Session)
	container.Command, container.Args = a.Process, nil
	container.Stdin, container.StdinOnce, container.TTY = a.Stdin, a.StdinOnce, a.ContainerTTY
	container.Env = slices.DeleteFunc(container.Env, isScripts)
	if a.Scripts != "" {
		container.Env = append(container.Env,
			corev1.EnvVar{Name: agent.ScriptsVariable, Value: agent.Escape([]string{a.Scripts})[0]})
	}
	headline := fmt.Sprintf("pod/%s: debug container %s beside container %s, in namespace %s", t.Pod.Name,
		container.Name, t.Container, t.Namespace)
	if t.Ready > 0 {
		headline += fmt.Sprintf(" (the newest of %d ready pods of %s)", t.Ready, t)
	}
	return &Plan{
		Mode:     ModeDebug,
		Headline: headline,
		Notes: slices.Concat(notes, more, []Note{processNote(t.Pod, source.Name)},
			o.unleased("the session is on no record")), Namespace: t.Namespace, PodName: t.Pod.Name,
		Container: container.Name,
		PodUID:    t.Pod.UID,
		Ephemeral: &corev1.EphemeralContainer{EphemeralContainerCommon: container,
			TargetContainerName: source.Name},
		Agent: a, Record: Record(ModeDebug, t, o),
	}, nil
}

// debuggable returns an error with the reason if the kubelet would refuse or never start an ephemeral
// container.
func debuggable(t *workload.Workload) error {
	pod := t.Pod
	clone := hint.Command("clone it instead: kubectl eshell %s -n %s", "pod/"+pod.Name, pod.Namespace)
	if pod.Annotations[corev1.MirrorPodAnnotationKey] != "" {
		return hint.Wrap(fmt.Errorf(
			"pod/%s is a static pod of its node: Kubernetes does not add ephemeral containers to it",
			pod.Name), clone)
	}
	if pod.DeletionTimestamp != nil {
		return fmt.Errorf("pod/%s is being deleted", pod.Name)
	}
	if pod.Status.Phase != corev1.PodRunning {
		return hint.Wrap(fmt.Errorf("pod/%s is %s: debug mode needs a running pod", pod.Name,
			pod.Status.Phase), clone)
	}
	if status := containers.Status(pod, t.Container); status != nil && status.State.Running == nil {
		return hint.Wrap(fmt.Errorf("container %s in pod/%s is not running%s: there is no process to join",
			t.Container, pod.Name, stateReason(status.State)), clone)
	}
	return nil
}

func stateReason(state corev1.ContainerState) string {
	switch {
	case state.Waiting != nil && state.Waiting.Reason != "":
		return " (" + state.Waiting.Reason + ")"
	case state.Terminated != nil && state.Terminated.Reason != "":
		return " (" + state.Terminated.Reason + ")"
	}
	return ""
}

// lookalike copies from the source what an ephemeral container is allowed to have. It leaves out ports,
// probes, hooks, resources and subPath mounts.
// https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/
func lookalike(pod *corev1.Pod, source corev1.Container, o Options,
	passed []agent.Variable) (corev1.EphemeralContainerCommon, []Note) {
	var notes []Note
	common := corev1.EphemeralContainerCommon{
		Image: source.Image, WorkingDir: source.WorkingDir,
		ImagePullPolicy: corev1.PullIfNotPresent, // the image is on the node, because the source runs it
		EnvFrom:         source.EnvFrom, VolumeDevices: source.VolumeDevices,
		SecurityContext: sameUser(pod, source),
	}
	if o.Image != "" {
		common.Image, common.ImagePullPolicy, common.WorkingDir = o.Image, "", ""
	}
	common.ImagePullPolicy = cmp.Or(o.Pull, common.ImagePullPolicy)
	for _, mount := range source.VolumeMounts {
		if mount.SubPath != "" || mount.SubPathExpr != "" {
			notes = append(notes,
				Note{LeftOut, "mount " + mount.MountPath,
					"ephemeral containers cannot mount a subPath; the files are under /proc/1/root" +
						mount.MountPath})
			continue
		}
		common.VolumeMounts = append(common.VolumeMounts, mount)
	}
	env, unset := mergeEnv(source.Env, o.Env, passed)
	common.Env = ofContainer(env, source.Name)
	for _, name := range unset {
		notes = append(notes, unsetNote(name))
	}
	var stay []string
	for _, change := range o.Env {
		switch {
		case passes(passed, change.Name):
			notes = append(notes,
				Note{Detail, "variable " + change.Name + " is set for the command", passedReason})
		case !change.Remove:
			stay = append(stay, change.Name)
		}
	}
	if len(stay) > 0 {
		notes = append(notes, Note{Warning,
			"the value of " + strings.Join(stay, ", ") + " stays in the pod's spec",
			"an ephemeral container's entry stays for as long as the pod lives; " +
				"pass a secret by stdin instead"})
	}
	if !o.CPU.IsZero() || !o.Memory.IsZero() {
		notes = append(notes,
			Note{Warning, "--cpu and --memory are ignored",
				"an ephemeral container has no resources of its own; it uses the pod's"})
	}
	return common, notes
}

// ofContainer adds the source's name to variables that show resources. Without a name, they would refer to
// the ephemeral container, which has no resources.
func ofContainer(env []corev1.EnvVar, name string) []corev1.EnvVar {
	for i := range env {
		from := env[i].ValueFrom
		if from != nil && from.ResourceFieldRef != nil && from.ResourceFieldRef.ContainerName == "" {
			env[i].ValueFrom = from.DeepCopy()
			env[i].ValueFrom.ResourceFieldRef.ContainerName = name
		}
	}
	return env
}

// sameUser returns the source's security context. If the pod's spec leaves the user or group to the image,
// sameUser sets the one that the node reports (KEP-3619, Kubernetes 1.31), so that another image's does not
// apply.
func sameUser(pod *corev1.Pod, source corev1.Container) *corev1.SecurityContext {
	context := cmp.Or(source.SecurityContext.DeepCopy(), &corev1.SecurityContext{})
	status := containers.Status(pod, source.Name)
	if status == nil || status.User == nil || status.User.Linux == nil {
		return context
	}
	said := effective(pod.Spec, source)
	if said.RunAsUser == nil {
		context.RunAsUser = new(status.User.Linux.UID)
	}
	if said.RunAsGroup == nil {
		context.RunAsGroup = new(status.User.Linux.GID)
	}
	return context
}

// processNote returns a note on where the workload's files are. The workload's first process is PID 1 only if
// the container has a process namespace of its own.
func processNote(pod *corev1.Pod, container string) Note {
	if pod.Spec.HostPID || pod.Spec.ShareProcessNamespace != nil && *pod.Spec.ShareProcessNamespace {
		return Note{Changed, "its files are under /proc/PID/root",
			"take the PID of one of container " + container + "'s processes from ps"}
	}
	return Note{Changed, "its files are under /proc/1/root", "PID 1 is container " + container + "'s"}
}
