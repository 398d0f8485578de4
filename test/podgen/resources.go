package podgen

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// device is a resource that only a device plugin provides.
const device = corev1.ResourceName("example.com/gpu")

const hugePages = corev1.ResourceHugePagesPrefix + "2Mi"

// resources are at most what podResources grants to each of a pod's containers.
func (g *generator) resources() corev1.ResourceRequirements {
	r := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	g.amount(&r, corev1.ResourceCPU, "100m", "2")
	g.amount(&r, corev1.ResourceMemory, "64Mi", "1Gi")
	g.amount(&r, corev1.ResourceEphemeralStorage, "1Gi", "2Gi")
	_, cpu := r.Requests[corev1.ResourceCPU]
	// Huge pages need a request of cpu or memory beside them.
	for _, name := range subset(g, 0.1, device, hugePages) {
		if name == device || cpu {
			count := resource.MustParse(pick(g, "2", "4"))
			if name == hugePages {
				count = resource.MustParse("4Mi")
			}
			r.Requests[name], r.Limits[name] = count, count
		}
	}
	for _, name := range subset(g, 0.5, g.claims...) {
		r.Claims = append(r.Claims, corev1.ResourceClaim{Name: name, Request: pick(g, "", "gpu")})
	}
	return r
}

func (g *generator) amount(r *corev1.ResourceRequirements, name corev1.ResourceName, request, limit string) {
	if g.maybe(0.5) {
		r.Requests[name] = resource.MustParse(request)
	}
	if g.maybe(0.4) {
		r.Limits[name] = resource.MustParse(limit)
	}
}

// podResources are enough for all containers.
func (g *generator) podResources() *corev1.ResourceRequirements {
	r := &corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	g.amount(r, corev1.ResourceCPU, "32", "64")
	g.amount(r, corev1.ResourceMemory, "64Gi", "128Gi")
	return r
}

// resizePolicy of a container that is never restarted cannot restart it.
func (g *generator) resizePolicy(restarts bool) []corev1.ContainerResizePolicy {
	var made []corev1.ContainerResizePolicy
	for _, name := range subset(g, 0.3, corev1.ResourceCPU, corev1.ResourceMemory) {
		policy := corev1.NotRequired
		if restarts && g.restart != corev1.RestartPolicyNever {
			policy = pick(g, corev1.NotRequired, corev1.RestartContainer)
		}
		made = append(made, corev1.ContainerResizePolicy{ResourceName: name, RestartPolicy: policy})
	}
	return made
}

func (g *generator) resourceClaims() []corev1.PodResourceClaim {
	var made []corev1.PodResourceClaim
	for _, name := range g.claims {
		claim := corev1.PodResourceClaim{Name: name}
		if g.maybe(0.5) {
			claim.ResourceClaimName = new("device-" + name)
		} else {
			claim.ResourceClaimTemplateName = new("devices")
		}
		made = append(made, claim)
	}
	return made
}
