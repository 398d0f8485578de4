package target

import (
	"context"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// askPods is the second round trip. It gets the claims and lists the workload's pods at once.
func (s *search) askPods(ctx context.Context, t *Target, w workload) error {
	names := claimNames(w, s.Ordinal)
	if len(names) == 0 && !s.Running {
		return nil
	}
	claims := make([]Claim, len(names))
	var asked sync.WaitGroup
	for i, name := range names {
		asked.Go(func() { claims[i] = s.getClaim(ctx, name) })
	}
	pods, err := s.podsOf(ctx, w)
	asked.Wait()
	for i := range claims {
		claims[i].Users, claims[i].UsersErr = usersOf(claims[i].Name, pods), err
	}
	if len(claims) > 0 {
		t.Claims = claims
	}
	if !s.Running {
		return nil
	}
	if err != nil {
		return err
	}
	t.Running, err = s.running(w, pods)
	return err
}

// claimNames are those of the template's volumes and, with an ordinal, those that a StatefulSet's
// controller makes for its pod: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-storage
func claimNames(w workload, ordinal *int) []string {
	names := podClaims(w.template.Spec)
	if ordinal == nil || w.kind != "StatefulSet" {
		return names
	}
	for _, template := range w.claimTemplates {
		if name := fmt.Sprintf("%s-%s-%d", template.Name, w.meta.Name, *ordinal); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// podClaims are the names of the claims of a pod's volumes, each once.
func podClaims(spec corev1.PodSpec) []string {
	var names []string
	for _, volume := range spec.Volumes {
		if claim := volume.PersistentVolumeClaim; claim != nil && !slices.Contains(names, claim.ClaimName) {
			names = append(names, claim.ClaimName)
		}
	}
	return names
}

func (s *search) getClaim(ctx context.Context, name string) Claim {
	claim, err := s.Client.CoreV1().PersistentVolumeClaims(s.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return Claim{Name: name, Err: err}
	}
	return Claim{Name: name, Spec: &claim.Spec}
}

func usersOf(claim string, pods []corev1.Pod) []User {
	var users []User
	for _, pod := range pods {
		ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		if !ended && slices.Contains(podClaims(pod.Spec), claim) {
			users = append(users, User{Pod: pod.Name, Node: pod.Spec.NodeName})
		}
	}
	return users
}
