package inventory

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// then is when the sessions of these tests were opened.
var then = metav1.NewTime(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))

// clone is a running clone without a lease, with 8 hours to live.
func clone(session string, changes ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "api-eshell-" + session, Namespace: "shop", UID: "pod-uid", CreationTimestamp: then,
			Labels: owned.Labels(session),
			Annotations: map[string]string{
				owned.SourceKindAnnotation: "Deployment", owned.SourceNameAnnotation: "api",
				owned.UserAnnotation: "ann", owned.ReasonAnnotation: "incident 12",
			},
		},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "sidecar"},
				{Name: "app", Stdin: true, StdinOnce: true}},
			ActiveDeadlineSeconds: new(int64(28800)),
			ReadinessGates:        []corev1.PodReadinessGate{{ConditionType: owned.NeverReady}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, StartTime: new(metav1.NewTime(then.Add(time.Minute))),
			ContainerStatuses: []corev1.ContainerStatus{{Name: "app",
				State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}},
		},
	}
	for _, change := range changes {
		change(p)
	}
	return p
}

func leased(p *corev1.Pod) {
	p.Spec.ActiveDeadlineSeconds = nil
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job",
		Name: owned.LeaseName(p.Labels[owned.SessionLabel]), UID: "job-uid"}}
}

// alone makes a clone one that nobody attends.
func alone(p *corev1.Pod) {
	p.Spec.Containers[1].StdinOnce = false
	p.Annotations[owned.KeptAnnotation], p.Annotations[owned.ContainerAnnotation] = owned.Detached, "app"
}

func phase(phase corev1.PodPhase) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status = corev1.PodStatus{Phase: phase} }
}

func deleted(p *corev1.Pod) {
	// the fake keeps no deleted pod without
	p.DeletionTimestamp, p.Finalizers = &then, []string{"example.com/slow"}
}

// theLease is the renewed lease of a clone.
func theLease(session string, changes ...func(*batchv1.Job)) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Name: owned.LeaseName(session), Namespace: "shop", UID: "job-uid", CreationTimestamp: then,
		Labels: owned.Labels(session),
		Annotations: map[string]string{
			owned.ModeAnnotation: "clone", owned.PodAnnotation: "api-eshell-" + session,
			owned.ContainerAnnotation:  "app",
			owned.SourceKindAnnotation: "Deployment", owned.SourceNameAnnotation: "api",
			owned.UserAnnotation: "ann", owned.ReasonAnnotation: "incident 12", owned.TTLAnnotation: "3600",
		},
	}}
	j.Spec.Template.Spec.Containers = []corev1.Container{{Name: "never-runs"}}
	j.Spec.Parallelism = new(int32(0))
	for _, change := range changes {
		change(j)
	}
	return j
}

func says(key, value string) func(*batchv1.Job) {
	return func(j *batchv1.Job) { j.Annotations[key] = value }
}

func uid(uid types.UID) func(*batchv1.Job) { return func(j *batchv1.Job) { j.UID = uid } }

func debug(j *batchv1.Job) {
	says(owned.ModeAnnotation, "debug")(j)
	says(owned.PodAnnotation, "api-7d4b9")(j)
	says(owned.ContainerAnnotation, "postgres")(j) // which anybody can write
}

func condition(c batchv1.JobConditionType) func(*batchv1.Job) {
	return func(j *batchv1.Job) {
		j.Status.Conditions = []batchv1.JobCondition{{Type: c, Status: corev1.ConditionTrue}}
	}
}

// cluster answers ann.
func cluster(objects ...runtime.Object) *fake.Clientset {
	client := fake.NewClientset(objects...)
	client.PrependReactor("create", "selfsubjectreviews",
		func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, &authenticationv1.SelfSubjectReview{
				Status: authenticationv1.SelfSubjectReviewStatus{
					UserInfo: authenticationv1.UserInfo{Username: "ann"}}}, nil
		})
	return client
}

func failing(client *fake.Clientset, verb, resource string, err error) {
	client.PrependReactor(verb, resource,
		func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, err })
}

func forbidden(resource string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New("no"))
}

func read(t *testing.T, client *fake.Clientset) *Inventory {
	t.Helper()
	found, err := Read(t.Context(), client, "shop")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// line is all that is to be known of a session.
func line(s Session) string {
	ends := "?"
	if s.Ends != nil {
		ends = s.Ends.Sub(then.Time).String()
	}
	return strings.Join([]string{s.Namespace, s.Name, s.Mode, s.Source, s.Pod, s.Container, s.Lease,
		string(s.State), ends + s.Kept, s.User, s.Reason}, " ")
}

func TestSessions(t *testing.T) {
	tests := []struct {
		name    string
		objects []runtime.Object
		want    string
	}{
		{"a clone with its lease", []runtime.Object{clone("x7k2p", leased), theLease("x7k2p")},
			"shop api-eshell-x7k2p clone deployment/api api-eshell-x7k2p app eshell-x7k2p Running 1h0m0s ann incident 12"},
		{"a clone without one", []runtime.Object{clone("x7k2p")},
			"shop api-eshell-x7k2p clone deployment/api api-eshell-x7k2p app  Running 8h1m0s ann incident 12"},
		{"a detached clone without one", []runtime.Object{clone("x7k2p", alone)},
			"shop api-eshell-x7k2p clone deployment/api api-eshell-x7k2p app  Running 8h1m0sdetached ann incident 12"},
		{"a detached debug session",
			[]runtime.Object{theLease("x7k2p", debug, says(owned.KeptAnnotation, owned.Detached))},
			"shop eshell-x7k2p debug deployment/api api-7d4b9 eshell-x7k2p eshell-x7k2p Running 1h0m0sdetached ann incident 12"},
		{"no node has it yet", []runtime.Object{clone("x7k2p", phase(corev1.PodPending))},
			"shop api-eshell-x7k2p clone deployment/api api-eshell-x7k2p app  Starting 8h0m0s ann incident 12"},
		{"a clone that has ended",
			[]runtime.Object{clone("x7k2p", leased, phase(corev1.PodFailed)), theLease("x7k2p")},
			"shop api-eshell-x7k2p clone deployment/api api-eshell-x7k2p app eshell-x7k2p Ended 1h0m0s ann incident 12"},
		{"a clone that is being deleted", []runtime.Object{clone("x7k2p", deleted)},
			"shop api-eshell-x7k2p clone deployment/api api-eshell-x7k2p app  Ending 8h1m0s ann incident 12"},
		{"a clone that is gone", []runtime.Object{theLease("x7k2p")},
			"shop eshell-x7k2p clone deployment/api   eshell-x7k2p Deleted 1h0m0s ann incident 12"},
		{"a debug session", []runtime.Object{theLease("x7k2p", debug)},
			"shop eshell-x7k2p debug deployment/api api-7d4b9 eshell-x7k2p eshell-x7k2p Running 1h0m0s ann incident 12"},
		{"a lease that has failed", []runtime.Object{theLease("x7k2p", debug, condition(batchv1.JobFailed))},
			"shop eshell-x7k2p debug deployment/api api-7d4b9 eshell-x7k2p eshell-x7k2p Ended 1h0m0s ann incident 12"},
		{"a lease that was just taken", []runtime.Object{theLease("x7k2p", says(owned.PodAnnotation, ""))},
			"shop eshell-x7k2p clone deployment/api   eshell-x7k2p Starting 1h0m0s ann incident 12"},
		{"a lease that says no time",
			[]runtime.Object{theLease("x7k2p", debug, says(owned.TTLAnnotation, "long"))},
			"shop eshell-x7k2p debug deployment/api api-7d4b9 eshell-x7k2p eshell-x7k2p Running ? ann incident 12"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := read(t, cluster(tt.objects...))
			if len(found.Sessions) != 1 || line(found.Sessions[0]) != tt.want || found.Unread != nil {
				t.Errorf("got  %+v, %v\nwant %s", found.Sessions, found.Unread, tt.want)
			}
		})
	}
}

// TestRefreshStates: a debug session is as its container is, whatever its lease says.
func TestRefreshStates(t *testing.T) {
	holder := agent.New(agent.Options{Session: "x7k2p", Via: agent.ViaExec})
	in := func(state corev1.ContainerState, others ...string) *corev1.Pod {
		spec := corev1.PodSpec{
			EphemeralContainers: []corev1.EphemeralContainer{
				{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "eshell-x7k2p",
					Command: holder.Process,
					Env:     []corev1.EnvVar{{Name: agent.ScriptsVariable, Value: holder.Scripts}}}}}}
		if others != nil {
			spec.EphemeralContainers[0].Command = others
		}
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "api-7d4b9", Namespace: "shop"}, Spec: spec,
			Status: corev1.PodStatus{
				Phase: corev1.PodRunning,
				ContainerStatuses: []corev1.ContainerStatus{{Name: "app",
					State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}},
				EphemeralContainerStatuses: []corev1.ContainerStatus{{Name: "eshell-x7k2p", State: state}},
			}}
	}
	runs, ended := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
	tests := []struct {
		name    string
		objects []runtime.Object
		refusal error
		want    State
	}{
		{"it runs", []runtime.Object{theLease("x7k2p", debug), in(runs)}, nil, Running},
		{"it has ended before its lease", []runtime.Object{theLease("x7k2p", debug), in(ended)}, nil, Ended},
		{"its image is pulled", []runtime.Object{theLease("x7k2p", debug), in(corev1.ContainerState{})}, nil,
			Starting},
		{"its pod is gone", []runtime.Object{theLease("x7k2p", debug)}, nil, Ended},
		{"its pod is another one of that name",
			[]runtime.Object{theLease("x7k2p", debug),
				&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "api-7d4b9", Namespace: "shop"}}}, nil,
			Ended},
		{"its container is somebody else's",
			[]runtime.Object{theLease("x7k2p", debug), in(runs, "sh", "-c", "sleep 9")}, nil, Ended},
		{"its pod may not be read", []runtime.Object{theLease("x7k2p", debug), in(runs)}, forbidden("pods"),
			Unknown},
		{"its lease has ended",
			[]runtime.Object{theLease("x7k2p", debug, condition(batchv1.JobFailed)), in(runs)}, nil, Ended},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := cluster(tt.objects...)
			if tt.refusal != nil {
				failing(client, "get", "pods", tt.refusal)
			}
			sessions := read(t, client).Sessions
			RefreshStates(t.Context(), client, sessions)
			if len(sessions) != 1 || sessions[0].State != tt.want {
				t.Errorf("sessions %+v, want one that is %s", sessions, tt.want)
			}
		})
	}
}

// What only looks like ours is left out: another's labels, a controller's pod, another namespace, a pod or a
// Job that was given our labels.
func TestOnlyOurs(t *testing.T) {
	replica := func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "api", Controller: new(true)}}
	}
	cron := func(j *batchv1.Job) {
		j.OwnerReferences = []metav1.OwnerReference{{Kind: "CronJob", Name: "api", Controller: new(true)}}
	}
	found := read(t, cluster(
		clone("aaaaa", func(p *corev1.Pod) { p.Labels[owned.ManagedByLabel] = "Helm" }),
		clone("bbbbb", func(p *corev1.Pod) { delete(p.Labels, owned.SessionLabel) }),
		clone("ccccc", func(p *corev1.Pod) { p.Namespace = "bank" }),
		clone("ddddd", replica), theLease("eeeee", cron), clone("zzzzz"), clone("yyyyy"),
		clone("fffff", func(p *corev1.Pod) { p.Spec.ReadinessGates = nil }),
		theLease("ggggg", func(j *batchv1.Job) { j.Name = "eshell-hhhhh" }),
		theLease("iiiii", func(j *batchv1.Job) { j.Spec.Template.Spec.Containers[0].Name = "migrate" }),
	))
	var names []string
	for _, s := range found.Sessions {
		names = append(names, s.Name)
	}
	if want := []string{"api-eshell-yyyyy", "api-eshell-zzzzz"}; !slices.Equal(names, want) {
		t.Errorf("sessions %q, want %q", names, want)
	}
}

func TestOwn(t *testing.T) {
	client := cluster(clone("x7k2p"), theLease("bbbbb", debug, says(owned.UserAnnotation, "bob")))
	found := read(t, client)
	if own := found.Own(); found.User != "ann" || len(own) != 1 || own[0].Name != "api-eshell-x7k2p" {
		t.Errorf("%s's own sessions are %+v", found.User, own)
	}
	failing(client, "create", "selfsubjectreviews", forbidden("selfsubjectreviews"))
	if found := read(t, client); found.User != "" || len(found.Own()) != 0 || len(found.Sessions) != 2 {
		t.Errorf("nobody's own sessions are %+v, of %d", found.Own(), len(found.Sessions))
	}
}

func TestReadWhatMayBeRead(t *testing.T) {
	tests := []struct {
		name       string
		pods, jobs error
		want       string // sessions
		err        string
	}{
		{"no pods", forbidden("pods"), nil, "eshell-ddddd Running, eshell-x7k2p Unknown", ""},
		{"no jobs", nil, forbidden("jobs"), "api-eshell-x7k2p Running", ""},
		{"neither", forbidden("pods"), forbidden("jobs"), "",
			"list sessions: pods is forbidden: no\njobs is forbidden: no"},
		{"a failure", errors.New("connection refused"), nil, "", "list sessions: connection refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := cluster(clone("x7k2p", leased), theLease("x7k2p"), theLease("ddddd", debug, uid("other")))
			if tt.pods != nil {
				failing(client, "list", "pods", tt.pods)
			}
			if tt.jobs != nil {
				failing(client, "list", "jobs", tt.jobs)
			}
			found, err := Read(t.Context(), client, "shop")
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			var got []string
			for _, s := range found.Sessions {
				got = append(got, s.Name+" "+string(s.State))
			}
			if strings.Join(got, ", ") != tt.want || found.Unread == nil {
				t.Errorf("sessions %q, unread %v; want %s", got, found.Unread, tt.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	found := read(t, cluster(clone("x7k2p", leased), theLease("x7k2p"), theLease("ddddd", debug, uid("other"))))
	for name, want := range map[string]string{"api-eshell-x7k2p": "api-eshell-x7k2p",
		"eshell-x7k2p": "api-eshell-x7k2p", "eshell-ddddd": "eshell-ddddd"} {
		if s, err := found.Find(name); err != nil || s.Name != want {
			t.Errorf("Find(%q) = %s, %v; want %s", name, s.Name, err, want)
		}
	}
	_, err := found.Find("api")
	if err == nil || err.Error() != "no session is called api in namespace shop" ||
		hint.Of(err) != "list sessions: kubectl eshell list --all-users -n shop" {
		t.Errorf("error %v, hint %q", err, hint.Of(err))
	}
}

// TestPairs: a clone and a lease are one session only by the owner's UID. Labels and annotations that anybody
// can write pair nothing, hide nothing and rename nothing.
func TestPairs(t *testing.T) {
	decoy := func(changes ...func(*batchv1.Job)) *batchv1.Job {
		j := theLease("x7k2p", uid("decoy"))
		for _, change := range changes {
			change(j)
		}
		return j
	}
	second := clone("x7k2p", leased, func(p *corev1.Pod) { p.Name, p.UID = "b-eshell-x7k2p", "pod-2" })
	tests := []struct {
		name    string
		objects []runtime.Object
		want    []string // name, lease, user
	}{
		{"a lease with the label of a clone", []runtime.Object{clone("x7k2p", leased),
			decoy(says(owned.UserAnnotation, "admin"))},
			[]string{"api-eshell-x7k2p  ann", "eshell-x7k2p eshell-x7k2p admin"}},
		{"one that has ended", []runtime.Object{clone("x7k2p"), decoy(condition(batchv1.JobFailed))},
			[]string{"api-eshell-x7k2p  ann", "eshell-x7k2p eshell-x7k2p ann"}},
		{"two clones with one label", []runtime.Object{clone("x7k2p"),
			clone("x7k2p", func(p *corev1.Pod) { p.Name, p.UID = "b-eshell-x7k2p", "pod-2" })},
			[]string{"api-eshell-x7k2p  ann", "b-eshell-x7k2p  ann"}},
		{"two clones of one lease", []runtime.Object{second, clone("x7k2p", leased), theLease("x7k2p")},
			[]string{"api-eshell-x7k2p eshell-x7k2p ann", "b-eshell-x7k2p  ann"}},
		{"a lease that says who owns a clone", []runtime.Object{clone("x7k2p", leased),
			theLease("x7k2p", says(owned.UserAnnotation, "admin"))},
			[]string{"api-eshell-x7k2p eshell-x7k2p "}},
		{"a pod that refers to somebody else's debug session", []runtime.Object{
			clone("x7k2p", leased, func(p *corev1.Pod) {
				p.Name, p.Annotations[owned.UserAnnotation] = "eshell-x7k2p", "admin"
			}), theLease("x7k2p", debug)},
			[]string{"eshell-x7k2p  admin", "eshell-x7k2p eshell-x7k2p ann"}},
		{"two of them", []runtime.Object{second, clone("x7k2p", leased), theLease("x7k2p", debug)},
			[]string{"api-eshell-x7k2p  ann", "b-eshell-x7k2p  ann", "eshell-x7k2p eshell-x7k2p ann"}},
		{"a pod that refers to somebody else's clone's lease", []runtime.Object{second, theLease("x7k2p")},
			[]string{"b-eshell-x7k2p  ann", "eshell-x7k2p eshell-x7k2p ann"}},
		{"two clones of a lease that names none", []runtime.Object{second, clone("x7k2p", leased),
			theLease("x7k2p", says(owned.PodAnnotation, ""))},
			[]string{"api-eshell-x7k2p  ann", "b-eshell-x7k2p  ann", "eshell-x7k2p eshell-x7k2p ann"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found := read(t, cluster(tt.objects...))
			var got []string
			for _, s := range found.Sessions {
				got = append(got, s.Name+" "+s.Lease+" "+s.User)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("sessions %q, want %q", got, tt.want)
			}
			for _, s := range found.Sessions {
				why, err := found.GarbageReason(t.Context(), cluster(tt.objects...), s, then.Time)
				if err != nil || why != "" && s.Pod != "" && s.Lease == "" && s.pod.OwnerReferences == nil {
					t.Errorf("%s would be removed: %s, %v", s.Name, why, err)
				}
			}
		})
	}
}

// TestFindAmbiguous: a name that a pod and a lease have is not guessed at.
func TestFindAmbiguous(t *testing.T) {
	found := read(t, cluster(
		clone("x7k2p", func(p *corev1.Pod) { p.Name = "eshell-ddddd" }), theLease("ddddd", debug)))
	_, err := found.Find("eshell-ddddd")
	if err == nil || err.Error() != "2 sessions are called eshell-ddddd in namespace shop" ||
		hint.Of(err) != "say which one: pod/eshell-ddddd or job/eshell-ddddd" {
		t.Errorf("error %v, hint %q", err, hint.Of(err))
	}
	for name, want := range map[string]string{"pod/eshell-ddddd": "clone", "job/eshell-ddddd": "debug"} {
		if s, err := found.Find(name); err != nil || s.Mode != want {
			t.Errorf("Find(%q): a %s session, %v; want %s", name, s.Mode, err, want)
		}
	}
}
