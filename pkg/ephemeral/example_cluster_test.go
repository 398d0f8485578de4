package ephemeral_test

import (
	"errors"
	"net/http"
	"net/http/httptest"

	gorilla "github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
)

// cluster is what the examples talk to. Its namespace shop has two pods, of which api has an ephemeral
// container that has ended.
type cluster struct {
	Client   kubernetes.Interface
	ReadOnly kubernetes.Interface // of a user who is not allowed to change anything
	Config   *rest.Config
	Close    func()
}

func newCluster() *cluster {
	api := pod("api", "backend", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2,
		Reason: "Error"}}, "probe")
	client, readOnly := fake.NewClientset(pod("web", "frontend", corev1.ContainerState{}), api),
		fake.NewClientset(pod("web", "frontend", corev1.ContainerState{}))
	client.PrependWatchReactor("pods", func(clienttesting.Action) (bool, watch.Interface, error) {
		started := watch.NewFakeWithChanSize(1, false)
		started.Modify(pod("web", "frontend",
			corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, "debugger"))
		return true, started, nil
	})
	readOnly.PrependReactor("patch", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(corev1.Resource("pods"), "web", errors.New(
			`User "reader" cannot patch resource "pods/ephemeralcontainers" in API group "" in the namespace "shop"`))
	})
	server := httptest.NewServer(http.HandlerFunc(list))
	return &cluster{client, readOnly, &rest.Config{Host: server.URL}, server.Close}
}

// pod has a container that runs, and ephemeral containers in a state.
func pod(name, tier string, state corev1.ContainerState, containers ...string) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", ResourceVersion: "1",
			Labels: map[string]string{"tier": tier}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app"}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{
			{Name: "app", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}},
	}
	for _, name := range containers {
		p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name, Image: "busybox"},
			TargetContainerName:      "app"})
		p.Status.EphemeralContainerStatuses = append(p.Status.EphemeralContainerStatuses,
			corev1.ContainerStatus{Name: name, State: state})
	}
	return p
}

// list is what each container runs.
func list(w http.ResponseWriter, r *http.Request) {
	upgrader := gorilla.Upgrader{Subprotocols: []string{"v5.channel.k8s.io"}}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	send := func(channel byte, text string) {
		_ = conn.WriteMessage(gorilla.BinaryMessage, append([]byte{channel}, text...))
	}
	if r.URL.Query()["command"][1] == "/nope" {
		send(2, "ls: /nope: No such file or directory\n")
		send(3, `{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"1"}]}}`)
		return
	}
	send(1, "bin etc usr")
	send(3, `{"status":"Success"}`)
}
