package workload

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

func claim(name string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{ObjectMeta: objectMeta(name),
		Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "of-" + name}}
}

func claimVolume(claim string) corev1.Volume {
	return corev1.Volume{Name: claim, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}}
}

func mounting(claims ...string) func(*corev1.PodTemplateSpec) {
	return func(t *corev1.PodTemplateSpec) {
		for _, claim := range claims {
			t.Spec.Volumes = append(t.Spec.Volumes, claimVolume(claim))
		}
	}
}

// using mounts a claim and runs on a node.
func using(claim, node string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, claimVolume(claim))
		p.Spec.NodeName = node
	}
}

func inPhase(phase corev1.PodPhase) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.Phase = phase }
}

func pinned(q *Query) { q.Running = true }

func ordinal(n int) func(*Query) { return func(q *Query) { q.Ordinal = &n } }

func statefulSet(changes ...func(*corev1.PodTemplateSpec)) *appsv1.StatefulSet {
	return &appsv1.StatefulSet{ObjectMeta: objectMeta("api"), Spec: appsv1.StatefulSetSpec{
		Selector: selector(), Template: template(changes...),
		VolumeClaimTemplates: []corev1.PersistentVolumeClaim{*claim("data"), *claim("logs")},
	}}
}

func TestClaims(t *testing.T) {
	cron := cronJob("api-1", "api-2")
	cron.Spec.JobTemplate.Spec.Template = template(mounting("data"))
	idle := cronJob()
	idle.Spec.JobTemplate.Spec.Template = template(mounting("data"))
	tests := []struct {
		name    string
		cluster []runtime.Object
		query   Query
		want    string
	}{
		{"none", []runtime.Object{deployment(), pod("a", using("data", "n1"))}, query("Deployment"), ""},
		{"users", []runtime.Object{deployment(mounting("data")), claim("data"), pod("a", using("data", "n1")),
			pod("b", using("data", "")),
			pod("other", using("logs", "n1")), pod("stranger", using("data", "n2"), labelled("app", "web")),
			pod("done", using("data", "n1"), inPhase(corev1.PodSucceeded)),
			pod("failed", using("data", "n1"), inPhase(corev1.PodFailed))},
			query("Deployment"), "data: of-data used by a on n1, b on "},
		{"not there", []runtime.Object{deployment(mounting("data"))}, query("Deployment"),
			`data: persistentvolumeclaims "data" not found`},
		{"named twice", []runtime.Object{deployment(mounting("data", "data", "logs")), claim("data"),
			claim("logs")}, query("Deployment"),
			"data: of-data; logs: of-logs"},
		{"a pod's", []runtime.Object{pod("api", using("data", "n1")), pod("other", using("data", "n2")),
			claim("data")}, query("Pod"),
			"data: of-data used by api on n1"},
		{"a stateful set's", []runtime.Object{statefulSet(mounting("shared")), claim("shared")},
			query("StatefulSet"), "shared: of-shared"},
		{"of its pod 1", []runtime.Object{statefulSet(mounting("shared")), claim("shared"),
			claim("data-api-1"), claim("logs-api-1"),
			pod("api-1", using("data-api-1", "n2"))}, query("StatefulSet", ordinal(1)),
			"shared: of-shared; data-api-1: of-data-api-1 used by api-1 on n2; logs-api-1: of-logs-api-1"},
		{"a cron job's", []runtime.Object{cron, claim("data"),
			pod("a", labelled(batchv1.JobNameLabel, "api-1"), using("data", "n1")),
			pod("b", labelled(batchv1.JobNameLabel, "api-0"), using("data", "n2"))}, query("CronJob"),
			"data: of-data used by a on n1"},
		{"an idle cron job's", []runtime.Object{idle, claim("data")}, query("CronJob"), "data: of-data"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Resolve(t.Context(), Cluster{Client: cluster(t, everything, tt.cluster...)}, tt.query)
			if err != nil {
				t.Fatal(err)
			}
			if words := claimWords(got.Claims); words != tt.want {
				t.Errorf("got  %s\nwant %s", words, tt.want)
			}
		})
	}
}

func claimWords(claims []Claim) string {
	var words []string
	for _, c := range claims {
		of := fmt.Sprint(c.Err)
		if c.Spec != nil {
			of = c.Spec.VolumeName
		}
		var users []string
		for _, u := range c.Users {
			users = append(users, u.Pod+" on "+u.Node)
		}
		if len(users) > 0 {
			of += " used by " + strings.Join(users, ", ")
		}
		if c.UsersErr != nil {
			of += " used by nobody knows whom: " + c.UsersErr.Error()
		}
		words = append(words, c.Name+": "+of)
	}
	return strings.Join(words, "; ")
}

func TestClaimsWithoutTheirUsers(t *testing.T) {
	client := cluster(t, everything, deployment(mounting("data")), claim("data"))
	client.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("not you")
	})
	got, err := Resolve(t.Context(), Cluster{Client: client}, query("Deployment"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := claimWords(got.Claims), "data: of-data used by nobody knows whom: not you"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// running runs images by their IDs, one of the containers by one.
func running(init, app, proxy string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "init", ImageID: init}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", ImageID: app},
			{Name: "proxy", ImageID: proxy}}
	}
}

func TestRunning(t *testing.T) {
	const want = "map[app:docker.io/api@sha256:2 init:docker.io/init@sha256:1]"
	ids := running("docker-pullable://docker.io/init@sha256:1", "docker.io/api@sha256:2", "sha256:3")
	tests := []struct {
		name    string
		cluster []runtime.Object
		query   Query
		want    string
	}{
		{"not asked for", []runtime.Object{deployment(), pod("a", ids)}, query("Deployment"), "map[]"},
		{"the newest ready pod's",
			[]runtime.Object{deployment(), pod("old"), pod("new", born(1), ids),
				pod("newer", born(2), unready)}, query("Deployment", pinned), want},
		{"a pod's own", []runtime.Object{pod("api", ids, unready)}, query("Pod", pinned), want},
		{"a live pod's", []runtime.Object{deployment(), pod("a", ids)}, query("Deployment", pinned, live),
			want},
		{"of no registry", []runtime.Object{pod("api", running("docker://sha256:1", "sha256:2", ""))},
			query("Pod", pinned), "map[]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Resolve(t.Context(), Cluster{Client: cluster(t, everything, tt.cluster...)}, tt.query)
			if err != nil {
				t.Fatal(err)
			}
			if words := fmt.Sprint(got.Running); words != tt.want {
				t.Errorf("got  %s\nwant %s", words, tt.want)
			}
		})
	}
}

func TestRunningFails(t *testing.T) {
	tests := []struct {
		name      string
		cluster   []runtime.Object
		query     Query
		err, hint string
	}{
		{"none is ready", []runtime.Object{deployment(), pod("a", unready)}, query("Deployment", pinned),
			"deployment/api in namespace shop: none of its 1 pods is ready, so there is no running image",
			"leave out --pin; its pods: kubectl get pods -n shop -l app=api"},
		{"no active job", []runtime.Object{cronJob()}, query("CronJob", pinned),
			"cronjob/api in namespace shop: it has no pods whose images could be used", "leave out --pin"},
	}
	for _, tt := range tests {
		_, err := Resolve(t.Context(), Cluster{Client: cluster(t, everything, tt.cluster...)}, tt.query)
		if err == nil || err.Error() != tt.err || hint.Of(err) != tt.hint {
			t.Errorf("%s: error: %v\nhint: %s\nwant error: %s\nhint: %s", tt.name, err, hint.Of(err), tt.err,
				tt.hint)
		}
	}
}

func TestIndexed(t *testing.T) {
	indexed := job("api")
	indexed.Spec.CompletionMode = new(batchv1.IndexedCompletion)
	plain := job("api")
	plain.Spec.CompletionMode = new(batchv1.NonIndexedCompletion)
	cron := cronJob()
	cron.Spec.JobTemplate.Spec.CompletionMode = new(batchv1.IndexedCompletion)
	tests := []struct {
		name  string
		job   runtime.Object
		query Query
		want  bool
	}{
		{"a job", indexed, query("Job"), true},
		{"a job that is not", plain, query("Job"), false},
		{"a job that does not say", job("api"), query("Job"), false},
		{"a cron job", cron, query("CronJob"), true},
	}
	for _, tt := range tests {
		got, err := Resolve(t.Context(), Cluster{Client: cluster(t, everything, tt.job)}, tt.query)
		if err != nil || got.Indexed != tt.want {
			t.Errorf("%s: %+v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}
