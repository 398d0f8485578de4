package plan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// findAlike returns the name of a debug container that runs in the pod, was added by the same user, and is
// like this one. It returns "" if there is none, or if the session needs one of its own: the user wants a new
// one, a session without a client, a record of a reason, or a command that is the container's process or gets
// variables.
//
// A session with a client ends with that. So only a shell on a terminal, whose user sees why, joins one, and
// only that of another shell: a command might end at any time. The container's spec is compared, but not what
// runs in it and what is in its files: that is up to everybody who is allowed to add ephemeral containers to
// the pod, or to run commands in it.
func (d *debug) findAlike() string {
	o, access := d.options, d.workload.Access
	own := o.Debug.New || o.Detach || o.Reason != "" || d.via != agent.ViaExec || len(o.Env) > 0
	if own || access.User == "" || !access.ExecPods {
		return ""
	}
	pod := d.workload.Pod
	for _, c := range pod.Spec.EphemeralContainers {
		status := containers.Status(pod, c.Name)
		if status != nil && status.State.Running != nil && d.isLike(c) {
			return c.Name
		}
	}
	return ""
}

// isJoinable reports whether other shells can join the session that is planned.
func (d *debug) isJoinable() bool { return d.via == agent.ViaExec && len(d.options.Command) == 0 }

// isLike reports whether an ephemeral container is that of a session that can be joined, and like this one.
func (d *debug) isLike(other corev1.EphemeralContainer) bool {
	var scripts, joinable string
	env := slices.DeleteFunc(slices.Clone(other.Env), func(v corev1.EnvVar) bool {
		switch v.Name {
		case agent.ScriptsVariable:
			scripts = v.Value
		case agent.JoinVariable:
			joinable = v.Value
		case reasonVariable, ttlVariable: // each session has its own
		default:
			return false
		}
		return true
	})
	process := slices.Concat(other.Command, other.Args)
	shell := d.options.TTY && len(d.options.Command) == 0
	return strings.HasPrefix(other.Name, owned.ContainerName("")) && agent.IsOurs(process, scripts) &&
		joinable != "" && (shell || agent.IsIdler(process, scripts)) && d.isSame(other, env)
}

// isSame compares what matters to the user of an ephemeral container, of which env is the environment.
func (d *debug) isSame(other corev1.EphemeralContainer, env []corev1.EnvVar) bool {
	this := d.container
	return other.TargetContainerName == target(d.workload.Pod, d.source.Name) &&
		other.Image == this.Image && other.WorkingDir == this.WorkingDir &&
		equality.Semantic.DeepEqual([]any{env, other.EnvFrom, other.VolumeMounts, other.VolumeDevices,
			other.SecurityContext}, []any{this.Env, this.EnvFrom, this.VolumeMounts, this.VolumeDevices,
			this.SecurityContext})
}

// join returns the plan to run the command in a debug container that runs already.
func (d *debug) join(container string) *Plan {
	o, t := d.options, d.workload
	o.Session = strings.TrimPrefix(container, owned.ContainerName(""))
	o.InlineScripts = true // the container has those that it needs itself
	p := Join(Place{Mode: ModeDebug, Namespace: t.Namespace, Pod: t.Pod.Name, Container: container}, o)
	p.Headline = fmt.Sprintf(
		"pod/%s: one more shell in debug container %s beside container %s, in namespace %s",
		t.Pod.Name, container, t.Container, t.Namespace)
	p.Notes = append(d.notes, Note{Changed, "your debug container " + container + " is as this one would be",
		"the shell ends with that session at the latest; --new adds another container"})
	return p
}
