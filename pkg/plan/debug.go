package plan

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// debug is an ephemeral container that is being planned.
type debug struct {
	workload  *workload.Workload
	options   Options
	via       agent.Via
	source    corev1.Container // the container beside which it runs
	passed    []agent.Variable // to the command, over its stream
	container corev1.EphemeralContainerCommon
	notes     []Note
}

func (d *debug) note(kind NoteKind, what, reason string) {
	d.notes = append(d.notes, Note{kind, what, reason})
}

// Debug plans an ephemeral container beside the workload's chosen container. By default it has that
// container's environment, mounts and security, and its image. It sees the container's processes if that
// runs: the kubelet cannot join a container that does not. If a debug container of the same user that is
// like it runs already, the plan is to join that one. Debug refuses if the kubelet could not start the
// ephemeral container.
func Debug(t *workload.Workload, o Options) (*Plan, error) {
	d := &debug{workload: t, options: o}
	if err := d.possible(); err != nil {
		return nil, err
	}
	d.source = *containers.Spec(t.Pod, t.Container).DeepCopy()
	if err := d.checkProcess(); err != nil {
		return nil, err
	}
	var err error
	if d.via, d.notes, err = chooseVia(t, o, ModeDebug); err != nil {
		return nil, err
	}
	d.notes = append(d.notes, o.lacking(t, ModeDebug)...)
	d.passed = o.passed(d.via, d.source)
	for _, step := range []func() error{
		d.chooseImage, d.inheritVolumes, d.inheritEnv, d.secure, d.customize, d.limitPropagation,
		d.compareRights,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if alike := d.findAlike(); alike != "" {
		return d.join(alike), nil
	}
	return d.plan(), nil
}

// plan returns the plan of an ephemeral container that looks as it should, with the session's process in it.
func (d *debug) plan() *Plan {
	t, o := d.workload, d.options
	d.notes = append(d.notes, o.full(t, d.container)...)
	a := d.agent()
	c := d.container
	c.Name = owned.ContainerName(o.Session)
	c.Command, c.Args = a.Process, nil
	c.Stdin, c.StdinOnce, c.TTY = a.Stdin, a.StdinOnce, a.ContainerTTY
	if o.Reason != "" {
		c.Env = append(c.Env, corev1.EnvVar{Name: reasonVariable, Value: agent.Escape([]string{o.Reason})[0]})
	}
	c.Env = append(c.Env, corev1.EnvVar{Name: ttlVariable, Value: owned.Seconds(o.TTL) + "s"})
	if d.isJoinable() {
		c.Env = append(c.Env, corev1.EnvVar{Name: agent.JoinVariable, Value: "yes"})
	}
	if a.Scripts != "" {
		c.Env = append(c.Env,
			corev1.EnvVar{Name: agent.ScriptsVariable, Value: agent.Escape([]string{a.Scripts})[0]})
	}
	headline := fmt.Sprintf("pod/%s: debug container %s beside container %s, in namespace %s", t.Pod.Name,
		c.Name, t.Container, t.Namespace)
	if t.Selected != "" {
		headline += fmt.Sprintf(" (%s of %s)", t.Selected, t)
	}
	d.noteEntries()
	return &Plan{
		Mode:     ModeDebug,
		Headline: headline,
		Notes: slices.Concat(d.notes, []Note{processNote(t.Pod, d.source.Name)},
			o.unleased("the session is on no record")), Namespace: t.Namespace, PodName: t.Pod.Name,
		Container: c.Name,
		PodUID:    t.Pod.UID,
		Ephemeral: &corev1.EphemeralContainer{EphemeralContainerCommon: c,
			TargetContainerName: target(t.Pod, d.source.Name)},
		Agent: a, Record: Record(ModeDebug, t, o),
	}
}

// agent returns what runs in the container. It warns where nothing ends that in time.
func (d *debug) agent() agent.Agent {
	t, o := d.workload, d.options
	w := watchdog(t, o, ModeDebug)
	if d.via == agent.ViaAttach && !w.Relay {
		d.note(Warning,
			"after kill -9 of eshell the command can run on for "+o.TTL.String()+" at most (--ttl)",
			"you are not allowed to create pods/exec in namespace "+t.Namespace+
				", which eshell needs to send heartbeats")
	}
	options := o.agent(d.via, w, d.passed)
	options.Target = d.agentTarget()
	return agent.New(options)
}

// manyEntries is how many ephemeral containers a pod has before a note tells so.
const manyEntries = 5

// noteEntries notes how many ephemeral containers the pod has already, if those are many.
func (d *debug) noteEntries() {
	pod := d.workload.Pod
	if n := len(pod.Spec.EphemeralContainers); n > manyEntries {
		d.note(Changed, fmt.Sprintf("pod/%s has %d ephemeral containers already", pod.Name, n),
			"their entries stay in its spec until it is deleted")
	}
}

// possible returns an error with the reason if the kubelet would refuse or never start an ephemeral
// container.
func (d *debug) possible() error {
	pod := d.workload.Pod
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

// checkProcess refuses what needs a process of the source, if that does not run.
func (d *debug) checkProcess() error {
	name, wants := d.source.Name, ""
	switch {
	case target(d.workload.Pod, name) != "":
		return nil
	case d.options.Debug.Chroot:
		wants = "--chroot"
	case d.options.Debug.EnvFromProcess:
		wants = "--env-from-process"
	default:
		return nil
	}
	return hint.Wrap(fmt.Errorf("%s needs a process of container %s, which does not run: %s", wants, name,
		lastState(containers.Status(d.workload.Pod, name))), "leave out "+wants)
}

// isRuntimeID matches what a runtime calls a container. It is a word for a shell in the container.
var isRuntimeID = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// agentTarget returns what the shells in the ephemeral container learn of the container beside them.
func (d *debug) agentTarget() *agent.Target {
	o := d.options
	t := &agent.Target{Chroot: o.Debug.Chroot, Env: o.Debug.EnvFromProcess,
		OwnProcesses: !sharesProcesses(d.workload.Pod.Spec)}
	for _, change := range o.Env {
		t.Keep = append(t.Keep, change.Name)
	}
	if o.Debug.Custom != nil {
		for _, v := range o.Debug.Custom.Env {
			t.Keep = append(t.Keep, v.Name)
		}
	}
	if target(d.workload.Pod, d.source.Name) == "" {
		return t
	}
	_, id, _ := strings.Cut(containers.Status(d.workload.Pod, d.source.Name).ContainerID, "://")
	if isRuntimeID.MatchString(id) {
		t.ID = id
	}
	return t
}

// sharesProcesses reports whether the containers of a pod see the processes of others.
func sharesProcesses(pod corev1.PodSpec) bool {
	return pod.HostPID || is(pod.ShareProcessNamespace, true)
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
	if sharesProcesses(pod.Spec) {
		return Note{Changed, "its files are under $TARGET_ROOT",
			"/proc/PID/root of container " + container + "'s first process, by its cgroup"}
	}
	return Note{Changed, "its files are under $TARGET_ROOT (/proc/1/root)",
		"PID 1 is container " + container + "'s"}
}
