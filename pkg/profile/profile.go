// Package profile gives an ephemeral container the security of a profile of kubectl debug.
package profile

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubectl/pkg/cmd/debug"
)

// Profile is what a debug container is allowed to do.
type Profile string

// These are the profiles: https://kubernetes.io/docs/tasks/debug/debug-application/debug-running-pod/
const (
	Auto       Profile = "" // what the container beside it is allowed
	General    Profile = debug.ProfileGeneral
	Baseline   Profile = debug.ProfileBaseline
	Restricted Profile = debug.ProfileRestricted
	Netadmin   Profile = debug.ProfileNetadmin
	Sysadmin   Profile = debug.ProfileSysadmin
)

// SecurityContext returns the security context that kubectl debug gives an ephemeral container with this
// profile, which must not be Auto.
func (p Profile) SecurityContext() (*corev1.SecurityContext, error) {
	const name = "debugger"
	applier, err := debug.NewProfileApplier(string(p), debug.KeepFlags{})
	if err != nil {
		return nil, err
	}
	pod := &corev1.Pod{Spec: corev1.PodSpec{EphemeralContainers: []corev1.EphemeralContainer{
		{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name}}}}}
	if err := applier.Apply(pod, name, pod); err != nil {
		return nil, err
	}
	return pod.Spec.EphemeralContainers[0].SecurityContext, nil
}
