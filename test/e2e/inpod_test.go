//go:build unix

package e2e

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/faultproxy"
	"github.com/kubectl-eshell/kubectl-eshell/test/docs"
)

// TestInPod: in a pod without a kubeconfig the plugin is the pod's service account, in its namespace, with
// the Role of docs/permissions.md and no more, without a home and without a disk to write to.
func TestInPod(t *testing.T) {
	if !env.embedded {
		t.Skip("the nodes of an existing cluster do not have the plugin")
	}
	t.Parallel()
	here := newRealm(t, "runner", report)
	pages, err := docs.Read("../..")
	if err != nil {
		t.Fatal(err)
	}
	role := file(t, pages, "docs/permissions.md", "eshell-role.yaml")
	here.apply(t, strings.Replace(role, "  namespace: shop\n", "", 1))
	account, job, found := strings.Cut(file(t, pages, "docs/recipes.md", "runner.yaml"), "apiVersion: batch")
	if !found {
		t.Fatal("runner.yaml has no Job")
	}
	here.apply(t, account)
	port := here.server(t)
	t.Run("recipe", func(t *testing.T) {
		t.Parallel()
		here.nightly(t, "apiVersion: batch"+job, port)
	})
	t.Run("commands", func(t *testing.T) {
		t.Parallel()
		here.commands(t, port)
	})
}

// report is a CronJob whose clone prints something and fails.
const report = `
apiVersion: batch/v1
kind: CronJob
metadata: {name: report}
spec:
  schedule: "0 0 1 1 *"
  suspend: true
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          terminationGracePeriodSeconds: 0
          containers:
          - name: app
            image: localhost/eshell/busybox:1
            workingDir: /app
            volumeMounts: [{name: programs, mountPath: /app}]
          volumes: [{name: programs, configMap: {name: programs, defaultMode: 0755}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: programs}
data:
  report.sh: |
    #!/bin/sh
    printf 'day,orders\n2026-11-26,42\n'
    exit 3
`

// file is what a page has the reader save under a name.
func file(t *testing.T, pages []docs.Page, path, name string) string {
	t.Helper()
	for _, page := range pages {
		i := slices.IndexFunc(page.Blocks, func(b docs.Block) bool { return b.File == name })
		if page.Path == path && i >= 0 {
			return page.Blocks[i].Text
		}
	}
	t.Fatalf("%s has no file %s", path, name)
	return ""
}

// server has pods reach the API server on their node's address, and returns the port. The embedded cluster
// has no kube-proxy, so the Service kubernetes leads nowhere.
func (r namespaceFixture) server(t *testing.T) (port string) {
	t.Helper()
	nodes, err := client(t).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := env.config()
	if err != nil {
		t.Fatal(err)
	}
	addresses := nodes.Items[0].Status.Addresses
	node := addresses[slices.IndexFunc(addresses,
		func(a corev1.NodeAddress) bool { return a.Type == corev1.NodeInternalIP })].Address
	proxy, err := faultproxy.On(node, strings.TrimPrefix(config.Host, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	_, port, err = net.SplitHostPort(proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// equip gives the containers of a pod an image without the plugin, and the plugin.
func equip(t *testing.T, pod *corev1.PodSpec, port string) {
	t.Helper()
	pod.Volumes = append(pod.Volumes, corev1.Volume{Name: "plugin", VolumeSource: corev1.VolumeSource{
		HostPath: &corev1.HostPathVolumeSource{Path: released(t)}}})
	for i := range pod.Containers {
		c := &pod.Containers[i]
		c.Image = "localhost/eshell/busybox:1"
		c.Env = append(c.Env,
			corev1.EnvVar{Name: "PATH", Value: "/opt/eshell:/bin"},
			corev1.EnvVar{Name: "KUBERNETES_SERVICE_HOST", ValueFrom: &corev1.EnvVarSource{
				FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.hostIP"}}},
			corev1.EnvVar{Name: "KUBERNETES_SERVICE_PORT", Value: port})
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "plugin", MountPath: "/opt/eshell",
			ReadOnly: true})
	}
}

// nightly runs the Job of the recipe. The report fails, and so does the Job, with its status; its output is
// all that the pod has logged.
func (r namespaceFixture) nightly(t *testing.T, manifest, port string) {
	var job batchv1.Job
	if err := yaml.UnmarshalStrict([]byte(manifest), &job); err != nil {
		t.Fatal(err)
	}
	equip(t, &job.Spec.Template.Spec, port)
	core, jobs := client(t).CoreV1(), client(t).BatchV1().Jobs(r.namespace)
	if _, err := jobs.Create(t.Context(), &job, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var ended corev1.Pod
	r.await(t, "the runner has not ended", func(ctx context.Context) (bool, error) {
		pods, err := core.Pods(r.namespace).List(ctx,
			metav1.ListOptions{LabelSelector: "job-name=" + job.Name})
		if err != nil || len(pods.Items) == 0 {
			return false, err
		}
		ended = pods.Items[0]
		statuses := ended.Status.ContainerStatuses
		return len(statuses) > 0 && statuses[0].State.Terminated != nil, nil
	})
	log := kubectl(t, "logs", "-n", r.namespace, ended.Name)
	status := ended.Status.ContainerStatuses[0].State.Terminated.ExitCode
	if status != 3 || log != "day,orders\n2026-11-26,42\n" {
		t.Errorf("exit status %d, want 3; the log is\n%s", status, log)
	}
	r.await(t, "the lease is left", r.hasNoLease)
}

// hasNoLease reports whether no Job but the recipe's is there.
func (r namespaceFixture) hasNoLease(ctx context.Context) (bool, error) {
	all, err := asked()
	if err != nil {
		return false, err
	}
	jobs, err := all.BatchV1().Jobs(r.namespace).List(ctx, metav1.ListOptions{})
	return err == nil && !slices.ContainsFunc(jobs.Items,
		func(j batchv1.Job) bool { return strings.HasPrefix(j.Name, "eshell-") }), err
}

// runner is a pod in which commands are typed. In its second container there is no token.
const runner = `
serviceAccountName: ci
terminationGracePeriodSeconds: 0
containers:
- name: job
  command: [sleep, "86400"]
  securityContext: {runAsUser: 12345, readOnlyRootFilesystem: true}
- name: no-token
  command: [sleep, "86400"]
  volumeMounts: [{name: none, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]
volumes: [{name: none, emptyDir: {}}]
`

func (r namespaceFixture) commands(t *testing.T, port string) {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "runner"}}
	if err := yaml.UnmarshalStrict([]byte(runner), &pod.Spec); err != nil {
		t.Fatal(err)
	}
	equip(t, &pod.Spec, port)
	if _, err := client(t).CoreV1().Pods(r.namespace).Create(t.Context(), &pod,
		metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "wait", "-n", r.namespace, "--for=condition=Ready", "pod/runner", inTime)
	account := "system:serviceaccount:" + r.namespace + ":ci"
	const unknown = "error: no cluster is configured: there is no kubeconfig, and this pod has no service " +
		"account token\nhint: let the pod have one (automountServiceAccountToken), or name a kubeconfig: " +
		"--kubeconfig FILE\n"
	for _, tt := range []struct {
		container, typed string
		status           int
		stdout, stderr   string // a part of it
	}{
		{typed: "kubectl-eshell version", stdout: "Server Version: v"},
		{typed: "kubectl-eshell config view", stderr: "no defaults are in force"},
		{typed: "name=$(kubectl-eshell cronjob/report --detach -q) && kubectl-eshell list && " +
			"kubectl-eshell delete $name", stdout: "MODE"},
		{typed: "kubectl-eshell cronjob/report -q --request-timeout 20s -- printf exact", stdout: "exact"},
		{typed: "kubectl-eshell pod/runner -q --mode debug -c job -- printf exact", stdout: "exact"},
		{typed: "sh -c 'HTTPS_PROXY=http://127.0.0.1:9 NO_PROXY=$KUBERNETES_SERVICE_HOST kubectl-eshell version'",
			stdout: "Server Version: v"},
		{typed: "kubectl-eshell __complete cronjob/", stdout: "cronjob/report\t"},
		{typed: "kubectl-eshell deploy/none -- true", status: 125,
			stderr: "deployments.apps \"none\" not found\nhint: list what there is: kubectl get deployments -n " +
				r.namespace + "\n"},
		{typed: "kubectl-eshell cronjob/report --as jane -- true", status: 125,
			stderr: `User "` + account + `" cannot impersonate`},
		{typed: "kubectl-eshell cronjob/report --context prod -- true", status: 125,
			stderr: `error: the kubeconfig has no context "prod"`},
		{container: "no-token", typed: "kubectl-eshell cronjob/report -- true", status: 125, stderr: unknown},
	} {
		end := r.inPod(t, tt.container, tt.typed)
		if end.status != tt.status || !strings.Contains(end.stdout, tt.stdout) ||
			!strings.Contains(end.stderr, tt.stderr) || tt.stdout == "exact" && end.stdout != tt.stdout {
			t.Errorf("%s: exit status %d, want %d; stdout is\n%s\nstderr is\n%s", tt.typed, end.status,
				tt.status, end.stdout, end.stderr)
		}
	}
}

// inPod types a command in the runner, which has no HOME there.
func (r namespaceFixture) inPod(t *testing.T, container, line string) ending {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if container == "" {
		container = "job"
	}
	cmd := exec.Command(filepath.Join(env.bin, "kubectl"), "exec", "-n", r.namespace, "runner",
		"-c", container, "--", "sh", "-c", "unset HOME; "+line+" </dev/null")
	cmd.Env, cmd.Stdout, cmd.Stderr = env.env(), &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ending{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}
