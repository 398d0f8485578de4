package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/record"
)

// opened is a clone of ann's without a lease, opened ten minutes ago for an hour.
func opened(session, user, reason string) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "api-eshell-" + session, Namespace: "shop", UID: "pod-uid",
		CreationTimestamp: metav1.NewTime(time.Now().Add(-10 * time.Minute)),
		Labels:            owned.Labels(session), Annotations: owned.Annotations("Deployment", "api"),
	}}
	for key, value := range owned.Who(user, reason) {
		p.Annotations[key] = value
	}
	p.Spec = corev1.PodSpec{ActiveDeadlineSeconds: new(int64(3630)),
		ReadinessGates: []corev1.PodReadinessGate{{ConditionType: owned.NeverReady}},
		Containers:     []corev1.Container{{Name: "app", StdinOnce: true}}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app",
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	return p
}

// ephemeralIn is a pod to which others have added containers.
func ephemeralIn() *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "api-7d4b9", Namespace: "shop"}}
	add := func(name string, command []string, state corev1.ContainerState) {
		p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name, Image: "busybox",
				Command: command}, TargetContainerName: "app",
		})
		p.Status.EphemeralContainerStatuses = append(p.Status.EphemeralContainerStatuses,
			corev1.ContainerStatus{Name: name, State: state})
	}
	ago := metav1.NewTime(time.Now().Add(-10 * time.Minute))
	add("debugger-1", []string{"sh", "-c", "\x1b[2Jtop\nexit"},
		corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago}})
	add("debugger-2", nil,
		corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "Error",
			StartedAt: ago}})
	add("debugger-3", []string{"sh"},
		corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}})
	return p
}

// api is a server with these clones and no leases; its user is ann. Others are there, but not listed.
func api(t *testing.T, clones []corev1.Pod, others ...corev1.Pod) string {
	t.Helper()
	answers := map[string]any{
		"GET /api/v1/namespaces/shop/pods": corev1.PodList{
			TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: clones},
		"GET /api/v1/pods": corev1.PodList{
			TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: clones},
		"GET /apis/batch/v1/jobs": batchv1.JobList{
			TypeMeta: metav1.TypeMeta{Kind: "JobList", APIVersion: "batch/v1"}},
		"GET /apis/batch/v1/namespaces/shop/jobs": batchv1.JobList{
			TypeMeta: metav1.TypeMeta{Kind: "JobList", APIVersion: "batch/v1"}},
		"GET /api/v1/namespaces/shop/pods/api-7d4b9": ephemeralIn(),
		"GET /api/v1/namespaces/shop": corev1.Namespace{
			TypeMeta: metav1.TypeMeta{Kind: "Namespace", APIVersion: "v1"}},
		"POST /apis/authentication.k8s.io/v1/selfsubjectreviews": authenticationv1.SelfSubjectReview{
			TypeMeta: metav1.TypeMeta{Kind: "SelfSubjectReview", APIVersion: "authentication.k8s.io/v1"},
			Status: authenticationv1.SelfSubjectReviewStatus{
				UserInfo: authenticationv1.UserInfo{Username: "ann"}},
		},
	}
	for _, clone := range slices.Concat(clones, others) {
		clone.TypeMeta = metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}
		answers["GET /api/v1/namespaces/shop/pods/"+clone.Name] = clone
		answers["DELETE /api/v1/namespaces/shop/pods/"+
			clone.Name] = metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
			Status: metav1.StatusSuccess}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		answer, known := answers[r.Method+" "+r.URL.Path]
		if !known {
			w.WriteHeader(http.StatusNotFound)
			answer = metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
				Status: metav1.StatusFailure, Code: 404, Reason: metav1.StatusReasonNotFound,
				Message: r.Method + " " + r.URL.Path + " is not here"}
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestSessionCommands(t *testing.T) {
	mine, others := opened("aaaaa", "ann", "a\x1b[2Jb"), opened("bbbbb", "bob", "")
	finished := opened("ccccc", "bob", "")
	finished.Status = corev1.PodStatus{Phase: corev1.PodFailed}
	over, starting := opened("ddddd", "ann", ""), opened("eeeee", "ann", "")
	over.Status, starting.Status = finished.Status, corev1.PodStatus{Phase: corev1.PodPending}
	server := api(t, []corev1.Pod{mine, others, finished}, over, starting)
	const noLease = "api-eshell-aaaaa has no lease: it ends at its pod's activeDeadlineSeconds, which cannot be raised"
	tests := []struct {
		argv string
		want ran
	}{
		{"list", ran{out: "NAME               MODE    SOURCE           POD                STATE     AGE   HEARD    LEFT\n" +
			"api-eshell-aaaaa   clone   deployment/api   api-eshell-aaaaa   Running   10m   <none>   50m\n"}},
		{"list -o wide", ran{
			out: "NAME               MODE    SOURCE           POD                CONTAINER   STATE     AGE   HEARD    LEFT   USER   REASON\n" +
				"api-eshell-aaaaa   clone   deployment/api   api-eshell-aaaaa   app         Running   10m   <none>   50m    ann    a[2Jb\n"}},
		{"list -A --all-users",
			ran{out: "NAMESPACE   NAME               MODE    SOURCE           POD                STATE     AGE   HEARD    LEFT   USER\n" +
				"shop        api-eshell-aaaaa   clone   deployment/api   api-eshell-aaaaa   Running   10m   <none>   50m    ann\n" +
				"shop        api-eshell-bbbbb   clone   deployment/api   api-eshell-bbbbb   Running   10m   <none>   50m    bob\n" +
				"shop        api-eshell-ccccc   clone   deployment/api   api-eshell-ccccc   Ended     10m   <none>   50m    bob\n"}},
		{"list --all-users -o name", ran{out: "api-eshell-aaaaa\napi-eshell-bbbbb\napi-eshell-ccccc\n"}},
		{"list pod/api-7d4b9",
			ran{out: "NAME         IMAGE     TARGET   STATE          EXIT     AGE      COMMAND\n" +
				"debugger-1   busybox   app      Running        <none>   10m      sh -c [2Jtop exit\n" +
				"debugger-2   busybox   app      Error          137      10m      <none>\n" +
				"debugger-3   busybox   app      ErrImagePull   <none>   <none>   sh\n"}},
		{"list pod api-7d4b9 -o name", ran{out: "debugger-1\ndebugger-2\ndebugger-3\n"}},
		{"list pod/none", ran{125, "",
			"error: pod/none in namespace shop: GET /api/v1/namespaces/shop/pods/none is not here\n"}},
		{"list deploy/api", ran{125, "",
			"error: deployment/api is not a pod: only pods have ephemeral containers\nhint: list sessions: kubectl eshell list\n"}},
		{"list -A pod/api-7d4b9",
			ran{125, "", "error: --all-namespaces cannot be combined with a pod: pod/api-7d4b9 is in one namespace\n"}},
		{"list -o table", ran{125, "", "error: --output \"table\" is not one of: wide, json, yaml, name\n"}},
		{"list --image x", ran{125, "",
			"error: unknown flag: --image\nhint: list the flags: kubectl eshell list --help\n"}},
		// A word is a command only where it comes first and names no type.
		{"pod/list", ran{125, "",
			"error: pod/list in namespace shop: GET /api/v1/namespaces/shop/pods/list is not here\nhint: list what there is: kubectl get pods -n shop; a name without a type is a pod's\n"}},
		{"pod list", ran{125, "",
			"error: pod/list in namespace shop: GET /api/v1/namespaces/shop/pods/list is not here\nhint: list what there is: kubectl get pods -n shop; a name without a type is a pod's\n"}},

		{"attach", ran{125, "", "pod/api-eshell-aaaaa: one more shell in container app, in namespace shop\n" +
			"error: no command could be started in pod/api-eshell-aaaaa: " +
			"unable to upgrade connection: " +
			"POST /api/v1/namespaces/shop/pods/api-eshell-aaaaa/exec is not here\n" +
			"hint: look at the pod and its node: kubectl describe pod api-eshell-aaaaa -n shop\n"}},
		{"attach api-eshell-aaaaa ls /tmp", ran{125, "", "error: expected one session name, got 3 words\n" +
			"hint: a command goes after two dashes: kubectl eshell attach api-eshell-aaaaa -- ls /tmp\n"}},
		{"attach nosuch", ran{125, "",
			"error: no session is called nosuch in namespace shop\nhint: list sessions: kubectl eshell list --all-users -n shop\n"}},
		{"attach api-eshell-bbbbb",
			ran{125, "", "error: session api-eshell-bbbbb belongs to bob, and you are ann\n" +
				"hint: attach all the same, and let the owner know: " +
				"kubectl eshell attach --force api-eshell-bbbbb -n shop\n"}},
		{"attach api-eshell-bbbbb -- ls a;b",
			ran{125, "", "error: session api-eshell-bbbbb belongs to bob, and you are ann\n" +
				"hint: attach all the same, and let the owner know: " +
				"kubectl eshell attach --force api-eshell-bbbbb -n shop -- ls 'a;b'\n"}},
		{"attach --force api-eshell-bbbbb", ran{125, "",
			"warning: bob could not be told that you attach: it has no lease on which word could be left\n" +
				"pod/api-eshell-bbbbb: one more shell in container app, in namespace shop\n" +
				"error: no command could be started in pod/api-eshell-bbbbb: " +
				"unable to upgrade connection: " +
				"POST /api/v1/namespaces/shop/pods/api-eshell-bbbbb/exec is not here\n" +
				"hint: look at the pod and its node: kubectl describe pod api-eshell-bbbbb -n shop\n"}},
		{"attach api-eshell-ddddd",
			ran{125, "", "error: session api-eshell-ddddd has ended\nhint: list running sessions: kubectl eshell list -n shop\n"}},
		{"attach api-eshell-eeeee",
			ran{125, "", "error: session api-eshell-eeeee has not started yet\nhint: see its progress: kubectl describe pod api-eshell-eeeee -n shop\n"}},

		{"delete", ran{125, "", "error: no session was named\nhint: list sessions: kubectl eshell list\n"}},
		{"delete --all api-eshell-aaaaa",
			ran{125, "", "error: --all cannot be combined with session names\n"}},
		{"delete api-eshell-aaaaa nosuch",
			ran{125, "", "error: no session is called nosuch in namespace shop\nhint: list sessions: kubectl eshell list --all-users -n shop\n"}},
		{"delete api-eshell-bbbbb api-eshell-aaaaa", ran{125, "", "error: session api-eshell-bbbbb belongs to bob, " +
			"and you are ann\nhint: kubectl eshell delete --force -n shop api-eshell-aaaaa api-eshell-bbbbb\n"}},
		{"delete --force api-eshell-bbbbb api-eshell-aaaaa api-eshell-bbbbb",
			ran{out: "api-eshell-aaaaa deleted\napi-eshell-bbbbb deleted\n"}},
		{"delete --all", ran{out: "api-eshell-aaaaa deleted\n"}},

		{"attach deploy/web -- id", ran{125, "", "error: you have no session of deployment/web in namespace shop\n" +
			"hint: list everybody's: kubectl eshell list --all-users -n shop\n"}},
		{"gc --dry-run=server", ran{out: "api-eshell-ccccc: it has ended: would be removed (dry run)\n"}},
		{"gc --dry-run", ran{out: "api-eshell-ccccc: it has ended: would be removed (dry run)\n"}},
		{"gc", ran{out: "api-eshell-ccccc: it has ended: removed\n"}},
		{"gc -A", ran{out: "shop/api-eshell-ccccc: it has ended: removed\n"}},
		{"gc everything", ran{125, "", "error: gc takes no names: everything\n"}},

		{"extend api-eshell-aaaaa 1h",
			ran{125, "", "error: " + noLease +
				"\nhint: open a new session with a longer time: kubectl eshell TYPE/NAME --ttl DURATION\n"}},
		{"extend api-eshell-aaaaa",
			ran{125, "", "error: expected a session name and a duration\nhint: kubectl eshell extend NAME DURATION, for example: kubectl eshell extend api-eshell-aaaaa 2h\n"}},
		{"extend api-eshell-aaaaa 2",
			ran{125, "", "error: \"2\" is not a duration, like 90s, 30m, 8h or 2d\nhint: kubectl eshell extend NAME DURATION, for example: kubectl eshell extend api-eshell-aaaaa 2h\n"}},
		{"extend api-eshell-aaaaa 2ms", ran{125, "", "error: 2ms is less than a second: a session's time can only be extended\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.argv, func(t *testing.T) {
			words := strings.Fields(tt.argv)
			argv := slices.Insert(words, 1, "-n", "shop", "--server", server)
			if got := runMain(t.Context(), t, argv...); got != tt.want {
				t.Errorf("got\n%+v\nwant\n%+v", got, tt.want)
			}
		})
	}
}

func TestNothingFound(t *testing.T) {
	server := api(t, nil)
	for argv, want := range map[string]ran{
		"list":         {errOut: "No resources found in shop namespace.\n"},
		"list -A":      {errOut: "No resources found\n"},
		"list -o name": {errOut: "No resources found in shop namespace.\n"},
		"list -o json": {out: "{\n    \"apiVersion\": \"kubectl-eshell.github.io/v1alpha1\",\n    \"items\": [],\n    \"kind\": \"SessionList\"\n}\n"},
		"list -o yaml": {out: "apiVersion: kubectl-eshell.github.io/v1alpha1\nitems: []\nkind: SessionList\n"},
		"delete --all": {errOut: "No resources found in shop namespace.\n"},
		"gc":           {errOut: "nothing to remove\n"},
	} {
		if got := runMain(t.Context(), t,
			append(strings.Fields(argv), "-n", "shop", "--server", server)...); got != want {
			t.Errorf("%s: got\n%+v\nwant\n%+v", argv, got, want)
		}
	}
}

// The help of a command about sessions names its own flags, and none of a clone's or of the connection.
func TestSessionHelp(t *testing.T) {
	for _, word := range []string{"attach", "list", "delete", "extend", "gc", "check", "rbac"} {
		got := runMain(t.Context(), t, word, "--help")
		if got.status != 0 || got.errOut != "" || !strings.Contains(got.out,
			"Usage:\n  kubectl eshell "+word) || !strings.Contains(got.out, "kubectl eshell options") {
			t.Errorf("%s --help: %+v", word, got)
		}
		if strings.Contains(got.out, "--image") || strings.Contains(got.out, "--kubeconfig") {
			t.Errorf("%s --help names other flags:\n%s", word, got.out)
		}
	}
}

// TestAttaching: what attach can be asked for, and what it refuses.
func TestAttaching(t *testing.T) {
	for _, tt := range []struct {
		argv []string
		want Options
		err  string
	}{
		{nil, Options{Escape: '~'}, ""},
		{[]string{"--idle=15m", "--escape=none"}, Options{Idle: 15 * time.Minute, Typed: []string{"idle"}}, ""},
		{[]string{"--idle=0"}, Options{Escape: '~', Typed: []string{"idle"}}, ""},
		{[]string{"--record=a", "--record-format=v2", "--record-input"},
			Options{Escape: '~', Record: recordOptions{"a", record.V2, true}}, ""},
		{[]string{"--record=-"}, Options{}, `--record "-" is not a file: stdout has the session's own output`},
		{[]string{"--record-input"}, Options{}, "--record-input needs --record"},
		{[]string{"--idle=5s"}, Options{}, "--idle 5s is less than 10s"},
		{[]string{"--idle="}, Options{}, "--idle is empty"},
		{[]string{"--escape="}, Options{}, `--escape "" is neither a character nor none`},
	} {
		if tt.want.Record == (recordOptions{}) {
			tt.want.Record.Format = record.V3
		}
		a, set := &attaching{}, pflag.NewFlagSet("attach", pflag.ContinueOnError)
		a.define(set)
		if err := set.Parse(tt.argv); err != nil {
			t.Fatal(err)
		}
		got, err := a.options(set)
		switch {
		case tt.err != "" && (err == nil || err.Error() != tt.err):
			t.Errorf("%v: error %v, want %s", tt.argv, err, tt.err)
		case tt.err == "" && (err != nil || !reflect.DeepEqual(got, tt.want)):
			t.Errorf("%v: %+v, %v; want %+v", tt.argv, got, err, tt.want)
		}
	}
}

// TestAttachDefaults: what a team wants of every shell is for those of attach too, unless a flag was typed.
func TestAttachDefaults(t *testing.T) {
	t.Setenv("KUBECONFIG", "/dev/null")
	for variable, value := range map[string]string{"CONFIG": "/dev/null", "IDLE": "15m", "DETACH": "true",
		"ESCAPE": "none", "MODE": "debug", "RECORD": "a", "RECORD_FORMAT": "v2", "RECORD_INPUT": "true", "TTY": "true",
		"START_TIMEOUT": "5m"} {
		t.Setenv("ESHELL_"+variable, value)
	}
	parse := func(argv ...string) (Options, error) {
		a, set := &attaching{}, pflag.NewFlagSet("attach", pflag.ContinueOnError)
		a.define(set)
		if err := set.Parse(argv); err != nil {
			t.Fatal(err)
		}
		return a.withDefaults(t.Context(), set, genericclioptions.NewConfigFlags(true))
	}
	for _, tt := range []struct {
		argv []string
		want Options
	}{
		{nil, Options{StartTimeout: 5 * time.Minute, Idle: 15 * time.Minute,
			Record: recordOptions{"", record.V2, true}}},
		{[]string{"--idle=0", "--escape=%"}, Options{StartTimeout: 5 * time.Minute, Escape: '%',
			Typed: []string{"idle"}, Record: recordOptions{"", record.V2, true}}},
		{[]string{"--record=b", "--record-format=v3", "--start-timeout=3s"}, Options{StartTimeout: 3 * time.Second,
			Idle: 15 * time.Minute, Record: recordOptions{"b", record.V3, true}}},
	} {
		if got, err := parse(tt.argv...); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: %+v, %v; want %+v", tt.argv, got, err, tt.want)
		}
	}
	t.Setenv("ESHELL_IDLE", "5s")
	if _, err := parse(); err == nil || err.Error() != "environment ESHELL_IDLE: --idle 5s is less than 10s" {
		t.Errorf("a default that is not possible: %v", err)
	}
}
