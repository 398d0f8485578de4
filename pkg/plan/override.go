package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// override applies the user's changes to the chosen container.
func (c *clone) override() error {
	main := c.main()
	if c.options.Image != "" {
		main.Image, main.ImagePullPolicy = c.options.Image, ""
		c.note(Changed, "image "+main.Image, "--image")
		if effective(c.spec, *main).RunAsUser == nil && c.options.Identity.UID == nil {
			c.note(Changed, "it runs as the user of that image",
				"the spec names none, so the original runs as its own image's; --as-user UID sets it")
		}
	}
	if c.options.Pull != "" {
		main.ImagePullPolicy = c.options.Pull
		c.note(Detail, "pull policy "+string(c.options.Pull), "--pull")
	}
	if c.workload.Indexed && !passes(c.passed, "JOB_COMPLETION_INDEX") && !slices.ContainsFunc(main.Env,
		func(e corev1.EnvVar) bool { return e.Name == "JOB_COMPLETION_INDEX" }) {
		c.note(Warning, "JOB_COMPLETION_INDEX is not set",
			"each pod of "+c.workload.String()+" is given its own; set one with -e JOB_COMPLETION_INDEX=0")
	}
	c.resize(corev1.ResourceCPU, c.options.CPU)
	c.resize(corev1.ResourceMemory, c.options.Memory)
	c.keepDevices()
	return c.pin()
}

// changeEnv applies the user's changes to the environment. It notes only names, because a value may be a
// secret.
func (c *clone) changeEnv() error {
	main := c.main()
	c.source = *main.DeepCopy()
	env, unset := mergeEnv(main.Env, c.options.Env, c.passed)
	main.Env = env
	for _, change := range c.options.Env {
		switch {
		case slices.Contains(unset, change.Name):
		case passes(c.passed, change.Name):
			c.note(Detail, "variable "+change.Name+" is set for the command", passedReason)
		case change.Remove:
			c.note(Detail, "variable "+change.Name+" is removed", "--env")
		default:
			c.note(Changed, "the value of "+change.Name+" is in the pod's spec",
				c.options.whyInSpec(change.Name, c.via, c.source))
		}
	}
	for _, name := range unset {
		c.notes = append(c.notes, unsetNote(name))
	}
	return nil
}

// pin uses the images that run, by their digests, because a tag may have moved since.
func (c *clone) pin() error {
	if !c.options.Pin {
		return nil
	}
	for _, container := range c.containers() {
		image, known := c.workload.Running[container.Name]
		switch {
		case known:
			container.Image = image
			c.note(Changed, "image "+image, "container "+container.Name+" runs it")
		case container.Name == c.workload.Container:
			return hint.Wrap(fmt.Errorf("--pin: the image that container %s runs has no digest in a registry",
				container.Name),
				hint.Command("leave out --pin for the image of the template: %s", container.Image))
		default:
			c.note(Warning, "image "+container.Image+" of container "+container.Name+" is not pinned",
				"the one that runs has no digest in a registry")
		}
	}
	return nil
}

const passedReason = "--env, over the command's stream: no spec, log or URL has the value"

// passed returns the variables of the changes that are passed to the command over its stream.
func (o Options) passed(via agent.Via, source corev1.Container) []agent.Variable {
	var passed []agent.Variable
	for i, change := range o.Env {
		changedLater := slices.ContainsFunc(o.Env[i+1:],
			func(later EnvChange) bool { return later.Name == change.Name })
		if !change.Remove && !changedLater && o.whyInSpec(change.Name, via, source) == "" {
			passed = append(passed, agent.Variable{Name: change.Name, Value: change.Value})
		}
	}
	return passed
}

// whyInSpec returns why a variable has to be in the spec, or "": a command that does not run by exec reads no
// such stream, a shell cannot set every name, and what refers to a variable by $(NAME) needs it there.
func (o Options) whyInSpec(name string, via agent.Via, source corev1.Container) string {
	refers := "$(" + name + ")"
	switch {
	case o.Detach:
		return "a detached session has no stream over which it could come"
	case via != agent.ViaExec:
		return "a command that runs by attach has no stream over which it could come"
	case !agent.PassesEnv(name):
		return "a shell cannot set it, or uses it itself"
	case slices.ContainsFunc(source.Env,
		func(e corev1.EnvVar) bool { return strings.Contains(e.Value, refers) }),
		slices.ContainsFunc(source.VolumeMounts,
			func(m corev1.VolumeMount) bool { return strings.Contains(m.SubPathExpr, refers) }):
		return "another variable or a mount refers to it"
	}
	return ""
}

func passes(passed []agent.Variable, name string) bool {
	return slices.ContainsFunc(passed, func(v agent.Variable) bool { return v.Name == name })
}

// mergeEnv applies the changes in order. A variable that was already set keeps its position, because others
// may refer to it by $(NAME). One that is passed to the command is left out. unset lists the names that
// should have been removed but were not set.
func mergeEnv(env []corev1.EnvVar, changes []EnvChange, passed []agent.Variable) (merged []corev1.EnvVar,
	unset []string) {
	merged = slices.Clone(env)
	for _, change := range changes {
		named := func(e corev1.EnvVar) bool { return e.Name == change.Name }
		at := slices.IndexFunc(merged, named)
		value := corev1.EnvVar{Name: change.Name, Value: agent.Escape([]string{change.Value})[0]}
		switch {
		case passes(passed, change.Name):
			merged = slices.DeleteFunc(merged, named)
		case change.Remove && at < 0:
			unset = append(unset, change.Name)
		case change.Remove:
			merged = slices.DeleteFunc(merged, named)
		case at < 0:
			merged = append(merged, value)
		default:
			merged[at] = value
		}
	}
	return merged, unset
}

// unsetNote returns a note that a removal did nothing. Only the kubelet knows the names of the variables from
// envFrom, so they cannot be removed.
func unsetNote(name string) Note {
	return Note{Warning, name + "- removes nothing",
		"env does not name " + name + "; what envFrom brings cannot be removed, only set"}
}

// patched applies the user's own patch last, in the same ways as kubectl run --overrides. It then checks once
// more what makes the session work and keeps it isolated.
func (c *clone) patched(pod *corev1.Pod) (*corev1.Pod, error) {
	overrides := c.options.Overrides
	if overrides.Patch == "" {
		return pod, nil
	}
	object, err := applyPatch(pod, overrides)
	switch {
	case runtime.IsStrictDecodingError(err):
		return nil, fmt.Errorf("--overrides: %w", err) // the error only names fields
	case err != nil: // the error may repeat a secret from the patch
		return nil, fmt.Errorf(
			"--overrides: the patch does not fit a pod: " +
				"it names what is not there, has a value of another type, " +
				"or (strategic) an element of a list without its key")
	}
	result, isPod := object.(*corev1.Pod)
	if !isPod {
		return nil, errors.New("--overrides: the result is not a pod")
	}
	c.note(Changed, "the finished pod", "--overrides")
	return result, c.judgePatched(pod, result)
}

// applyPatch works like kubectl's Overrider, whose package takes long to load, but its decoder refuses
// unknown fields.
func applyPatch(pod *corev1.Pod, overrides Overrides) (runtime.Object, error) {
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	info, _ := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), runtime.ContentTypeJSON)
	codec := codecs.CodecForVersions(info.Serializer, info.StrictSerializer, corev1.SchemeGroupVersion,
		corev1.SchemeGroupVersion)
	before, err := runtime.Encode(codec, pod)
	if err != nil {
		return nil, err
	}
	after, err := patchJSON(before, overrides)
	if err != nil {
		return nil, err
	}
	return runtime.Decode(codec, after)
}

func patchJSON(pod []byte, overrides Overrides) ([]byte, error) {
	switch overrides.Type {
	case "json":
		patch, err := jsonpatch.DecodePatch([]byte(overrides.Patch))
		if err != nil {
			return nil, err
		}
		return patch.Apply(pod)
	case "strategic":
		return strategicpatch.StrategicMergePatch(pod, []byte(overrides.Patch), &corev1.Pod{})
	}
	return jsonpatch.MergePatch(pod, []byte(overrides.Patch))
}

// judgePatched refuses a patch that would break the session, leave the pod behind, or let something select
// the pod again.
func (c *clone) judgePatched(before, after *corev1.Pod) error {
	grace := after.Spec.TerminationGracePeriodSeconds
	switch {
	case after.Name != before.Name || after.Namespace != before.Namespace || after.GenerateName != "":
		return errors.New("--overrides: metadata.name and metadata.namespace cannot be overridden")
	case !equality.Semantic.DeepEqual(after.OwnerReferences, before.OwnerReferences) ||
		len(after.Finalizers) > 0:
		return errors.New("--overrides: a clone has no owner but its lease and no finalizers: " +
			"it could not be deleted with the session")
	case after.Spec.RestartPolicy != before.Spec.RestartPolicy ||
		!equality.Semantic.DeepEqual(after.Spec.ActiveDeadlineSeconds, before.Spec.ActiveDeadlineSeconds):
		return errors.New("--overrides: restartPolicy Never and activeDeadlineSeconds end the session")
	case grace == nil || *grace < 1:
		return errors.New("--overrides: terminationGracePeriodSeconds is at least 1: " +
			"0 frees the name and the volumes before the processes are gone")
	case !slices.ContainsFunc(after.Spec.ReadinessGates,
		func(g corev1.PodReadinessGate) bool { return g.ConditionType == owned.NeverReady }):
		return errors.New("--overrides: readiness gate " + owned.NeverReady +
			" keeps the clone out of Services; add others beside it with --override-type strategic or json")
	case !sameProcess(containerNamed(before.Spec.Containers, c.workload.Container),
		containerNamed(after.Spec.Containers, c.workload.Container)):
		return hint.Wrap(fmt.Errorf(
			"--overrides: container %s must stay, with its command and stdin and never restarted: "+
				"they are the session",
			c.workload.Container), "lists are replaced as a whole by a merge; "+
			"--override-type strategic merges containers by name")
	}
	for key := range owned.Labels(c.options.Session) {
		if after.Labels[key] != before.Labels[key] {
			return fmt.Errorf("--overrides: label %s is reserved: eshell finds its clones by it", key)
		}
	}
	if err := isolation.Recheck(before.Labels, after.Labels, c.workload.NamespaceState,
		c.options.Labels.Keep); err != nil {
		return fmt.Errorf("--overrides: %w", err)
	}
	return nil
}

func sameProcess(a, b *corev1.Container) bool {
	return b != nil && equality.Semantic.DeepEqual(a.Command, b.Command) &&
		equality.Semantic.DeepEqual(a.Args, b.Args) &&
		b.RestartPolicy == nil && a.Stdin == b.Stdin && a.StdinOnce == b.StdinOnce && a.TTY == b.TTY
}
