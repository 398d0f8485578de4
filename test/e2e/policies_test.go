//go:build unix

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apitypes "k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	policies "github.com/kubectl-eshell/kubectl-eshell/pkg/policy"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/profile"
	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/embedded"
)

const busyboxImage = "localhost/eshell/busybox:1"

// policed is a namespace in which the printed policies hold, under names of the test's own.
type policed struct{ namespaceFixture }

// newPoliced prints policies and applies them. words are those after kubectl eshell policy.
func newPoliced(t *testing.T, name string, words ...string) policed {
	t.Helper()
	r := policed{newRealm(t, name, application+"---\n"+productionPod)}
	kubectl(t, "wait", "--for=condition=Ready", "-n", r.namespace, "pod/production", "--timeout=60s")
	printed := kubectl(t, append([]string{"eshell", "policy",
		"--namespace-selector=kubernetes.io/metadata.name=" + r.namespace,
		"--parameter-namespace=" + r.namespace}, words...)...)
	t.Cleanup(func() {
		kubectl(t, "delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", "-l",
			"eshell.test/of="+r.namespace)
	})
	own := regexp.MustCompile(`(?m)^( +(?:name|policyName): )eshell-`)
	mark := regexp.MustCompile(`(?m)^metadata:$`)
	r.apply(t, mark.ReplaceAllString(own.ReplaceAllString(printed, "${1}"+r.namespace+"-"),
		"metadata:\n  labels: {eshell.test/of: "+r.namespace+"}"))
	return r
}

const productionPod = `
apiVersion: v1
kind: Pod
metadata: {name: production, labels: {app: production}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: app, image: "localhost/eshell/busybox:1", command: [sleep, "86400"]}]
`

// as returns a client of a user who is allowed to do everything: only policies refuse it anything.
func (r policed) as(t *testing.T, user string) kubernetes.Interface {
	t.Helper()
	config, err := env.config()
	if err != nil {
		t.Fatal(err)
	}
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:masters"}}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// clone is a session's pod, and lease its Job, as eshell makes them for alice.
func (r policed) clone(changes ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "app-eshell-x7k2p", Namespace: r.namespace,
			Labels: owned.Labels("x7k2p"), Annotations: owned.Terms("alice", "OPS-1", 3600e9),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job",
				Name: "eshell-x7k2p", UID: "1"}}},
		Spec: corev1.PodSpec{
			SchedulingGates: []corev1.PodSchedulingGate{{Name: "eshell.test/never"}},
			Containers:      []corev1.Container{{Name: "app", Image: busyboxImage}}},
	}
	for _, change := range changes {
		change(pod)
	}
	return pod
}

func (r policed) lease(changes ...func(*batchv1.Job)) *batchv1.Job {
	annotations := owned.Terms("alice", "OPS-1", 3600e9)
	annotations[owned.ModeAnnotation] = "clone"
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "eshell-x7k2p", Namespace: r.namespace,
			Labels: owned.Labels("x7k2p"), Annotations: annotations},
		Spec: batchv1.JobSpec{Parallelism: new(int32(0)), TTLSecondsAfterFinished: new(int32(0)),
			ActiveDeadlineSeconds: new(int64(121)),
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever,
				Containers: []corev1.Container{{Name: "never-runs", Image: busyboxImage}}}}},
	}
	for _, change := range changes {
		change(job)
	}
	return job
}

// debugger is a debug session's container of alice.
func debugger(changes ...func(*corev1.EphemeralContainerCommon)) corev1.EphemeralContainer {
	c := corev1.EphemeralContainerCommon{Name: "eshell-x7k2p", Image: busyboxImage,
		Env: []corev1.EnvVar{{Name: "ESHELL_USER", Value: "alice"}, {Name: "ESHELL_REASON", Value: "OPS-1"},
			{Name: "ESHELL_TTL", Value: "3600"}}}
	for _, change := range changes {
		change(&c)
	}
	return corev1.EphemeralContainer{EphemeralContainerCommon: c}
}

// sends creates or updates an object as a user, as a dry run.
func (r policed) sends(ctx context.Context, client kubernetes.Interface, object any) (err error) {
	dry := []string{metav1.DryRunAll}
	switch o := object.(type) {
	case *corev1.Pod:
		_, err = client.CoreV1().Pods(r.namespace).Create(ctx, o, metav1.CreateOptions{DryRun: dry})
	case *batchv1.Job:
		_, err = client.BatchV1().Jobs(r.namespace).Create(ctx, o, metav1.CreateOptions{DryRun: dry})
	case corev1.EphemeralContainer:
		err = r.adds(ctx, client, "production", o)
	case inClone:
		err = r.adds(ctx, client, "app-eshell-bcdfg", o.EphemeralContainer)
	case change:
		path := strings.Split(o.resource, "/")
		rest := client.CoreV1().RESTClient()
		if path[0] == "jobs" {
			rest = client.BatchV1().RESTClient()
		}
		err = rest.Patch(apitypes.StrategicMergePatchType).Namespace(r.namespace).Resource(path[0]).
			Name(path[1]).SubResource(path[2:]...).Param("dryRun", metav1.DryRunAll).Body([]byte(o.patch)).
			Do(ctx).Error()
	case connection:
		err = r.connects(ctx, client, o)
	default:
		err = fmt.Errorf("unknown object %T", object)
	}
	return err
}

// inClone is a container that is added to a clone.
type inClone struct{ corev1.EphemeralContainer }

func (r policed) adds(ctx context.Context, client kubernetes.Interface, to string,
	c corev1.EphemeralContainer) error {
	pods := client.CoreV1().Pods(r.namespace)
	pod, err := pods.Get(ctx, to, metav1.GetOptions{})
	if err != nil {
		return err
	}
	pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, c)
	_, err = pods.UpdateEphemeralContainers(ctx, to, pod,
		metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// holds waits until a policy refuses something: an API server learns of policies a moment after they are
// written.
func (r policed) holds(t *testing.T, name string, client kubernetes.Interface, object any) {
	t.Helper()
	var answer error
	if err := until(t.Context(), patience, func(ctx context.Context) (bool, error) {
		answer = r.sends(ctx, client, object)
		return answer != nil && strings.Contains(answer.Error(), "eshell policy "+name+": "), nil
	}); err != nil {
		t.Fatalf("policy %s: %v; the answer was %v", name, err, answer)
	}
}

// connects asks for a stream without opening it: what a policy lets pass is then refused for that.
func (r policed) connects(ctx context.Context, client kubernetes.Interface, to connection) error {
	err := client.CoreV1().RESTClient().Post().Namespace(r.namespace).Resource("pods").Name(to.pod).
		SubResource(to.kind).Param("container", to.container).Param("command", "true").Param("stdout", "true").
		Do(ctx).Error()
	if apierrors.IsBadRequest(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

type connection struct{ kind, pod, container string }

// change is a merge patch of what is there, as a dry run.
type change struct{ resource, patch string }

// TestPolicies: each policy refuses what it should, with a sentence of its own, and nothing else. The objects
// are made by hand, as those of a client that is not eshell.
func TestPolicies(t *testing.T) {
	t.Parallel()
	r := newPoliced(t, "policies", "--reason-pattern=^OPS-[0-9]+$", "--max-ttl=1h",
		"--registry=localhost,registry.example/team,docker.io/base", "--debug-profile=baseline",
		"--debug-image="+busyboxImage+",evil.example/x", "--connect-exempt=break-glass")
	alice := r.as(t, "alice")
	r.seed(t, alice)
	r.holds(t, policies.Identity, r.as(t, "bob"), r.clone())
	r.holds(t, policies.Reason, alice, r.lease(noted(owned.ReasonAnnotation, "")))
	r.holds(t, policies.TTL, alice, r.lease(noted(owned.TTLAnnotation, "3601")))
	r.holds(t, policies.Images, alice, r.clone(image("evil.example/x")))
	r.holds(t, policies.Debug, alice, debugger(added("SYS_ADMIN")))
	r.holds(t, policies.Connect, alice, connection{"exec", "production", "app"})
	for name, tests := range map[string][]judged{"identity": r.identities(), "reason": r.reasons(),
		"ttl": r.ttls(), "images": r.images(), "debug": r.debuggers(), "connect": r.connections()} {
		t.Run(name, func(t *testing.T) {
			for _, tt := range tests {
				err := r.sends(t.Context(), r.as(t, tt.user), tt.object)
				switch {
				case tt.refusal == "" && err != nil:
					t.Errorf("%s: %v, want no refusal", tt.name, err)
				case tt.refusal != "" && (err == nil || !strings.HasSuffix(err.Error(),
					" denied request: eshell policy "+tt.refusal)):
					t.Errorf("%s: %v, want %s", tt.name, err, tt.refusal)
				}
			}
		})
	}
	r.compiles(t)
	r.sessions(t)
	r.isAudited(t)
	r.profiles(t, alice)
	r.suspends(t, alice)
	r.warns(t, alice)
	r.losesParameters(t, alice)
}

// judged is a request, and the sentence that refuses it.
type judged struct {
	name    string
	user    string
	object  any
	refusal string
}

// seed creates a lease and a clone of alice's that is never scheduled.
func (r policed) seed(t *testing.T, alice kubernetes.Interface) {
	t.Helper()
	job, err := alice.BatchV1().Jobs(r.namespace).Create(t.Context(), r.lease(func(job *batchv1.Job) {
		job.Name, job.Labels = "eshell-bcdfg", owned.Labels("bcdfg")
		job.Spec.ActiveDeadlineSeconds = new(int64(600))
	}), metav1.CreateOptions{})
	if err == nil {
		_, err = alice.CoreV1().Pods(r.namespace).Create(t.Context(), r.clone(func(pod *corev1.Pod) {
			pod.Name, pod.Labels = "app-eshell-bcdfg", owned.Labels("bcdfg")
			pod.OwnerReferences[0].Name, pod.OwnerReferences[0].UID = job.Name, job.UID
		}), metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func noted(annotation, value string) func(*batchv1.Job) {
	return func(job *batchv1.Job) { job.Annotations[annotation] = value }
}

func image(name string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Spec.Containers[0].Image = name }
}

func added(capability corev1.Capability) func(*corev1.EphemeralContainerCommon) {
	return secured(corev1.SecurityContext{
		Capabilities: &corev1.Capabilities{Add: []corev1.Capability{capability}}})
}

func secured(security corev1.SecurityContext) func(*corev1.EphemeralContainerCommon) {
	return func(c *corev1.EphemeralContainerCommon) { c.SecurityContext = &security }
}

// variable sets a variable of a debug session, or adds it.
func variable(name, value string) func(*corev1.EphemeralContainerCommon) {
	return func(c *corev1.EphemeralContainerCommon) {
		for n := range c.Env {
			if c.Env[n].Name == name {
				c.Env[n].Value = value
				return
			}
		}
		c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
	}
}

func twice(name, value string) func(*corev1.EphemeralContainerCommon) {
	return func(c *corev1.EphemeralContainerCommon) {
		c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
	}
}

func called(name string) func(*corev1.EphemeralContainerCommon) {
	return func(c *corev1.EphemeralContainerCommon) { c.Name = name }
}

// plain is a pod that is no session.
func (r policed) plain(name string) *corev1.Pod {
	return r.clone(func(pod *corev1.Pod) {
		pod.Name, pod.Labels, pod.Annotations, pod.OwnerReferences = name, nil, nil, nil
	})
}

func annotation(name, value string) string {
	return fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, owned.Domain+"/"+name, value)
}

func (r policed) identities() []judged {
	const job, pod = "jobs/eshell-bcdfg", "pods/app-eshell-bcdfg"
	const isNone = "identity: app-eshell-x7k2p has the name, a label or an annotation of a session, and is none"
	const kept = "identity: the user, the reason and the mode of a session are never changed"
	const others = "identity: another user changes nothing of a session but its time"
	const relabelled = "identity: the labels of a session are never changed"
	const controller = "system:serviceaccount:kube-system:daemon-set-controller"
	mine := func(user string) string {
		return "identity: a session belongs to the user who creates it, which is " + user + " and not alice"
	}
	return []judged{
		{"a clone", "alice", r.clone(), ""},
		{"a lease", "alice", r.lease(), ""},
		{"a debug container", "alice", debugger(), ""},
		{"another's clone", "bob", r.clone(), mine("bob")},
		{"another's lease", "bob", r.lease(), mine("bob")},
		{"another's debug container", "bob", debugger(),
			"identity: a session belongs to the user who creates it (ESHELL_USER)"},
		{"a debug container with two users", "alice", debugger(twice("ESHELL_USER", "bob")),
			"identity: a session belongs to the user who creates it (ESHELL_USER)"},
		{"a debug container of nobody", "alice", debugger(variable("ESHELL_USER", "")),
			"identity: a session belongs to the user who creates it (ESHELL_USER)"},
		{"another name and another's user", "alice", debugger(called("x"), variable("ESHELL_USER", "bob")),
			"identity: a session belongs to the user who creates it (ESHELL_USER)"},
		{"a pod", "bob", r.plain("web"), ""},
		{"a pod without a name yet", "bob", changed(r.plain(""), func(pod *corev1.Pod) {
			pod.GenerateName = "web-"
		}), ""},
		{"a pod like a clone", "alice", r.plain("app-eshell-x7k2p"), isNone},
		{"a controller's pod like a clone", controller, r.plain("app-eshell-x7k2p"), isNone},
		{"a pod almost like a clone", "bob", r.plain("app-eshell-tools"), ""},
		{"a pod with a session's container", "bob", changed(r.plain("web"), func(pod *corev1.Pod) {
			pod.Spec.InitContainers = []corev1.Container{{Name: "eshell-x7k2p", Image: busyboxImage}}
		}), "identity: only a debug session is allowed to have a container that is named eshell-ID"},
		{"a label", "alice", changed(r.plain("web"), func(pod *corev1.Pod) {
			pod.Labels = map[string]string{owned.SessionLabel: "x7k2p"}
		}), "identity: web has the name, a label or an annotation of a session, and is none"},
		{"a lease that runs", "alice", r.lease(func(job *batchv1.Job) { job.Spec.Parallelism = nil }),
			"identity: the lease of a session runs nothing"},
		{"a renewal", "alice", change{job, `{"spec":{"activeDeadlineSeconds":900}}`}, ""},
		{"a controller's change", "system:kube-controller-manager",
			change{job, `{"metadata":{"annotations":{"x":"y"}}}`}, ""},
		{"its pod is recorded", "alice", change{job, annotation("pod", "p")}, ""},
		{"another's record", "bob", change{job, annotation("pod", "p")}, others},
		{"a word left", "bob", change{job, annotation("ended-by", "bob")}, ""},
		{"a word left in another's name", "bob", change{job, annotation("ended-by", "alice")}, others},
		{"a visit", "bob", change{job, annotation("attached-by", "bob 2026-11-26T07:15:00Z")}, ""},
		{"a visit in another's name", "bob", change{job, annotation("attached-by", "bobby 2026")}, others},
		{"its own user", "alice", change{job, annotation("user", "bob")}, kept},
		{"its user", "bob", change{pod, annotation("user", "bob")}, kept},
		{"its reason", "alice", change{pod, annotation("reason", "OPS-2")}, kept},
		{"its mode", "alice", change{job, annotation("mode", "debug")}, kept},
		{"its label", "alice", change{pod, `{"metadata":{"labels":{"kubectl-eshell.github.io/session":null}}}`},
			relabelled},
		{"production's label", "alice", change{"pods/production",
			`{"metadata":{"labels":{"app.kubernetes.io/managed-by":"kubectl-eshell"}}}`}, relabelled},
		{"production", "bob", change{"pods/production", `{"metadata":{"labels":{"a":"b"}}}`}, ""},
		{"an annotation", "alice", changed(r.plain("web"), func(pod *corev1.Pod) {
			pod.Annotations = map[string]string{owned.UserAnnotation: "bob"}
		}), "identity: web has the name, a label or an annotation of a session, and is none"},
		{"production's annotation", "alice", change{"pods/production", annotation("user", "bob")}, kept},
		{"production's label by its status", "alice", change{"pods/production/status",
			`{"metadata":{"labels":{"app.kubernetes.io/managed-by":"kubectl-eshell"}}}`}, relabelled},
		{"its user by its status", "alice", change{pod + "/status", annotation("user", "bob")}, kept},
		{"its time by its status", "alice", change{job + "/status", annotation("ttl-seconds", "9999")},
			"identity: the annotations of a session are never changed with its status"},
		{"a kubelet's status", "system:node:node1", change{"pods/production/status",
			`{"status":{"message":"x"}}`}, ""},
		{"a clone's status", "system:node:node1", change{pod + "/status", `{"status":{"message":"x"}}`}, ""},
	}
}

func changed(pod *corev1.Pod, change func(*corev1.Pod)) *corev1.Pod {
	change(pod)
	return pod
}

func (r policed) reasons() []judged {
	const line = "reason: a reason is one line of at most 1000 characters (--reason)"
	const refusal = "reason: a session needs a reason that matches ^OPS-[0-9]+$ (--reason)"
	note := func(reason string) func(*corev1.Pod) {
		return func(pod *corev1.Pod) { pod.Annotations[owned.ReasonAnnotation] = reason }
	}
	return []judged{
		{"another reason", "alice", r.clone(note("because")), refusal},
		{"a line more", "alice", r.clone(note("OPS-1\nOPS-2")), line},
		{"a line break at its end", "alice", r.clone(note("OPS-1\n")), line},
		{"another line break", "alice", r.clone(note("OPS-1\u2028")), line},
		{"a long one", "alice", r.clone(note("OPS-" + strings.Repeat("1", 996))), ""},
		{"a longer one", "alice", r.clone(note("OPS-" + strings.Repeat("1", 997))), line},
		{"a huge one", "alice", r.clone(note("OPS-" + strings.Repeat("1", 200_000))), line},
		{"none on the lease", "alice", r.lease(noted(owned.ReasonAnnotation, "")), refusal},
		{"none in debug mode", "alice", debugger(variable("ESHELL_REASON", "")), refusal},
		{"two in debug mode", "alice", debugger(twice("ESHELL_REASON", "x")), refusal},
		{"no session", "alice", r.plain("web"), ""},
	}
}

func (r policed) ttls() []judged {
	const job, pod = "jobs/eshell-bcdfg", "pods/app-eshell-bcdfg"
	const refusal = "ttl: a session lives for at most 1h (--ttl)"
	const endless = "ttl: this lease would not end in its own time"
	const unleasedRefusal = "ttl: a clone without a lease lives for at most 1h (--ttl)"
	graceful := func(seconds int64) *corev1.Pod {
		return r.clone(func(pod *corev1.Pod) { pod.Spec.TerminationGracePeriodSeconds = &seconds })
	}
	unleased := func(deadline int64) func(*corev1.Pod) {
		return func(pod *corev1.Pod) { pod.OwnerReferences, pod.Spec.ActiveDeadlineSeconds = nil, &deadline }
	}
	spec := func(change func(*batchv1.JobSpec)) *batchv1.Job {
		return r.lease(func(job *batchv1.Job) { change(&job.Spec) })
	}
	return []judged{
		{"a second more", "alice", r.lease(noted(owned.TTLAnnotation, "3601")), refusal},
		{"no number", "alice", r.lease(noted(owned.TTLAnnotation, "-1")), refusal},
		{"none", "alice", r.clone(func(pod *corev1.Pod) { pod.Annotations[owned.TTLAnnotation] = "" }), refusal},
		{"a second more in debug mode", "alice", debugger(variable("ESHELL_TTL", "3601s")), refusal},
		{"with its unit", "alice", debugger(variable("ESHELL_TTL", "3600s")), ""},
		{"all of it at once", "alice",
			spec(func(s *batchv1.JobSpec) { s.ActiveDeadlineSeconds = new(int64(3601)) }), ""},
		{"a longer deadline", "alice",
			spec(func(s *batchv1.JobSpec) { s.ActiveDeadlineSeconds = new(int64(3602)) }), endless},
		{"no deadline", "alice", spec(func(s *batchv1.JobSpec) { s.ActiveDeadlineSeconds = nil }), endless},
		{"it stays", "alice", spec(func(s *batchv1.JobSpec) { s.TTLSecondsAfterFinished = nil }), endless},
		{"suspended", "alice", spec(func(s *batchv1.JobSpec) { s.Suspend = new(true) }), endless},
		{"another controller's", "alice",
			spec(func(s *batchv1.JobSpec) { s.ManagedBy = new("example.com/none") }), endless},
		{"a finalizer", "alice", r.lease(func(job *batchv1.Job) {
			job.Finalizers = []string{"example.com/stay"}
		}), endless},
		{"a clone with another owner too", "alice", r.clone(func(pod *corev1.Pod) {
			pod.OwnerReferences = append(pod.OwnerReferences, metav1.OwnerReference{APIVersion: "v1",
				Kind: "ConfigMap", Name: "kube-root-ca.crt", UID: "2"})
		}), unleasedRefusal},
		{"a clone of another API's Job", "alice", r.clone(func(pod *corev1.Pod) {
			pod.OwnerReferences[0].APIVersion = "example.com/v1"
		}), unleasedRefusal},
		{"a clone that ends in a minute", "alice", graceful(60), ""},
		{"a clone that ends later", "alice", graceful(61),
			"ttl: the terminationGracePeriodSeconds of a clone are 60 at most"},
		{"a clone with a deadline", "alice", r.clone(unleased(3600)), ""},
		{"a clone with a longer deadline", "alice", r.clone(unleased(3601)),
			unleasedRefusal},
		{"extended", "bob", change{job, annotation("ttl-seconds", "3600")}, ""},
		{"extended beyond", "bob", change{job, annotation("ttl-seconds", "3601")}, refusal},
		{"renewed beyond", "alice", change{job, `{"spec":{"activeDeadlineSeconds":3602}}`}, endless},
		{"taken from its lease", "alice", change{pod, `{"metadata":{"ownerReferences":null}}`},
			unleasedRefusal},
		{"taken from its lease by the garbage collector",
			"system:serviceaccount:kube-system:generic-garbage-collector",
			change{pod, `{"metadata":{"ownerReferences":null}}`}, ""},
	}
}

func (r policed) images() []judged {
	const from = " is not from localhost, registry.example/team, docker.io/base (--image)"
	var tests []judged
	for _, name := range []string{"registry.example/team/app:1", "registry.example/team:1",
		"registry.example/team/app@sha256:" + strings.Repeat("a", 64), "localhost/x", "base/x", "docker.io/base/x"} {
		tests = append(tests, judged{name, "alice", r.clone(image(name)), ""})
	}
	for _, name := range []string{"nginx", "team/app", "registry.example/other", "registry.example/teams/app",
		"registry.example.evil/team/app", "registry.example:5000/team/app", "REGISTRY.example/team/app",
		"evil.example/registry.example/team/app", "registry.example/team/../other", "localhostile/x",
		"localhost:5000/x", "Localhost/x", "base", "docker.io/base", "evil.example/x@localhost/x"} {
		tests = append(tests, judged{name, "alice", r.clone(image(name)), "images: " + name + from})
	}
	const evil = "evil.example/x"
	return append(tests,
		judged{"of an init container", "alice", r.clone(func(pod *corev1.Pod) {
			pod.Spec.InitContainers = []corev1.Container{{Name: "init", Image: evil}}
		}), "images: " + evil + from},
		judged{"of a volume", "alice", r.clone(func(pod *corev1.Pod) {
			pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{
				Image: &corev1.ImageVolumeSource{Reference: evil}}}}
		}), "images: " + evil + from},
		judged{"a later one", "alice", change{"pods/app-eshell-bcdfg",
			`{"spec":{"containers":[{"name":"app","image":"evil.example/x"}]}}`}, "images: " + evil + from},
		judged{"of an ephemeral container", "alice", inClone{debugger(func(c *corev1.EphemeralContainerCommon) {
			c.Image = evil
		})}, "images: " + evil + from},
		judged{"of another pod", "alice", changed(r.plain("web"), image(evil)), ""},
	)
}

func (r policed) debuggers() []judged {
	const rights = "debug: container eshell-x7k2p has more rights than profile baseline (--profile)"
	const listed = busyboxImage + ", evil.example/x (--image)"
	refused := func(name string, security corev1.SecurityContext) judged {
		return judged{name, "alice", debugger(secured(security)), rights}
	}
	return []judged{
		{"a capability of every container", "alice", debugger(added("CHOWN")), ""},
		{"strace", "alice", debugger(added("SYS_PTRACE")), rights},
		{"a small capability", "alice", debugger(added("net_raw")), rights},
		{"all", "alice", debugger(added("ALL")), rights},
		refused("privileged", corev1.SecurityContext{Privileged: new(true)}),
		refused("no seccomp", corev1.SecurityContext{
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}}),
		refused("no AppArmor", corev1.SecurityContext{
			AppArmorProfile: &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}}),
		refused("SELinux", corev1.SecurityContext{SELinuxOptions: &corev1.SELinuxOptions{Type: "spc_t"}}),
		{"another image", "alice", debugger(func(c *corev1.EphemeralContainerCommon) { c.Image = busyboxImage + "0" }),
			"debug: image " + busyboxImage + "0 is not one of " + listed},
		{"another by its digest", "alice", debugger(func(c *corev1.EphemeralContainerCommon) {
			c.Image = busyboxImage + "@sha256:" + strings.Repeat("a", 64)
		}), "debug: image " + busyboxImage + "@sha256:" + strings.Repeat("a", 64) + " is not one of " + listed},
		{"kubectl debug", "alice", debugger(called("debugger-1"), added("SYS_ADMIN")),
			strings.Replace(rights, "eshell-x7k2p", "debugger-1", 1)},
	}
}

func (r policed) connections() []judged {
	refusal := "connect: exec and attach reach only sessions; open one: kubectl eshell pod/production -n " +
		r.namespace
	return []judged{
		{"a clone", "bob", connection{"exec", "app-eshell-bcdfg", "app"}, ""},
		{"attach", "bob", connection{"attach", "app-eshell-bcdfg", "app"}, ""},
		{"a debug container", "bob", connection{"exec", "production", "eshell-x7k2p"}, ""},
		{"production", "bob", connection{"exec", "production", "app"}, refusal},
		{"production, without a container", "bob", connection{"attach", "production", ""}, refusal},
		{"an exempt user", "break-glass", connection{"exec", "production", "app"}, ""},
	}
}

// compiles asserts that the API server's type check has nothing to say of the policies.
func (r policed) compiles(t *testing.T) {
	t.Helper()
	list, err := client(t).AdmissionregistrationV1().ValidatingAdmissionPolicies().List(t.Context(),
		metav1.ListOptions{LabelSelector: "eshell.test/of=" + r.namespace})
	if err != nil || len(list.Items) != len(policies.Names()) {
		t.Fatalf("%d policies: %v", len(list.Items), err)
	}
	for _, p := range list.Items {
		r.await(t, p.Name+" is checked", func(ctx context.Context) (bool, error) {
			found, err := client(t).AdmissionregistrationV1().ValidatingAdmissionPolicies().Get(ctx, p.Name,
				metav1.GetOptions{})
			if err == nil && found.Status.TypeChecking != nil {
				for _, w := range found.Status.TypeChecking.ExpressionWarnings {
					t.Errorf("%s: %s: %s", p.Name, w.FieldRef, w.Warning)
				}
			}
			return err == nil && found.Status.TypeChecking != nil, err
		})
	}
}

// alicesOwn makes a command alice's, who is allowed to do everything.
const alicesOwn = " --as alice --as-group system:masters"

// sessions asserts that the plugin tells a refusal in one error with the command that passes, that nothing is
// left of it, and that what the policies let pass works in each mode and by each way.
func (r policed) sessions(t *testing.T) {
	t.Helper()
	for _, tt := range []struct{ typed, object, policy, says, hint string }{
		{"deploy/app --ttl 1h", "job/eshell-.....", policies.Reason,
			"a session needs a reason that matches ^OPS-[0-9]+$ (--reason)", "--reason TICKET"},
		{"deploy/app --reason OPS-1", "job/eshell-.....", policies.TTL, "a session lives for at most 1h (--ttl)",
			"--ttl 1h"},
		{"deploy/app --reason OPS-1 --ttl 1h --image team/app", "pod/app-eshell-.....", policies.Images,
			"team/app is not from localhost, registry.example/team, docker.io/base (--image)", "--image localhost/IMAGE"},
		{"deploy/app --reason OPS-1 --ttl 1h --toolbox team/app", "pod/app-eshell-.....", policies.Images,
			"team/app is not from localhost, registry.example/team, docker.io/base (--image)",
			"--toolbox localhost/IMAGE"},
		{"pod/production --reason OPS-1 --ttl 1h --mode debug --profile sysadmin", "", policies.Debug,
			"container eshell-..... has more rights than profile baseline (--profile)", "--profile baseline"},
	} {
		before := r.pods(t)
		end := r.run(t, "kubectl-eshell "+tt.typed+alicesOwn+" -- true")
		error := `.+: the policy ` + r.namespace + "-" + tt.policy + ` of this cluster refuses it: ` +
			strings.ReplaceAll(regexp.QuoteMeta(tt.says), `\.\.\.\.\.`, `.....`)
		if tt.object != "" {
			error = "create " + tt.object + " in namespace " + r.namespace + strings.TrimPrefix(error, ".+")
		}
		want := regexp.MustCompile(`\Aerror: ` + error + `\nhint: (kubectl eshell .+ ` +
			regexp.QuoteMeta(tt.hint) + ` -- true)\n\z`)
		found := want.FindStringSubmatch(end.stderr)
		if end.status != 125 || found == nil {
			t.Errorf("%s: exit status %d, stderr is\n%swant\n%s", tt.typed, end.status, end.stderr, want)
			continue
		}
		r.left(t, before)
		r.onlySeed(t)
		if !strings.Contains(found[1], "IMAGE") {
			r.passes(t, strings.Replace(found[1], "TICKET", "OPS-1", 1))
		}
	}
	const given = " --reason OPS-1 --ttl 1h --via attach"
	r.passes(t, "kubectl eshell deploy/app"+given+alicesOwn+" -- true")
	r.passes(t, "kubectl eshell pod/production --mode debug"+given+alicesOwn+" -- true")
	for given, want := range map[string][2]string{
		"ESHELL_REASON=OPS-1 ESHELL_TTL=1h": {`(?m)^deployment/app +yes `, ""},
		"ESHELL_TTL=1h": {`(?m)^deployment/app +no .*reason of this cluster refuses it: a session needs`,
			"hint: deployment/app: kubectl eshell deploy/app --mode clone -n " + r.namespace + " --reason TICKET\n"},
	} {
		end := r.run(t, given+" kubectl-eshell check deploy/app --mode clone"+alicesOwn)
		if !regexp.MustCompile(want[0]).MatchString(end.stdout) || end.stderr != want[1] {
			t.Errorf("%s: check prints %+v, want %s", given, end, want)
		}
	}
	r.extends(t)
	end := r.run(t, "kubectl exec production -n "+r.namespace+" -- true")
	if sentence := "eshell policy connect: exec and attach reach only sessions; open one: kubectl eshell " +
		"pod/production -n " + r.namespace; end.status != 1 || !strings.Contains(end.stderr, sentence) {
		t.Errorf("kubectl exec: %+v", end)
	}
}

func (r policed) passes(t *testing.T, line string) {
	t.Helper()
	end := r.run(t, line)
	if end.status != 0 || strings.Contains(end.stderr, "no lease") || strings.Contains(end.stderr, "warning") {
		t.Errorf("%s: exit status %d, stderr is\n%s", line, end.status, end.stderr)
	}
	for _, session := range headlines(end.stderr) {
		r.without(t, session)
	}
}

// onlySeed asserts that no session has left a lease.
func (r policed) onlySeed(t *testing.T) {
	t.Helper()
	jobs, err := client(t).BatchV1().Jobs(r.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range jobs.Items {
		if job.Name != "eshell-bcdfg" && job.DeletionTimestamp == nil {
			t.Errorf("job/%s is left", job.Name)
		}
	}
}

// extends attaches to a session without a client, and gives it as much time as the policy allows.
func (r policed) extends(t *testing.T) {
	t.Helper()
	end := r.run(t, "kubectl-eshell deploy/app --detach --reason OPS-1 --ttl 30m"+alicesOwn)
	name := strings.TrimSpace(end.stdout)
	if end.status != 0 || name == "" {
		t.Fatalf("--detach: %+v", end)
	}
	const bobsOwn = " --force --as bob --as-group system:masters"
	for _, who := range []string{alicesOwn, bobsOwn} {
		end := r.run(t, "kubectl-eshell attach "+name+who+" -- sh -c 'exit 7'")
		if end.status != 7 || strings.Contains(end.stderr, "warning") {
			t.Errorf("attach%s: %+v", who, end)
		}
	}
	end = r.run(t, "kubectl-eshell extend "+name+" 1h"+alicesOwn)
	next := "kubectl eshell extend " + name + " 30m -n " + r.namespace
	if want := "error: extend " + name + ": the policy " + r.namespace + "-ttl of this cluster refuses it: " +
		"a session lives for at most 1h (--ttl)\nhint: " + next + "\n"; end.status != 125 || end.stderr != want {
		t.Errorf("extend: exit status %d, stderr is\n%swant\n%s", end.status, end.stderr, want)
	}
	if end := r.run(t, next+alicesOwn); end.status != 0 {
		t.Errorf("%s: %+v", next, end)
	}
	if end := r.run(t, "kubectl-eshell delete "+name+bobsOwn); end.status != 0 || strings.Contains(end.stderr,
		"warning") {
		t.Errorf("delete: %+v", end)
	}
}

// isAudited asserts that the audit log has the user, the reason and the image of a session of each mode.
func (r policed) isAudited(t *testing.T) {
	t.Helper()
	if !env.embedded {
		return
	}
	file, err := os.Open(embedded.Default().AuditLog())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	missing := map[string]string{"pods": "Deployment/app", "jobs": "", "pods/ephemeralcontainers": "Pod/production"}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var event struct {
			ObjectRef   struct{ Resource, Subresource, Namespace string }
			Annotations map[string]string
		}
		if !bytes.Contains(lines.Bytes(), []byte(r.namespace+"-audit/")) ||
			json.Unmarshal(lines.Bytes(), &event) != nil { // the last line might be half written
			continue
		}
		resource := strings.TrimSuffix(event.ObjectRef.Resource+"/"+event.ObjectRef.Subresource, "/")
		source, missed := missing[resource]
		note := func(key string) string { return event.Annotations[r.namespace+"-audit/"+key] }
		if missed && note("user") == "alice" && note("reason") == "OPS-1" && note("source") == source &&
			(resource == "jobs" || note("image") == busyboxImage) &&
			strings.Contains(note("session"), "eshell-") && note("ttl-seconds") == "3600" {
			delete(missing, resource)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	for resource := range missing {
		t.Errorf("the audit log has no session's %s", resource)
	}
}

// profiles asserts which containers pass by their rights, for each profile that is allowed: those of
// kubectl's profiles, whoever makes them.
func (r policed) profiles(t *testing.T, alice kubernetes.Interface) {
	t.Helper()
	all := []profile.Profile{profile.Baseline, profile.Restricted, profile.General, profile.Netadmin,
		profile.Sysadmin}
	for allowed, passes := range map[profile.Profile]string{
		"":                 "",
		profile.Restricted: "restricted",
		profile.Baseline:   "baseline restricted",
		profile.General:    "baseline restricted general",
		profile.Netadmin:   "baseline restricted netadmin",
		profile.Sysadmin:   "baseline restricted general netadmin sysadmin",
	} {
		r.allow(t, alice, allowed)
		var passed []string
		for _, p := range all {
			security, err := p.SecurityContext()
			if err != nil {
				t.Fatal(err)
			}
			container := debugger(func(c *corev1.EphemeralContainerCommon) { c.SecurityContext = security })
			if err := r.sends(t.Context(), alice, container); err == nil {
				passed = append(passed, string(p))
			} else if !strings.Contains(err.Error(), "eshell policy debug: ") {
				t.Error(err)
			}
		}
		if got := strings.Join(passed, " "); got != passes {
			t.Errorf("with profile %q these pass: %s, want %s", allowed, got, passes)
		}
	}
}

// allow sets the only profile that is allowed, and waits until that holds.
func (r policed) allow(t *testing.T, alice kubernetes.Interface, p profile.Profile) {
	t.Helper()
	kubectl(t, "patch", "configmap", r.namespace+"-policy", "-n", r.namespace, "--type=merge", "-p",
		fmt.Sprintf(`{"data":{"debugProfiles":%q}}`, p))
	sentence := fmt.Sprintf("has more rights than profile %s (", p)
	switch p {
	case "":
		sentence = "there are no debug containers in namespace " + r.namespace
	case profile.Sysadmin:
		sentence = ""
	}
	r.await(t, "profile "+string(p), func(ctx context.Context) (bool, error) {
		err := r.sends(ctx, alice, debugger(added("SYS_ADMIN")))
		return err == nil && sentence == "" || err != nil && sentence != "" &&
			strings.Contains(err.Error(), sentence), nil
	})
}

// warns makes a policy warn, as with --action warn: a session that it would refuse starts, and is told so.
func (r policed) warns(t *testing.T, alice kubernetes.Interface) {
	t.Helper()
	printed := kubectl(t, "eshell", "policy", "reason", "--action=warn")
	if warn := strings.Count(printed, "  validationActions:\n  - Warn\n  - Audit\n"); warn != 2 ||
		strings.Contains(printed, "- Deny\n") {
		t.Errorf("--action warn prints\n%s", printed)
	}
	kubectl(t, "patch", "validatingadmissionpolicybinding", r.namespace+"-reason", "--type=merge", "-p",
		`{"spec":{"validationActions":["Warn","Audit"]}}`)
	r.await(t, "a warning", func(ctx context.Context) (bool, error) {
		return r.sends(ctx, alice, r.lease(noted(owned.ReasonAnnotation, ""))) == nil, nil
	})
	end := r.run(t, "kubectl-eshell deploy/app --ttl 1h"+alicesOwn+" -- true")
	if warned := strings.Count(end.stderr, "warning: Validation failed for ValidatingAdmissionPolicy '"+
		r.namespace+"-reason'"); end.status != 0 || warned != 1 {
		t.Errorf("exit status %d, %d warnings, stderr is\n%s", end.status, warned, end.stderr)
	}
	for _, session := range headlines(end.stderr) {
		r.without(t, session)
	}
}

const suspending = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: NAME}
spec:
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules: [{apiGroups: [batch], apiVersions: [v1], operations: [CREATE], resources: [jobs]}]
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration: {expression: "Object{spec: Object.spec{suspend: true}}"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: NAME}
spec:
  policyName: NAME
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAME}}}
`

// suspends asserts that a session does without its lease where somebody else suspends all Jobs, as Kueue
// does: the policy ttl refuses such a lease, but not a clone that ends by itself.
func (r policed) suspends(t *testing.T, alice kubernetes.Interface) {
	t.Helper()
	if !env.embedded { // older servers have no such policies
		return
	}
	r.apply(t, strings.ReplaceAll(suspending, "NAME", r.namespace))
	remove := func() {
		kubectl(t, "delete", "--ignore-not-found", "mutatingadmissionpolicy/"+r.namespace,
			"mutatingadmissionpolicybinding/"+r.namespace)
	}
	t.Cleanup(remove)
	r.holds(t, policies.TTL, alice, r.lease())
	end := r.run(t, "kubectl-eshell deploy/app --reason OPS-1 --ttl 1h"+alicesOwn+" -- sh -c 'exit 7'")
	if end.status != 7 || !strings.Contains(end.stderr, "  no lease: ") {
		t.Errorf("where Jobs are suspended: %+v", end)
	}
	for _, session := range headlines(end.stderr) {
		r.without(t, session)
	}
	remove()
	r.await(t, "Jobs are not suspended", func(ctx context.Context) (bool, error) {
		return r.sends(ctx, alice, r.lease()) == nil, nil
	})
}

// losesParameters asserts that without the ConfigMap no session passes, and every other pod and Job does.
func (r policed) losesParameters(t *testing.T, alice kubernetes.Interface) {
	t.Helper()
	kubectl(t, "delete", "configmap", r.namespace+"-policy", "-n", r.namespace)
	r.await(t, "a policy without parameters", func(ctx context.Context) (bool, error) {
		err := r.sends(ctx, alice, r.clone())
		return err != nil && strings.Contains(err.Error(), "no params found"), nil
	})
	job := r.lease(func(job *batchv1.Job) { job.Name, job.Labels, job.Annotations = "plain", nil, nil })
	for _, other := range []any{r.plain("web"), job, change{"pods/production", `{"metadata":{"labels":{"a":"b"}}}`}} {
		if err := r.sends(t.Context(), alice, other); err != nil {
			t.Errorf("%T: %v, want no refusal", other, err)
		}
	}
	before := r.pods(t)
	end := r.run(t, "kubectl-eshell deploy/app --reason OPS-1 --ttl 1h"+alicesOwn+" -- true")
	want := regexp.MustCompile(`\Aerror: create pod/app-eshell-..... in namespace \S+: the policy (\S+) of this ` +
		`cluster refuses it, because it cannot be evaluated: no params found .+\nhint: tell whoever manages it; ` +
		`it reads: kubectl get validatingadmissionpolicybinding \S+ -o jsonpath={.spec.paramRef}\n\z`)
	if end.status != 125 || !want.MatchString(end.stderr) {
		t.Errorf("exit status %d, stderr is\n%swant\n%s", end.status, end.stderr, want)
	}
	r.left(t, before)
}
