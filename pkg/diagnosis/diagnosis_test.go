package diagnosis

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// pending is a clone's pod that has been scheduled; a test states its deviations.
func pending(change ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		Spec: corev1.PodSpec{NodeName: "node1",
			Containers: []corev1.Container{{Name: "app", Image: "api:1", Stdin: true}}},
		Status: corev1.PodStatus{Phase: corev1.PodPending, StartTime: &metav1.Time{},
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
				{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue},
			}},
	}
	pod.Name, pod.Namespace = "api-eshell-x7k2p", "shop"
	for _, c := range change {
		c(pod)
	}
	return pod
}

func withCondition(kind corev1.PodConditionType, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		c := condition(pod, kind)
		c.Status, c.Message = corev1.ConditionFalse, message
	}
}

func withWaiting(reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", Image: "api:1",
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason,
				Message: message}}}}
	}
}

// withInit adds the init containers first and second in these states.
func withInit(states ...corev1.ContainerState) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		for i, state := range states {
			name := []string{"first", "second"}[i]
			pod.Spec.InitContainers = append(pod.Spec.InitContainers,
				corev1.Container{Name: name, Image: "init:1"})
			pod.Status.InitContainerStatuses = append(pod.Status.InitContainerStatuses,
				corev1.ContainerStatus{Name: name, Image: "init:1", State: state})
		}
		withWaiting("PodInitializing", "")(pod)
	}
}

// asSidecar turns the first init container into a sidecar.
func asSidecar(started bool, last corev1.ContainerState) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.InitContainers[0].RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		pod.Status.InitContainerStatuses[0].Started,
			pod.Status.InitContainerStatuses[0].LastTerminationState = &started, last
	}
}

// asEphemeral makes app the ephemeral container of a debug session.
func asEphemeral(pod *corev1.Pod) {
	common := corev1.EphemeralContainerCommon(pod.Spec.Containers[0])
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: common}}
	pod.Spec.Containers[0].Name = "other"
	pod.Status.EphemeralContainerStatuses, pod.Status.ContainerStatuses = pod.Status.ContainerStatuses, nil
}

func withLimits(init, app string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		limit := func(c *corev1.Container, memory string) {
			c.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memory)}
		}
		if init != "" {
			limit(&pod.Spec.InitContainers[0], init)
		}
		limit(&pod.Spec.Containers[0], app)
	}
}

func withEnv(env ...corev1.EnvVar) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Spec.Containers[0].Env = env }
}

func fromSecret(name, secret string) corev1.EnvVar {
	ref := &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: ref}}
}

func withClaim(pod *corev1.Pod) {
	source := corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}
	pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: source}}
}

func withRequests(cpu, memory string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
}

// isDeleted marks a pod that is being deleted, and why if Kubernetes does it.
func isDeleted(reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.DeletionTimestamp = &metav1.Time{}
		if reason != "" {
			pod.Status.Conditions = append(pod.Status.Conditions,
				corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
					Reason: reason, Message: message})
		}
	}
}

func withEnd(reason, message string, status int32) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.Phase = corev1.PodFailed
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", Image: "api:1",
			State: terminatedBy(reason, message, status)}}
	}
}

func terminatedBy(reason, message string, status int32) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason,
		Message: message, ExitCode: status}}
}

const noShell = `failed to create containerd task: OCI runtime create failed: exec: "sh": executable file not found in $PATH`

const events = "see its events: kubectl get events -n shop --field-selector involvedObject.name=api-eshell-x7k2p"

func TestOf(t *testing.T) {
	running, none := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, corev1.ContainerState{}
	backOff := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff",
		Message: "back-off 10s"}}
	crashed, killed := terminatedBy("Error", "", 3), terminatedBy("OOMKilled", "", 137)
	unscheduled := func(words string) func(*corev1.Pod) { return withCondition(corev1.PodScheduled, words) }
	tests := []struct {
		name    string
		pod     *corev1.Pod
		waiting string
		err     string
		next    string
	}{
		{"not yet seen by the scheduler", pending(func(p *corev1.Pod) { p.Status.Conditions = nil }),
			"scheduling", "", ""},
		{"unschedulable", pending(unscheduled("0/3 nodes are available")),
			"scheduling: 0/3 nodes are available", "", ""},
		{"too little of both",
			pending(withRequests("2", "1Gi"), unscheduled("2 Insufficient cpu, 3 Insufficient memory")),
			"scheduling: 2 Insufficient cpu, 3 Insufficient memory", "",
			"ask for less: --cpu 100m --memory 128Mi"},
		{"too little of one", pending(withRequests("2", "1Gi"), unscheduled("1 Insufficient memory")),
			"scheduling: 1 Insufficient memory", "", "ask for less: --memory 128Mi"},
		{"too little for little", pending(withRequests("50m", "1Mi"), unscheduled("1 Insufficient cpu")),
			"scheduling: 1 Insufficient cpu", "", ""},
		{"device", pending(unscheduled("1 Insufficient nvidia.com/gpu")),
			"scheduling: 1 Insufficient nvidia.com/gpu", "", "leave out the devices: --no-devices"},
		{"taint", pending(unscheduled("1 node(s) had untolerated taint(s)")),
			"scheduling: 1 node(s) had untolerated taint(s)", "",
			"see the nodes' taints: kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints"},
		{"node labels", pending(
			unscheduled("1 node(s) had untolerated taint(s), 2 node(s) didn't match Pod's node affinity/selector")),
			"scheduling: 1 node(s) had untolerated taint(s), 2 node(s) didn't match Pod's node affinity/selector", "", "see the nodes' labels: kubectl get nodes --show-labels"},
		{"claim not bound", pending(withClaim,
			unscheduled("pod has unbound immediate PersistentVolumeClaims")),
			"scheduling: pod has unbound immediate PersistentVolumeClaims", "",
			"see what it waits for: kubectl describe persistentvolumeclaim data -n shop"},
		{"claim not made yet",
			pending(unscheduled(
				`waiting for ephemeral volume controller to create the persistentvolumeclaim "x"`)),
			`scheduling: waiting for ephemeral volume controller to create the persistentvolumeclaim "x"`, "",
			""},
		{"no claim", pending(unscheduled(`persistentvolumeclaim "x" not found`)), "",
			`scheduling: persistentvolumeclaim "x" not found`,
			"list the claims: kubectl get persistentvolumeclaims -n shop"},
		{"no kubelet", pending(func(p *corev1.Pod) { p.Status.StartTime = nil }),
			"node node1 to take the pod", "", "see its node: kubectl describe node node1"},
		{"sandbox", pending(withCondition(corev1.PodReadyToStartContainers, "")),
			"volumes and network on node node1", "", events},
		{"pulling", pending(withWaiting("ContainerCreating", "")), "image api:1 to be pulled and started", "",
			""},
		{"pull failed", pending(withWaiting("ErrImagePull", "dial tcp: refused")),
			"image api:1 could not be pulled yet: dial tcp: refused", "", ""},
		{"pull backs off", pending(withWaiting("ImagePullBackOff",
			`Back-off pulling image "api:1": ErrImagePull: dial tcp: refused`)),
			"image api:1 could not be pulled yet: dial tcp: refused", "", ""},
		{"pull will fail", pending(withWaiting("ImagePullBackOff",
			`Back-off pulling image "api:1": ErrImagePull: api:1: not found`)), "",
			`container app: image api:1: ImagePullBackOff: Back-off pulling image "api:1": ErrImagePull: api:1: not found`, "check the name, or use another image: --image IMAGE"},
		{"pull forbidden", pending(withWaiting("ErrImagePull", "401 Unauthorized")), "",
			"container app: image api:1: ErrImagePull: 401 Unauthorized",
			"use a pull secret for that registry: --image-pull-secret NAME"},
		{"pull forbidden, debug", pending(withWaiting("ErrImagePull", "401 Unauthorized"), asEphemeral), "",
			"container app: image api:1: ErrImagePull: 401 Unauthorized",
			"use an image that the pod can pull: --image IMAGE"},
		{"bad name", pending(withWaiting("InvalidImageName", "couldn't parse")), "",
			"container app: image api:1: InvalidImageName: couldn't parse",
			"check the name, or use another image: --image IMAGE"},
		{"no secret", pending(withEnv(fromSecret("A", "x"), fromSecret("B", "y"), fromSecret("C", "x")),
			withWaiting("CreateContainerConfigError", `secret "x" not found`)), "",
			`container app: CreateContainerConfigError: secret "x" not found`,
			"start without it: -e A- -e C-"},
		{"no config map", pending(withWaiting("CreateContainerConfigError", `configmap "x" not found`)), "",
			`container app: CreateContainerConfigError: configmap "x" not found`,
			"list what there is: kubectl get configmaps -n shop"},
		{"root", pending(withWaiting("CreateContainerConfigError",
			"container has runAsNonRoot and image will run as root")), "",
			"container app: CreateContainerConfigError: container has runAsNonRoot and image will run as root", "run it as another user: --as-user 1000"},
		{"root, debug", pending(withWaiting("CreateContainerConfigError",
			"container has runAsNonRoot and image will run as root"), asEphemeral), "",
			"container app: CreateContainerConfigError: container has runAsNonRoot and image will run as root", "use an image that runs as another user: --image IMAGE"},
		{"unknown trouble", pending(withWaiting("CreateContainerError", "no such device")), "",
			"container app: CreateContainerError: no such device", events},
		{"target ended", pending(withWaiting("CreateContainerError", "failed to generate spec opts: "+
			"invalid target container: container \"b7\" is not running - in state CONTAINER_EXITED"), asEphemeral), "",
			"container app: its target no longer runs: CreateContainerError: failed to generate spec opts: " +
				"invalid target container: container \"b7\" is not running - in state CONTAINER_EXITED", events},
		{"target ended later", pending(withWaiting("RunContainerError", "runc create failed: unable to create new "+
			"parent process: namespace path: lstat /proc/96433/ns/pid: no such file or directory"), asEphemeral), "",
			"container app: its target no longer runs: RunContainerError: runc create failed: unable to create new " +
				"parent process: namespace path: lstat /proc/96433/ns/pid: no such file or directory", events},
		{"slow cache", pending(withWaiting("CreateContainerConfigError",
			"failed to sync secret cache: timed out")),
			"container app: CreateContainerConfigError: failed to sync secret cache: timed out", "", ""},
		{"first init is pulled",
			pending(withInit(corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}})),
			"image init:1 to be pulled and started", "", ""},
		{"first init has no image",
			pending(withInit(corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"}})), "",
			"init container first: image init:1: ErrImagePull: not found", "start without it: --init none"},
		{"first init runs", pending(withInit(running, none)), "init container first (1 of 2)", "",
			"start without it: --init second"},
		{"second init runs", pending(withInit(terminatedBy("Completed", "", 0), running)),
			"init container second (2 of 2)", "", "start without it: --init first"},
		{"init failed", pending(withInit(terminatedBy("Error", "no peers", 9))), "",
			"init container first failed: Error, exit status 9: no peers", "start without it: --init none"},
		{"init out of memory", pending(withInit(killed), withLimits("100Mi", "1Gi")), "",
			"init container first failed: OOMKilled, exit status 137, memory limit 100Mi",
			`raise the limit: --override-type strategic --overrides '{"spec":{"initContainers":[{"name":"first","resources":{"limits":{"memory":"200Mi"}}}]}}'`},
		{"init out of the node's memory", pending(withInit(killed)), "",
			"init container first failed: OOMKilled, exit status 137",
			"see its node: kubectl describe node node1"},
		{"sidecar runs", pending(withInit(running, running), asSidecar(true, none)),
			"init container second (2 of 2)", "", "start without it: --init none"},
		{"sidecar starts", pending(withInit(running), asSidecar(false, none)), "sidecar first (1 of 1)", "",
			"start without it: leave out --with and --with-all"},
		{"sidecar has crashed", pending(withInit(crashed), asSidecar(false, none)),
			"sidecar first (1 of 1) to be restarted", "",
			"start without it: leave out --with and --with-all"},
		{"sidecar crashes again", pending(withInit(backOff), asSidecar(false, crashed)), "",
			"sidecar first failed: Error, exit status 3",
			"start without it: leave out --with and --with-all"},
		{"sidecar of a pod that runs",
			pending(withInit(backOff), asSidecar(false, crashed), withWaiting("", ""), asEphemeral),
			"image api:1 to be pulled and started", "", ""},
		{"evicted", pending(func(p *corev1.Pod) {
			p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "Evicted",
				"the node was low on memory"
		}), "", "pod/api-eshell-x7k2p failed: Evicted: the node was low on memory",
			"see its node: kubectl describe node node1"},
		{"evicted while first init ran",
			pending(withInit(terminatedBy("ContainerStatusUnknown", "could not be located", 137)),
				func(p *corev1.Pod) {
					p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "Evicted",
						"the node was low on memory"
				}), "", "pod/api-eshell-x7k2p failed: Evicted: the node was low on memory",
			"see its node: kubectl describe node node1"},
		{"collected with its node", pending(withInit(running), func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodFailed
			p.Status.Conditions = append(p.Status.Conditions,
				corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
					Reason: "DeletionByPodGC", Message: "node no longer exists"})
		}), "", "pod/api-eshell-x7k2p failed: DeletionByPodGC: node no longer exists",
			"see its node: kubectl describe node node1"},
		{"failed by its init",
			pending(withInit(terminatedBy("Error", "", 9)),
				func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), "",
			"init container first failed: Error, exit status 9", "start without it: --init none"},
		{"failed without a word", pending(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), "",
			"pod/api-eshell-x7k2p failed: its status does not say why",
			"see its node: kubectl describe node node1"},
		{"deleted", pending(isDeleted("", "")), "", "pod/api-eshell-x7k2p is being deleted by somebody else",
			events},
		{"node gone", pending(isDeleted("DeletionByTaintManager", "NoExecute taint")), "",
			"pod/api-eshell-x7k2p is being deleted: DeletionByTaintManager: NoExecute taint",
			"see its node: kubectl describe node node1"},
		{"no shell", pending(withEnd("StartError", noShell, 128)), "",
			"container app: the image has no shell (sh) in its PATH: api:1", ""},
		{"no shell, debug", pending(withWaiting("RunContainerError", noShell)), "",
			"container app: the image has no shell (sh) in its PATH: api:1", ""},
		{"no such program", pending(withEnd("StartError", `exec: "/x": stat /x: no such file or directory`,
			128)), "",
			`container app: exec: "/x": stat /x: no such file or directory`,
			"name a program that the image has: -- PROGRAM"},
		{"too little memory to start",
			pending(withLimits("", "1Mi"),
				withEnd("StartError", "container init was OOM-killed (memory limit too low?)", 128)), "",
			"container app: container init was OOM-killed (memory limit too low?)",
			"raise the limit: --memory 128Mi"},
		{"has run", pending(withEnd("Completed", "", 0)), "", "", ""},
		{"runs", pending(func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: running}}
		}), "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Of(tt.pod, "app")
			message, next := "", got.Next
			if got.Err != nil {
				message, next = got.Err.Error(), hint.Of(got.Err)
			}
			if got.Waiting != tt.waiting || message != tt.err || next != tt.next {
				t.Errorf("waiting %q, error %q, next %q; want %q, %q, %q", got.Waiting, message, next,
					tt.waiting, tt.err, tt.next)
			}
			if has := got.Terminated != nil; has != (tt.name == "has run") {
				t.Errorf("terminated: %t", has)
			}
		})
	}
}

func TestNoShell(t *testing.T) {
	for _, pod := range []*corev1.Pod{pending(withEnd("StartError", noShell, 128)),
		pending(withWaiting("RunContainerError", noShell))} {
		if err := Of(pod, "app").Err; !errors.Is(err, ErrNoShell) {
			t.Errorf("%v is not ErrNoShell", err)
		}
	}
}

// TestEndedEarly: a holder that ends before the session tells why, and what it said.
func TestEndedEarly(t *testing.T) {
	evicted := pending(withEnd("ContainerStatusUnknown", "could not be located", 137))
	evicted.Status.Reason, evicted.Status.Message = "Evicted", "the node was low on memory"
	tests := []struct {
		pod             *corev1.Pod
		err, next, logs string
	}{
		{pending(withLimits("", "100Mi"), withEnd("OOMKilled", "", 137)),
			"container app ended before the session began: OOMKilled, exit status 137, memory limit 100Mi",
			"raise the limit: --memory 200Mi", "app"},
		{pending(withEnd("Error", "", 1)),
			"container app ended before the session began: Error, exit status 1", events, "app"},
		{pending(withLimits("", "100Mi"), withEnd("OOMKilled", "", 137), asEphemeral),
			"container app ended before the session began: OOMKilled, exit status 137, memory limit 100Mi",
			"leave out --mode debug for a clone", "app"},
		{evicted, "pod/api-eshell-x7k2p failed: Evicted: the node was low on memory",
			"see its node: kubectl describe node node1", ""},
	}
	for _, tt := range tests {
		got := EndedEarly(tt.pod, "app", containers.Status(tt.pod, "app").State.Terminated)
		if got.Err.Error() != tt.err || hint.Of(got.Err) != tt.next || got.Logs != tt.logs {
			t.Errorf("%q, next %q, log of %q; want %q, %q, %q", got.Err, hint.Of(got.Err), got.Logs, tt.err,
				tt.next, tt.logs)
		}
	}
}

// TestDeleted: a pod that is gone at once may still have told why.
func TestDeleted(t *testing.T) {
	gone := errors.New("it was deleted by somebody else")
	preempted := pending(isDeleted("PreemptionByScheduler", "preempting"))
	for _, tt := range []struct {
		pod        *corev1.Pod
		says, next string
	}{
		{pending(), "it was deleted by somebody else", events},
		{preempted, "it was deleted by somebody else: PreemptionByScheduler: preempting",
			"see its node: kubectl describe node node1"},
	} {
		if err := Deleted(tt.pod, gone); err.Error() != tt.says || hint.Of(err) != tt.next || !errors.Is(err,
			gone) {
			t.Errorf("%q, hint %q; want %q, %q", err, hint.Of(err), tt.says, tt.next)
		}
	}
}
