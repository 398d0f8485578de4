package ephemeral

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Validate returns everything about the container for which the server would refuse to add it to the pod:
// fields that an ephemeral container is not allowed to have, a name in use, an unknown target. The paths are
// those of the patch that Add sends. A pod without containers is one of which no more than the metadata is
// known; what depends on its spec is then left to the server. So are the values of allowed fields.
// https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/#what-is-an-ephemeral-container
func Validate(pod *corev1.Pod, container corev1.EphemeralContainer) field.ErrorList {
	return validate(pod, container, listPath().Index(0))
}

func listPath() *field.Path { return field.NewPath("spec", "ephemeralContainers") }

func validate(pod *corev1.Pod, container corev1.EphemeralContainer, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	name, target := container.Name, container.TargetContainerName
	if name == "" {
		errs = append(errs, field.Required(path.Child("name"), ""))
	} else {
		for _, why := range validation.IsDNS1123Label(name) {
			errs = append(errs, field.Invalid(path.Child("name"), name, why))
		}
	}
	if regular := regularNames(pod); len(regular) > 0 {
		if slices.Contains(regular, name) || isEphemeral(pod, name) {
			errs = append(errs, field.Duplicate(path.Child("name"), name))
		}
		if target != "" && !slices.Contains(regular, target) {
			errs = append(errs, field.NotFound(path.Child("targetContainerName"), target))
		}
	}
	return append(errs, forbidden(container, path)...)
}

// forbidden returns the fields that no ephemeral container is allowed to have.
func forbidden(container corev1.EphemeralContainer, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	forbid := func(path *field.Path, isSet bool) {
		if isSet {
			errs = append(errs, field.Forbidden(path, "cannot be set for an Ephemeral Container"))
		}
	}
	c := container.EphemeralContainerCommon
	forbid(path.Child("ports"), len(c.Ports) > 0)
	forbid(path.Child("resources"), c.Resources.Limits != nil || c.Resources.Requests != nil ||
		c.Resources.Claims != nil)
	forbid(path.Child("resizePolicy"), len(c.ResizePolicy) > 0)
	forbid(path.Child("restartPolicy"), c.RestartPolicy != nil)
	forbid(path.Child("restartPolicyRules"), len(c.RestartPolicyRules) > 0)
	forbid(path.Child("livenessProbe"), c.LivenessProbe != nil)
	forbid(path.Child("readinessProbe"), c.ReadinessProbe != nil)
	forbid(path.Child("startupProbe"), c.StartupProbe != nil)
	forbid(path.Child("lifecycle"), c.Lifecycle != nil)
	for i, mount := range c.VolumeMounts {
		forbid(path.Child("volumeMounts").Index(i).Child("subPath"), mount.SubPath != "")
		forbid(path.Child("volumeMounts").Index(i).Child("subPathExpr"), mount.SubPathExpr != "")
	}
	return errs
}

// regularNames returns the names of the pod's other containers.
func regularNames(pod *corev1.Pod) []string {
	var names []string
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		names = append(names, c.Name)
	}
	return names
}

func isEphemeral(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.EphemeralContainers,
		func(c corev1.EphemeralContainer) bool { return c.Name == name })
}

// addable returns why the container cannot be added to the pod, as far as the pod is known.
func addable(pod *corev1.Pod, container corev1.EphemeralContainer) error {
	if errs := Validate(pod, container); len(errs) > 0 {
		return &InvalidError{pod.Name, errs}
	}
	return startable(pod, container)
}

// replaceable returns why the pod's ephemeral containers cannot become these. Only the new ones are checked.
func replaceable(pod *corev1.Pod, list []corev1.EphemeralContainer) error {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, c := range list {
		path := listPath().Index(i)
		if seen[c.Name] {
			errs = append(errs, field.Duplicate(path.Child("name"), c.Name))
		} else if !isEphemeral(pod, c.Name) {
			errs = append(errs, validate(pod, c, path)...)
		}
		seen[c.Name] = true
	}
	if len(errs) > 0 {
		return &InvalidError{pod.Name, errs}
	}
	for _, c := range list {
		if isEphemeral(pod, c.Name) {
			continue
		}
		if err := startable(pod, c); err != nil {
			return err
		}
	}
	return nil
}

// patchable returns the forbidden fields in a patch that has containers in it, as every kind but a JSON
// patch does.
func patchable(pod string, kind types.PatchType, patch []byte) error {
	if kind == types.JSONPatchType {
		return nil
	}
	var changed corev1.Pod
	if err := yaml.Unmarshal(patch, &changed); err != nil {
		return fmt.Errorf("read the patch: %w", err)
	}
	var errs field.ErrorList
	for i, c := range changed.Spec.EphemeralContainers {
		errs = append(errs, forbidden(c, listPath().Index(i))...)
	}
	if len(errs) > 0 {
		return &InvalidError{pod, errs}
	}
	return nil
}

// startable returns why the kubelet would never start the container, as far as the pod is known.
func startable(pod *corev1.Pod, container corev1.EphemeralContainer) error {
	if pod.Annotations[corev1.MirrorPodAnnotationKey] != "" {
		return ErrMirrorPod
	}
	switch pod.Status.Phase {
	case "": // the status is not known
		return nil
	case corev1.PodSucceeded, corev1.PodFailed:
		return fmt.Errorf("the pod has ended (%s): it is %w", pod.Status.Phase, ErrNotRunning)
	}
	target := container.TargetContainerName
	if target == "" {
		return nil
	}
	for _, status := range slices.Concat(pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses) {
		if status.Name == target && status.State.Running != nil {
			return nil
		}
	}
	return fmt.Errorf("container %s, the target, is %w", target, ErrNotRunning)
}
