package ephemeral_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/ephemeral"
)

// debugger is the container that the examples add.
var debugger = corev1.EphemeralContainer{
	EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: "debugger", Image: "busybox", Command: []string{"sleep", "1h"},
	},
	TargetContainerName: "app", // whose processes it sees
}

// Add a container to a pod, wait until it runs, and run a command in it.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cluster := newCluster() // your cluster: a kubernetes.Interface and its *rest.Config
	defer cluster.Close()

	client := ephemeral.New(cluster.Client, "shop")
	pod, err := client.Get(ctx, "web")
	if err != nil {
		log.Fatal(err)
	}
	added, err := client.Add(ctx, pod.Pod, debugger)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Wait(ctx, added, "debugger", ephemeral.Running); err != nil {
		log.Fatal(err)
	}

	streams, err := ephemeral.NewStreams(cluster.Config, "shop")
	if err != nil {
		log.Fatal(err)
	}
	var out strings.Builder
	status, err := streams.Exec(ctx, "web", "debugger", []string{"ls", "/proc/1/root"},
		remotecommand.StreamOptions{Stdout: &out})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("exit status %d: %s\n", status, out.String())
	// Output: exit status 0: bin etc usr
}

func ExampleClient_Get() {
	cluster := newCluster()
	defer cluster.Close()
	client := ephemeral.New(cluster.Client, "shop")

	pod, err := client.Get(context.Background(), "api")
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range pod.Containers {
		fmt.Println(c.Name, c.Image, c.Target, c.State)
		if c.ExitCode != nil {
			fmt.Println("exit code", *c.ExitCode)
		}
	}
	// Output:
	// probe busybox app Terminated
	// exit code 2
}

func ExampleClient_List() {
	cluster := newCluster()
	defer cluster.Close()
	client := ephemeral.New(cluster.Client, "shop")

	pods, err := client.List(context.Background(), metav1.ListOptions{LabelSelector: "tier=backend"})
	if err != nil {
		log.Fatal(err)
	}
	for _, pod := range pods {
		fmt.Printf("pod/%s has %d ephemeral container\n", pod.Name, len(pod.Containers))
	}
	// Output: pod/api has 1 ephemeral container
}

// Have the server judge a container, and add nothing.
func ExampleClient_Add_dryRun() {
	cluster := newCluster()
	defer cluster.Close()
	client := ephemeral.New(cluster.Client, "shop")

	pod, err := client.Get(context.Background(), "web")
	if err != nil {
		log.Fatal(err)
	}
	tried, err := client.Add(context.Background(), pod.Pod, debugger, ephemeral.DryRun(),
		ephemeral.FieldValidation(metav1.FieldValidationStrict), ephemeral.Timeout(10*time.Second))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tried.Spec.EphemeralContainers[0].Name, "can be added")
	// Output: debugger can be added
}

// What is wrong with a container is known before the call, all of it at once.
func ExampleClient_Add_invalid() {
	cluster := newCluster()
	defer cluster.Close()
	client := ephemeral.New(cluster.Client, "shop")

	pod, err := client.Get(context.Background(), "web")
	if err != nil {
		log.Fatal(err)
	}
	wrong := *debugger.DeepCopy()
	wrong.TargetContainerName = "nginx"
	wrong.Ports = []corev1.ContainerPort{{ContainerPort: 8080}}
	_, err = client.Add(context.Background(), pod.Pod, wrong)
	var invalid *ephemeral.InvalidError
	if errors.As(err, &invalid) {
		for _, e := range invalid.Fields {
			fmt.Println(e)
		}
	}
	// Output:
	// spec.ephemeralContainers[0].targetContainerName: Not found: "nginx"
	// spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container
}

// Tell a missing permission from everything else.
func ExampleForbiddenError() {
	cluster := newCluster()
	defer cluster.Close()
	client := ephemeral.New(cluster.ReadOnly, "shop")

	pod, err := client.Get(context.Background(), "web")
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Add(context.Background(), pod.Pod, debugger)
	var lacking *ephemeral.ForbiddenError
	if errors.As(err, &lacking) {
		fmt.Printf("you need %q on %s\n", lacking.Verb, lacking.Resource)
	}
	// Output: you need "patch" on pods/ephemeralcontainers
}

// Add two containers in one request, or none. The function is called again if the pod has changed meanwhile.
func ExampleClient_Replace() {
	cluster := newCluster()
	defer cluster.Close()
	client := ephemeral.New(cluster.Client, "shop")

	second := *debugger.DeepCopy()
	second.Name = "tracer"
	pod, err := client.Replace(context.Background(), "web",
		func(pod *corev1.Pod) ([]corev1.EphemeralContainer, error) {
			return append(pod.Spec.EphemeralContainers, debugger, second), nil
		})
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range ephemeral.Containers(pod) {
		fmt.Println(c.Name)
	}
	// Output:
	// debugger
	// tracer
}

// Server-side apply, from a manifest.
func ExampleClient_Patch() {
	cluster := newCluster()
	defer cluster.Close()
	client := ephemeral.New(cluster.Client, "shop")

	manifest := []byte(`
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  ephemeralContainers:
  - {name: debugger, image: busybox, targetContainerName: app}
`)
	pod, err := client.Patch(context.Background(), "web", types.ApplyYAMLPatchType, manifest,
		ephemeral.FieldManager("example"), ephemeral.Force())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(pod.Spec.EphemeralContainers[0].Name)
	// Output: debugger
}

// The exit code of a container's own process.
func ExampleClient_Wait() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cluster := newCluster()
	defer cluster.Close()
	client := ephemeral.New(cluster.Client, "shop")

	pod, err := client.Get(ctx, "api")
	if err != nil {
		log.Fatal(err)
	}
	ended, err := client.Wait(ctx, pod.Pod, "probe", ephemeral.Terminated)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ended.Reason, *ended.ExitCode)

	_, err = client.Wait(ctx, pod.Pod, "probe", ephemeral.Running)
	fmt.Println(errors.Is(err, ephemeral.ErrNotRunning))
	// Output:
	// Error 2
	// true
}

// A command's exit status is a number. Only what keeps it from being known is an error.
func ExampleStreams_Exec() {
	cluster := newCluster()
	defer cluster.Close()

	streams, err := ephemeral.NewStreams(cluster.Config, "shop")
	if err != nil {
		log.Fatal(err)
	}
	var errs strings.Builder
	status, err := streams.Exec(context.Background(), "api", "probe", []string{"ls", "/nope"},
		remotecommand.StreamOptions{Stderr: &errs})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%sexit status %d\n", errs.String(), status)
	// Output:
	// ls: /nope: No such file or directory
	// exit status 1
}
