package workload

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// askPods makes the second round trip. It gets the claims and lists the pods of the workload and of the other
// workloads that mount the same claims, all at once. For example, a backup's job mounts its application's
// claims.
func (s *search) askPods(ctx context.Context, t *Workload, w workload, claimants []workload) error {
	names := claimNames(w, s.Ordinal)
	if len(names) == 0 && !s.Running {
		return nil
	}
	claims := make([]Claim, len(names))
	var asked sync.WaitGroup
	for i, name := range names {
		asked.Go(func() { claims[i] = s.getClaim(ctx, name) })
	}
	others := sharing(names, w, claimants)
	found, errs := make([][]corev1.Pod, len(others)), make([]error, len(others))
	for i, other := range others {
		asked.Go(func() { found[i], errs[i] = s.podsOf(ctx, other) })
	}
	pods, err := s.podsOf(ctx, w)
	asked.Wait()
	for i := range claims {
		claims[i].Users = usersOf(claims[i].Name, slices.Concat(append(found, pods)...))
		claims[i].UsersErr = cmp.Or(append(errs, err)...)
	}
	t.Claims = claims
	if !s.Running {
		return nil
	}
	if err != nil {
		return err
	}
	t.Running, err = s.running(w, pods)
	return err
}

// claimNames returns the names of the claims of the template's volumes and, with an ordinal, of those that a
// StatefulSet's controller makes for its pod:
// https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-storage
func claimNames(w workload, ordinal *int) []string {
	names := podClaims(w.template.Spec)
	if ordinal == nil || w.kind != "StatefulSet" {
		return names
	}
	for _, template := range w.claimTemplates {
		name := fmt.Sprintf("%s-%s-%d", template.Name, w.meta.Name, *ordinal)
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// podClaims returns the names of the claims of a pod's volumes, each once.
func podClaims(spec corev1.PodSpec) []string {
	var names []string
	for _, volume := range spec.Volumes {
		if claim := volume.PersistentVolumeClaim; claim != nil && !slices.Contains(names, claim.ClaimName) {
			names = append(names, claim.ClaimName)
		}
	}
	return names
}

// sharing returns the workloads, other than w, whose pods might mount one of the claims.
func sharing(names []string, w workload, claimants []workload) []workload {
	return slices.DeleteFunc(slices.Clone(claimants), func(c workload) bool {
		mounts := func(name string) bool {
			ofTemplate := func(t corev1.PersistentVolumeClaim) bool {
				return strings.HasPrefix(name, t.Name+"-"+c.meta.Name+"-")
			}
			return slices.Contains(podClaims(c.template.Spec), name) ||
				slices.ContainsFunc(c.claimTemplates, ofTemplate)
		}
		isSource := c.kind == w.kind && c.meta.Name == w.meta.Name
		return c.selector == nil || isSource || !slices.ContainsFunc(names, mounts)
	})
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
		user := User{Pod: pod.Name, Node: pod.Spec.NodeName}
		if !ended && slices.Contains(podClaims(pod.Spec), claim) && !slices.Contains(users, user) {
			users = append(users, user)
		}
	}
	return users
}
