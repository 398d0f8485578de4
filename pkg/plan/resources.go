package plan

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
)

// resize sets the request and limit of the chosen container, and of the pod if it has its own. A zero
// quantity changes neither.
// https://kubernetes.io/docs/tasks/configure-pod-container/assign-pod-level-resources/
func (c *clone) resize(name corev1.ResourceName, quantity resource.Quantity) {
	if quantity.IsZero() {
		return
	}
	setResource(&c.main().Resources, name, quantity, quantity)
	c.note(Detail, string(name)+" "+quantity.String(), "--"+string(name)+" sets request and limit")
	if c.spec.Resources == nil {
		return
	}
	request, limit := quantity.DeepCopy(), quantity.DeepCopy()
	for _, container := range c.beside() {
		least, most := bounds(container, name)
		request.Add(least)
		limit.Add(most)
	}
	for _, init := range c.spec.InitContainers { // they run one at a time, before the others
		if least, most := bounds(init, name); !containers.IsSidecar(init) {
			request, limit = larger(request, least), larger(limit, most)
		}
	}
	setResource(c.spec.Resources, name, request, larger(limit, request))
}

// bounds returns what a container requests and may use at most. A missing request defaults to the limit. A
// container without a limit counts with its request.
func bounds(container corev1.Container, name corev1.ResourceName) (request, limit resource.Quantity) {
	request, limit = container.Resources.Requests[name], container.Resources.Limits[name]
	if request.IsZero() {
		request = limit
	}
	return request, larger(limit, request)
}

func larger(a, b resource.Quantity) resource.Quantity {
	if a.Cmp(b) < 0 {
		return b
	}
	return a
}

// beside returns the containers that run at the same time as the chosen one.
func (c *clone) beside() []corev1.Container {
	var beside []corev1.Container
	for _, container := range c.spec.Containers {
		if container.Name != c.workload.Container {
			beside = append(beside, container)
		}
	}
	for _, init := range c.spec.InitContainers {
		if containers.IsSidecar(init) {
			beside = append(beside, init)
		}
	}
	return beside
}

func setResource(resources *corev1.ResourceRequirements, name corev1.ResourceName, request,
	limit resource.Quantity) {
	if resources.Requests == nil {
		resources.Requests = corev1.ResourceList{}
	}
	if resources.Limits == nil {
		resources.Limits = corev1.ResourceList{}
	}
	resources.Requests[name], resources.Limits[name] = request, limit
}

// keepDevices keeps the devices of the containers that run, because the image might not start without them.
// It notes them, because the clone waits for a device and holds it.
func (c *clone) keepDevices() {
	var devices []string
	claimed := map[string]bool{}
	for _, container := range c.containers() {
		for _, name := range slices.Sorted(maps.Keys(container.Resources.Limits)) {
			if isDevice(name) && !slices.Contains(devices, string(name)) {
				devices = append(devices, string(name))
			}
		}
		for _, claim := range container.Resources.Claims {
			claimed[claim.Name] = true
		}
	}
	c.spec.ResourceClaims = slices.DeleteFunc(c.spec.ResourceClaims,
		func(claim corev1.PodResourceClaim) bool { return !claimed[claim.Name] })
	for _, claim := range c.spec.ResourceClaims {
		devices = append(devices, "resource claim "+claim.Name)
	}
	switch {
	case len(devices) == 0:
	case c.options.Components.NoDevices:
		c.withoutDevices()
		c.note(LeftOut, plural("device", devices), "--no-devices")
	default:
		c.note(Kept, plural("device", devices),
			"the clone waits for it and holds it; --no-devices does without")
	}
}

// isDevice reports whether a resource is an extended resource, which has a domain in its name that is not
// Kubernetes' own.
// https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#extended-resources
func isDevice(name corev1.ResourceName) bool {
	domain, _, found := strings.Cut(string(name), "/")
	return found && domain != "kubernetes.io" && !strings.HasSuffix(domain, ".kubernetes.io")
}

func (c *clone) withoutDevices() {
	c.spec.ResourceClaims = nil
	for _, container := range c.containers() {
		container.Resources.Claims = nil
		for _, list := range []corev1.ResourceList{container.Resources.Limits, container.Resources.Requests} {
			maps.DeleteFunc(list,
				func(name corev1.ResourceName, _ resource.Quantity) bool { return isDevice(name) })
		}
	}
}
