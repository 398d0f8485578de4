package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/profile"
)

// The steps in this file make an ephemeral container look like the container beside which it runs. It never
// has ports, probes, hooks, resources and subPath mounts, because Kubernetes does not allow it to:
// https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/

// chooseImage sets the image.
func (d *debug) chooseImage() error {
	o, c := d.options, &d.container
	c.Image = d.source.Image
	c.ImagePullPolicy = corev1.PullIfNotPresent // the image is on the node, because the source runs it
	switch missing := d.missingImage(); {
	case o.Image != "":
		c.Image, c.ImagePullPolicy = o.Image, ""
	case missing != "" && o.Debug.DefaultImage != "":
		c.Image, c.ImagePullPolicy = o.Debug.DefaultImage, ""
		d.note(Changed, "image "+c.Image, "--debug-image; that of container "+d.source.Name+
			" is not on the node: "+missing)
	case missing != "":
		return hint.Wrap(fmt.Errorf("the image of container %s is not on the node: %s", d.source.Name,
			missing), "use another one: --image IMAGE")
	}
	c.ImagePullPolicy = cmp.Or(o.Pull, c.ImagePullPolicy)
	if !o.CPU.IsZero() || !o.Memory.IsZero() {
		d.note(Warning, "--cpu and --memory are ignored",
			"an ephemeral container has no resources of its own; it uses the pod's")
	}
	return nil
}

// missingImage returns why the source's image is known not to be on the node, or "".
func (d *debug) missingImage() string {
	status := containers.Status(d.workload.Pod, d.source.Name)
	if status == nil || status.State.Waiting == nil || !slices.Contains([]string{"ErrImagePull",
		"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}, status.State.Waiting.Reason) {
		return ""
	}
	return status.State.Waiting.Reason
}

// inheritVolumes copies the mounts that an ephemeral container is allowed to have.
func (d *debug) inheritVolumes() error {
	if d.options.Debug.Without.Volumes {
		if len(d.source.VolumeMounts)+len(d.source.VolumeDevices) > 0 {
			d.note(LeftOut, "the volumes of container "+d.source.Name, "--inherit")
		}
		return nil
	}
	d.container.VolumeDevices = d.source.VolumeDevices
	for _, mount := range d.source.VolumeMounts {
		if mount.SubPath == "" && mount.SubPathExpr == "" {
			d.container.VolumeMounts = append(d.container.VolumeMounts, mount)
			continue
		}
		files := "ephemeral containers cannot mount a subPath"
		if target(d.workload.Pod, d.source.Name) != "" {
			files += "; the files are under $TARGET_ROOT" + mount.MountPath
		}
		d.note(LeftOut, "mount "+mount.MountPath, files)
	}
	return nil
}

// inheritEnv copies the environment and the working directory, and applies the user's changes.
func (d *debug) inheritEnv() error {
	o, c := d.options, &d.container
	var env []corev1.EnvVar
	if o.Debug.Without.Env {
		d.note(LeftOut, "the environment of container "+d.source.Name, "--inherit")
	} else {
		env = slices.DeleteFunc(slices.Clone(d.source.Env), isOurs)
		c.EnvFrom, c.WorkingDir = d.source.EnvFrom, d.source.WorkingDir
	}
	env, unset := mergeEnv(env, o.Env, d.passed)
	c.Env = ofContainer(env, d.source.Name)
	for _, name := range unset {
		d.notes = append(d.notes, unsetNote(name))
	}
	var stay []string
	for _, change := range o.Env {
		switch {
		case passes(d.passed, change.Name):
			d.note(Detail, "variable "+change.Name+" is set for the command", passedReason)
		case !change.Remove:
			stay = append(stay, change.Name)
		}
	}
	if len(stay) > 0 {
		d.note(Warning, "the value of "+strings.Join(stay, ", ")+" stays in the pod's spec",
			"an ephemeral container's entry stays for as long as the pod lives; "+
				"pass a secret by stdin instead")
	}
	if o.Debug.EnvFromProcess {
		d.note(Changed, "it has the environment of the process",
			"read in the container, and not through the API")
	}
	for _, v := range []agent.Variable{
		{Name: agent.TargetVariable, Value: d.agentTarget().String()},
		{Name: UserVariable, Value: d.workload.Access.User},
	} {
		if v.Value != "" {
			c.Env = append(c.Env, corev1.EnvVar{Name: v.Name, Value: agent.Escape([]string{v.Value})[0]})
		}
	}
	return nil
}

// The terms of a debug session are variables of its ephemeral container: the call that adds it cannot change
// the pod's annotations. Admission policies judge by them. An eshell that runs in the container takes the
// last two for its own defaults.
const (
	// UserVariable holds the name of the user who has added the container.
	UserVariable   = "ESHELL_USER"
	reasonVariable = "ESHELL_REASON"
	ttlVariable    = "ESHELL_TTL" // a duration: "28800s"
)

// isOurs reports whether a variable is a session's own.
func isOurs(v corev1.EnvVar) bool {
	return slices.Contains([]string{agent.ScriptsVariable, agent.TargetVariable, agent.JoinVariable,
		UserVariable, reasonVariable, ttlVariable}, v.Name)
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

// secure gives the container the source's security, or that of the requested profile.
func (d *debug) secure() (err error) {
	switch p := d.options.Debug.Profile; {
	case p != profile.Auto:
		d.container.SecurityContext, err = p.SecurityContext()
		d.note(Detail, "its security is that of profile "+string(p), "--profile")
	case d.options.Debug.Without.Security:
		d.note(LeftOut, "the security context of container "+d.source.Name, "--inherit")
	default:
		d.container.SecurityContext = d.sameUser()
	}
	return err
}

// sameUser returns the source's security context. If the pod's spec leaves the user or group to the image,
// sameUser sets the one that the node reports (KEP-3619, by default since Kubernetes 1.33), so that another
// image's does not apply.
func (d *debug) sameUser() *corev1.SecurityContext {
	context := cmp.Or(d.source.SecurityContext.DeepCopy(), &corev1.SecurityContext{})
	user := d.linuxUser()
	if user == nil {
		return context
	}
	said := effective(d.workload.Pod.Spec, d.source)
	if said.RunAsUser == nil {
		context.RunAsUser = new(user.UID)
	}
	if said.RunAsGroup == nil {
		context.RunAsGroup = new(user.GID)
	}
	return context
}

// linuxUser returns the user of the source as the node reports it, or nil.
func (d *debug) linuxUser() *corev1.LinuxContainerUser {
	status := containers.Status(d.workload.Pod, d.source.Name)
	if status == nil || status.User == nil {
		return nil
	}
	return status.User.Linux
}

// limitPropagation keeps mounts from the node that only a privileged container is allowed to share with it.
func (d *debug) limitPropagation() error {
	security := d.container.SecurityContext
	if security != nil && is(security.Privileged, true) {
		return nil
	}
	d.container.VolumeMounts = slices.Clone(d.container.VolumeMounts)
	for i := range d.container.VolumeMounts {
		mount := &d.container.VolumeMounts[i]
		if is(mount.MountPropagation, corev1.MountPropagationBidirectional) {
			mount.MountPropagation = new(corev1.MountPropagationHostToContainer)
			d.note(Changed, "mounts in "+mount.MountPath+" do not reach the node",
				"only a privileged container is allowed to share them")
		}
	}
	return nil
}

// customize merges the user's partial container into this one, as kubectl debug does.
func (d *debug) customize() error {
	custom := d.options.Debug.Custom
	if custom == nil {
		return nil
	}
	before, err := json.Marshal(d.container)
	if err != nil {
		return err
	}
	patch, err := json.Marshal(custom)
	if err != nil {
		return err
	}
	after, err := strategicpatch.StrategicMergePatch(before, patch, corev1.Container{})
	if err != nil {
		return fmt.Errorf("--custom: %w", err)
	}
	d.container = corev1.EphemeralContainerCommon{}
	d.note(Detail, "it is customized", "--custom")
	return json.Unmarshal(after, &d.container)
}
