// Package profile gives an ephemeral container the security of a profile of kubectl debug.
package profile

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// Profile is what a debug container is allowed to do.
type Profile string

// These are the profiles: https://kubernetes.io/docs/tasks/debug/debug-application/debug-running-pod/
const (
	Auto       Profile = "" // what the container beside it is allowed
	General    Profile = "general"
	Baseline   Profile = "baseline"
	Restricted Profile = "restricted"
	Netadmin   Profile = "netadmin"
	Sysadmin   Profile = "sysadmin"
)

// SecurityContext returns the security context that kubectl debug gives an ephemeral container with this
// profile, which must not be Auto. It is written down here, and compared with kubectl's in a test, because
// its package brings most of kubectl with it: that would take 30 ms of each start.
func (p Profile) SecurityContext() (*corev1.SecurityContext, error) {
	switch p {
	case General:
		return adding("SYS_PTRACE"), nil
	case Baseline:
		return nil, nil
	case Restricted:
		return &corev1.SecurityContext{
			RunAsNonRoot: new(true), AllowPrivilegeEscalation: new(false),
			Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		}, nil
	case Netadmin:
		return adding("NET_ADMIN", "NET_RAW"), nil
	case Sysadmin:
		return &corev1.SecurityContext{Privileged: new(true)}, nil
	}
	return nil, fmt.Errorf("unknown profile %q", string(p))
}

func adding(capabilities ...corev1.Capability) *corev1.SecurityContext {
	return &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: capabilities}}
}
