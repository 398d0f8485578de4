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

// Debug plans an ephemeral container beside the workload's chosen container. It runs with that container's
// environment, mounts, user and group, and with its image unless another is requested. It sees the
// container's processes if that runs: the kubelet cannot join a container that does not. Debug refuses if the
// kubelet could not start the ephemeral container.
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
	if t.Selected != "" {
		headline += fmt.Sprintf(" (%s of %s)", t.Selected, t)
	}
	return &Plan{
		Mode:     ModeDebug,
		Headline: headline,
		Notes: slices.Concat(notes, more, []Note{processNote(t.Pod, source.Name)},
			o.unleased("the session is on no record")), Namespace: t.Namespace, PodName: t.Pod.Name,
		Container: container.Name,
		PodUID:    t.Pod.UID,
		Ephemeral: &corev1.EphemeralContainer{EphemeralContainerCommon: container,
			TargetContainerName: target(t.Pod, source.Name)},
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
	switch {
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
		return hint.Wrap(fmt.Errorf("pod/%s is %s: nothing can be started in it any more", pod.Name,
			pod.Status.Phase), clone)
	case pod.Status.Phase == corev1.PodPending && pod.Spec.NodeName == "":
		return hint.Wrap(fmt.Errorf("pod/%s is on no node yet: nothing can be started in it", pod.Name),
			clone)
	}
	return nil
}

// target returns the container whose processes the ephemeral container sees, or "" if it does not run: the
// kubelet does not start an ephemeral container whose target is not running.
func target(pod *corev1.Pod, container string) string {
	if status := containers.Status(pod, container); status != nil && status.State.Running != nil {
		return container
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
			files := "ephemeral containers cannot mount a subPath"
			if target(pod, source.Name) != "" {
				files += "; the files are under /proc/1/root" + mount.MountPath
			}
			notes = append(notes, Note{LeftOut, "mount " + mount.MountPath, files})
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

// lastState returns in words why a container does not run, and how it ended when it last ran.
func lastState(status *corev1.ContainerStatus) string {
	if status == nil {
		return "the kubelet has not reported it yet"
	}
	var words []string
	end := cmp.Or(status.State.Terminated, status.LastTerminationState.Terminated)
	if waiting := status.State.Waiting; waiting != nil && waiting.Reason != "" {
		words = append(words, waiting.Reason)
	}
	if end != nil {
		words = append(words, fmt.Sprintf("it ended with exit code %d (%s) at %s", end.ExitCode,
			cmp.Or(end.Reason, "no reason"), end.FinishedAt.UTC().Format("2006-01-02 15:04:05 MST")))
	}
	return cmp.Or(strings.Join(words, "; "), "it waits to be started")
}

// idleNote returns a note on a container that does not run: there is no process of it to see.
func idleNote(pod *corev1.Pod, container string) Note {
	status := containers.Status(pod, container)
	reason := lastState(status)
	if status != nil && (status.LastTerminationState.Terminated != nil || status.State.Terminated != nil) {
		previous := ""
		if status.State.Terminated == nil {
			previous = " --previous"
		}
		reason += hint.Command("; its last words: kubectl logs %s -c %s -n %s", pod.Name, container,
			pod.Namespace) + previous
	}
	return Note{Changed, "there is no process of container " + container + " to see", reason}
}

// processNote returns a note on where the workload's files are. The workload's first process is PID 1 only if
// the container has a process namespace of its own.
func processNote(pod *corev1.Pod, container string) Note {
	if target(pod, container) == "" {
		return idleNote(pod, container)
	}
	if pod.Spec.HostPID || pod.Spec.ShareProcessNamespace != nil && *pod.Spec.ShareProcessNamespace {
		return Note{Changed, "its files are under /proc/PID/root",
			"take the PID of one of container " + container + "'s processes from ps"}
	}
	return Note{Changed, "its files are under /proc/1/root", "PID 1 is container " + container + "'s"}
}
