//go:build unix

package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/access"
)

// estate has a workload of each kind, and two that do not start.
const estate = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: app, image: "localhost/eshell/busybox:1", command: [sleep, "86400"]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: joined}
spec: {selector: {app: joined}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: joined, labels: {app: joined}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: app, image: "localhost/eshell/busybox:1", command: [sleep, "86400"]}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 0
  serviceName: db
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: app, image: "localhost/eshell/busybox:1"}]}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {nodeSelector: {none: none}, containers: [{name: app, image: "localhost/eshell/busybox:1"}]}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: alone}
spec:
  replicas: 0
  selector: {matchLabels: {app: alone}}
  template: {metadata: {labels: {app: alone}}, spec: {containers: [{name: app, image: "localhost/eshell/busybox:1"}]}}
---
apiVersion: v1
kind: ReplicationController
metadata: {name: old}
spec:
  replicas: 0
  selector: {app: old}
  template: {metadata: {labels: {app: old}}, spec: {containers: [{name: app, image: "localhost/eshell/busybox:1"}]}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: app, image: "localhost/eshell/busybox:1"}]}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: report}
spec:
  schedule: "0 0 1 1 *"
  suspend: true
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: app, image: "localhost/eshell/busybox:1"}]}}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Mi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: data}
spec:
  replicas: 0
  selector: {matchLabels: {app: data}}
  template:
    metadata: {labels: {app: data}}
    spec:
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
      containers: [{name: app, image: "localhost/eshell/busybox:1", volumeMounts: [{name: data, mountPath: /data}]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: unmounted}
spec:
  replicas: 0
  selector: {matchLabels: {app: unmounted}}
  template:
    metadata: {labels: {app: unmounted}}
    spec:
      volumes: [{name: none, configMap: {name: none}}]
      containers: [{name: app, image: "localhost/eshell/busybox:1", volumeMounts: [{name: none, mountPath: /none}]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: unprepared}
spec:
  replicas: 0
  selector: {matchLabels: {app: unprepared}}
  template:
    metadata: {labels: {app: unprepared}}
    spec:
      volumes: [{name: data, emptyDir: {}}]
      initContainers: [{name: prepare, image: "localhost/eshell/busybox:1", command: [sh, -c, "echo no-such-table; exit 4"], volumeMounts: [{name: data, mountPath: /data}]}]
      containers: [{name: app, image: "localhost/eshell/busybox:1", volumeMounts: [{name: data, mountPath: /data}]}]
`

// loss is what a user notices who lacks one permission of the Role.
type loss struct {
	permission string
	typed      string // after kubectl eshell; CLONE and DEBUG are detached sessions
	says       string // a pattern of what it prints only without the permission
	asks       bool   // it is a pattern of the requests that are sent
	own        string // opens a detached session of the case's own, OWN
	then       string // what kubectl does with that
	fails      bool   // the session fails with the whole Role too
}

// losses have at least one for each permission that kubectl eshell rbac prints.
func losses() []loss {
	var all []loss
	for _, named := range [][2]string{{"pods", "pod/joined"}, {"deployments.apps", "deploy/web"},
		{"statefulsets.apps", "sts/db"}, {"daemonsets.apps", "ds/agent"}, {"replicasets.apps", "rs/alone"},
		{"cronjobs.batch", "cronjob/report"}, {"jobs.batch", "job/once"}, {"replicationcontrollers", "rc/old"},
		{"services", "svc/web"}} {
		all = append(all, loss{permission: "get " + named[0], typed: named[1] + " --explain",
			says: `^error: .* is forbidden: User .* cannot get resource`})
	}
	for _, listed := range []string{"services", "poddisruptionbudgets.policy",
		"networkpolicies.networking.k8s.io", "deployments.apps", "statefulsets.apps", "daemonsets.apps",
		"replicasets.apps", "replicationcontrollers", "jobs.batch"} {
		all = append(all, loss{permission: "list " + listed, typed: "deploy/web --explain",
			says: `without labels .*` + regexp.QuoteMeta(listed) + ` cannot be listed`})
	}
	for _, offered := range [][2]string{{"deployments.apps", "deploy/wep"}, {"statefulsets.apps", "sts/dp"},
		{"daemonsets.apps", "ds/agemt"}, {"cronjobs.batch", "cronjob/raport"}, {"jobs.batch", "job/onze"},
		{"pods", "pod/joimed"}} {
		all = append(all, loss{permission: "list " + offered[0], typed: offered[1] + " --explain",
			says: `hint: list what there is`, fails: true})
	}
	return slices.Concat(all, sessionLosses(), []loss{
		{permission: "get persistentvolumeclaims", typed: "deploy/data --volumes fresh --explain",
			says: `^error: .* claim data could not be read, .*cannot get resource "persistentvolumeclaims"`},
		{permission: "list pods", typed: "deploy/data --explain", says: `pods is forbidden: .* cannot list`},
		{permission: "list pods", typed: "deploy/web --pin --explain", says: `^error: .* cannot list resource "pods"`},
		{permission: "list pods", typed: "svc/joined --explain", says: `^error: .* cannot list resource "pods"`},
		{permission: "list pods", typed: "deploy/web --mode debug --explain",
			says: `^error: .* cannot list resource "pods"`},
		{permission: "list replicasets.apps", typed: "deploy/web --revision 1 --explain",
			says: `^error: .* cannot list resource "replicasets"`},
		{permission: "list controllerrevisions.apps", typed: "sts/db --revision 1 --explain",
			says: `^error: .* cannot list resource "controllerrevisions"`},
		{permission: "list controllerrevisions.apps", typed: "ds/agent --revision 1 --explain",
			says: `^error: .* cannot list resource "controllerrevisions"`},
	})
}

// sessionLosses are those of sessions that start, or nearly so, and of the commands for them.
func sessionLosses() []loss {
	const clone, debug = "deploy/web -- true", "pod/joined --mode debug --new -- true"
	return []loss{
		{permission: "create pods", typed: clone, says: `^error: .* cannot create resource "pods"`},
		{permission: "delete pods", typed: clone, says: `^error: you are not allowed to delete pods`},
		{permission: "watch pods", typed: clone, says: `^error: you are not allowed to watch pods`},
		{permission: "watch pods", typed: debug, says: `^error: you are not allowed to watch pods`},
		{permission: "create pods/attach", typed: clone, says: `^error: you are not allowed to create pods/attach`},
		{permission: "create pods/attach", typed: debug, says: `^error: you are not allowed to create pods/attach`},
		{permission: "create pods/exec", typed: clone, says: `^warning: running by attach`},
		{permission: "create pods/exec", typed: debug, says: `^warning: running by attach`},
		{permission: "create pods/exec", typed: "pod/joined --mode debug --new --via attach -- true",
			says: `^warning: .*(?s:until|--ttl)`},
		{permission: "create pods/exec", typed: "attach --force CLONE -- true", says: `^error: .*pods/exec`},
		{permission: "get pods", typed: "attach --force CLONE -- true", says: `^error: no session is called CLONE`},
		{permission: "patch pods/ephemeralcontainers", typed: debug,
			says: `^error: .* cannot patch resource "pods/ephemeralcontainers"`},
		{permission: "create jobs.batch", typed: clone, says: `no lease: .*cannot create resource "jobs"`},
		{permission: "patch jobs.batch", typed: "deploy/web --explain", says: `you are not allowed to patch jobs`},
		{permission: "list events", typed: "deploy/unmounted --start-timeout 6s -- true",
			says: `it still waits for [^:\n]*$`, fails: true},
		{permission: "get pods/log", typed: "deploy/unprepared -- true",
			says: `^warning: the log of container prepare could not be read`, fails: true},
		{permission: "get pods/exec", typed: clone, says: `^POST pods/exec$`, asks: true},
		{permission: "get pods/attach", typed: clone, says: `^POST pods/attach$`, asks: true},
		{permission: "get pods/exec", typed: debug, says: `^POST pods/exec$`, asks: true},
		{permission: "delete jobs.batch", own: "pod/joined --mode debug --new", typed: "delete --force OWN",
			says: `^error: .*cannot delete resource "jobs"`},
		{permission: "create pods/attach", own: "pod/joined --mode debug --new", typed: "delete --force OWN",
			says: `^error: end container OWN in pod/joined: .*pods/attach`},
		{permission: "get pods", own: "pod/joined --mode debug --new", typed: "delete --force OWN",
			says: `^error: OWN: pod/joined could not be read`},
		{permission: "delete pods", own: "deploy/web --without-lease -- true",
			then:  "wait pod/OWN --for=jsonpath={.status.phase}=Succeeded " + inTime,
			typed: "gc", says: `^error: .*pods "OWN" is forbidden: .* cannot delete`},
		{permission: "list pods", typed: "gc --dry-run", says: `^warning: the session list is incomplete: pods`},
		{permission: "get pods", own: "deploy/web", then: "delete pod OWN", typed: "gc",
			says: `is its clone gone\? pods "OWN" is forbidden`},
		{permission: "list pods", typed: "list --all-users", says: `^warning: the session list is incomplete: pods`},
		{permission: "list jobs.batch", typed: "list --all-users",
			says: `^warning: the session list is incomplete: jobs`},
		{permission: "get pods", typed: "list --all-users", says: `DEBUG .* Unknown`},
		{permission: "get jobs.batch", typed: "list DEBUG", says: `^(error|warning): .*cannot get resource "jobs"`},
		{permission: "get jobs.batch", typed: "extend CLONE 1m", says: `^error: .*cannot get resource "jobs"`},
		{permission: "patch jobs.batch", typed: "extend CLONE 1m", says: `^error: .*cannot patch resource "jobs"`},
		{permission: "list jobs.batch", typed: "extend CLONE 1m", says: `^error: `},
		{permission: "patch jobs.batch", typed: "attach --force CLONE -- true",
			says: `^warning: .* could not be told that you attach`},
	}
}

// realmOfRoles is a realm with users who have a Role each.
type realmOfRoles struct {
	namespaceFixture
	clone, debug string     // detached sessions
	typed        sync.Map   // of lines and users: what once returns
	gc           sync.Mutex // held while gc runs: it removes what any case has left for it
}

// TestRBAC: the Role that kubectl eshell rbac prints is enough for all that eshell does, and without any one
// of its permissions something is lost.
func TestRBAC(t *testing.T) {
	t.Parallel()
	here := &realmOfRoles{namespaceFixture: newRealm(t, "rbac", estate)}
	here.grant(t, "--for whole")
	permissions := here.lessOne(t)
	here.makeUser(t, "clone-only", access.Permissions(access.Capabilities(access.Scope{Mode: access.Clone})[:2]))
	kubectl(t, "wait", "-n", here.namespace, "--for=condition=Ready", "pods", "-l", "app in (web,joined)", inTime)
	kubectl(t, "wait", "-n", here.namespace, "--for=create", "controllerrevisions", "-l", "app in (db,agent)", inTime)
	here.clone = here.detach(t, "deploy/web", "whole")
	here.debug = here.detach(t, "pod/joined --mode debug --new", "whole")
	for _, s := range scopes() {
		t.Run(s.flags, func(t *testing.T) {
			t.Parallel()
			here.suffices(t, s)
		})
	}
	for i, p := range permissions {
		t.Run(p.String(), func(t *testing.T) {
			t.Parallel()
			here.loses(t, p, fmt.Sprintf("without-%d", i))
		})
	}
}

// scope is what the flags of kubectl eshell rbac choose, and the sessions that it has to be enough for.
type scope struct {
	flags    string
	sessions []string
}

func scopes() []scope {
	const clone, debug = "deploy/web -- true", "pod/joined --mode debug --new -- true"
	const cloneByAttach = "deploy/web --via attach -- true"
	const debugByAttach = "pod/joined --mode debug --new --via attach -- true"
	const ofWorkload = "deploy/web --mode debug --new -- true"
	return []scope{
		{"--mode all", []string{clone, cloneByAttach, debug, debugByAttach, ofWorkload}},
		{"--mode clone", []string{clone}},
		{"--mode debug", []string{debug}},
		{"--mode clone --via exec", []string{"deploy/web --via exec -- true"}},
		{"--mode debug --via exec", []string{"pod/joined --mode debug --new --via exec -- true"}},
		{"--mode clone --via attach", []string{cloneByAttach}},
		{"--mode debug --via attach", []string{debugByAttach}},
		{"--mode clone --minimal", []string{clone}},
		{"--mode debug --minimal", []string{debug, ofWorkload}},
	}
}

// suffices asserts that a Role is enough for sessions: they have no less to say than those of a user who is
// allowed everything, and kubectl eshell check says so. A minimal one is enough for them to run.
func (r *realmOfRoles) suffices(t *testing.T, s scope) {
	t.Helper()
	user := "whole"
	if s.flags != "--mode all" {
		user = strings.Trim(regexp.MustCompile("[- ]+").ReplaceAllString(s.flags, "-"), "-")
		r.grant(t, s.flags+" --name "+user+" --for "+user)
	}
	minimal := strings.Contains(s.flags, "--minimal")
	flags := strings.Fields(strings.Replace(s.flags, "--minimal", "", 1))
	if missing := r.missing(t, user, flags...); (len(missing) > 0) != minimal {
		t.Errorf("check says that %q is missing", missing)
	}
	if end := r.types(t, "check "+strings.Join(flags, " "), user); end.status != 0 {
		t.Errorf("check: exit status %d\n%s%s", end.status, end.stderr, end.stdout)
	}
	for _, typed := range s.sessions {
		as, all := r.once(t, typed, user), r.once(t, typed, "admin --as-group system:masters")
		got, want := uncounted(as.stderr), uncounted(all.stderr)
		if as.status != 0 || all.status != 0 || got != want && !minimal {
			t.Errorf("%s: status %d:\n%s\nwith every right, status %d:\n%s", typed, as.status, got, all.status, want)
		}
	}
}

func (r *realmOfRoles) detach(t *testing.T, typed, user string) string {
	t.Helper()
	end := r.run(t, "kubectl-eshell --detach --ttl=1h --as "+user+" "+typed)
	if end.status != 0 || strings.Contains(end.stderr, "no lease") != (user != "whole") {
		t.Fatalf("%s: exit status %d: %s", typed, end.status, end.stderr)
	}
	return strings.TrimSpace(end.stdout)
}

// grant applies what the command prints, by the real kubectl.
func (r *realmOfRoles) grant(t *testing.T, flags string) {
	t.Helper()
	if end := r.run(t, "kubectl eshell rbac "+flags+" | kubectl apply -f -"); end.status != 0 {
		t.Fatalf("rbac %s: exit status %d: %s", flags, end.status, end.stderr)
	}
}

// lessOne makes a user for each permission of the Role eshell, who has all others. It returns the
// permissions.
func (r *realmOfRoles) lessOne(t *testing.T) (all []access.Permission) {
	t.Helper()
	roles := client(t).RbacV1().Roles(r.namespace)
	whole, err := roles.Get(t.Context(), "eshell", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range whole.Rules {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				all = append(all, access.Permission{Verb: verb, Group: rule.APIGroups[0], Resource: resource})
			}
		}
	}
	var made sync.WaitGroup
	for i, p := range all {
		made.Go(func() {
			r.makeUser(t, fmt.Sprintf("without-%d", i), slices.DeleteFunc(slices.Clone(all),
				func(other access.Permission) bool { return other == p }))
		})
	}
	made.Wait()
	return all
}

// makeUser makes a user who has the permissions.
func (r *realmOfRoles) makeUser(t *testing.T, name string, permissions []access.Permission) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: name}
	role := &rbacv1.Role{ObjectMeta: meta}
	for _, p := range permissions {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{Verbs: []string{p.Verb},
			APIGroups: []string{p.Group}, Resources: []string{p.Resource}})
	}
	binding := &rbacv1.RoleBinding{ObjectMeta: meta,
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}}}
	api, options := client(t).RbacV1(), metav1.CreateOptions{}
	if _, err := api.Roles(r.namespace).Create(t.Context(), role, options); err != nil {
		t.Error(err)
	}
	if _, err := api.RoleBindings(r.namespace).Create(t.Context(), binding, options); err != nil {
		t.Error(err)
	}
}

// loses asserts that a user who lacks one permission notices it, that nobody does who has it, and that
// kubectl eshell check names it, and no other.
func (r *realmOfRoles) loses(t *testing.T, p access.Permission, user string) {
	t.Helper()
	if got := r.missing(t, user); !slices.Equal(got, []string{p.String()}) {
		t.Errorf("check says that %s lacks %q, want %s", user, got, p)
	}
	found := false
	for _, l := range losses() {
		if l.permission != p.String() {
			continue
		}
		found = true
		t.Run(l.typed, func(t *testing.T) {
			t.Parallel()
			r.shows(t, l, user)
		})
	}
	if !found {
		t.Errorf("nothing shows that %s is needed", p)
	}
}

// shows asserts that a user who lacks a permission is shown that, and nobody who has it.
func (r *realmOfRoles) shows(t *testing.T, l loss, user string) {
	t.Helper()
	if l.typed == "gc" {
		r.gc.Lock()
		defer r.gc.Unlock()
	}
	names := []string{"CLONE", r.clone, "DEBUG", r.debug}
	if l.own != "" {
		names = append(names, "OWN", r.own(t, l))
	}
	named := strings.NewReplacer(names...)
	l.typed, l.says = named.Replace(l.typed), named.Replace(l.says)
	says, asWhole := regexp.MustCompile("(?m)"+l.says), r.types
	run := r.types
	switch {
	case l.asks:
		run, asWhole = r.requests, r.requests
	case strings.Contains(l.typed, " -- "):
		asWhole = r.once
	}
	without, with := run(t, l.typed, user), asWhole(t, l.typed, "whole")
	if !says.MatchString(without.stderr+without.stdout) || says.MatchString(with.stderr+with.stdout) ||
		(with.status == 0) == l.fails {
		t.Errorf("want only without it: %s\nWITHOUT: status %d\n%s%s\nWITH: status %d\n%s%s", l.says,
			without.status, without.stderr, without.stdout, with.status, with.stderr, with.stdout)
	}
}

// own opens a session for one case.
func (r *realmOfRoles) own(t *testing.T, l loss) string {
	t.Helper()
	typed, user := l.own, "whole"
	if strings.Contains(typed, " --without-lease") {
		typed, user = strings.Replace(typed, " --without-lease", "", 1), "clone-only"
	}
	name := r.detach(t, typed, user)
	if l.then != "" {
		kubectl(t, append(strings.Fields(strings.ReplaceAll(l.then, "OWN", name)), "-n", r.namespace)...)
	}
	return name
}

// types types a line as a user. What opens no stream needs no process of its own.
func (r *realmOfRoles) types(t *testing.T, typed, user string) ending {
	t.Helper()
	if strings.Contains(typed, " -- ") {
		return r.run(t, "kubectl-eshell --as "+user+" "+typed)
	}
	return eshell(t.Context(), append(strings.Fields(typed), "-n", r.namespace, "--as", user)...)
}

// once types a line as a user, or returns how it ended when it was typed before: a session has its price.
func (r *realmOfRoles) once(t *testing.T, typed, user string) ending {
	t.Helper()
	run, _ := r.typed.LoadOrStore(user+" "+typed, sync.OnceValue(func() ending { return r.types(t, typed, user) }))
	return run.(func() ending)()
}

// uncounted returns what a session says, without what depends on other sessions.
func uncounted(stderr string) string {
	return regexp.MustCompile(`(?m)^  pod/joined has \d+ ephemeral containers .*\n`).ReplaceAllString(anySession(stderr), "")
}

// requests types a line as a user, and returns what it asks the API server for as its output.
func (r *realmOfRoles) requests(t *testing.T, typed, user string) ending {
	t.Helper()
	proxy := counting(t)
	proxy.SetLatency(0)
	cmd := exec.Command(filepath.Join(env.bin, "kubectl-eshell"),
		append([]string{"-n", r.namespace, "--as", user}, strings.Fields(typed)...)...)
	through := env
	through.kubeconfig = kubeconfigVia(t, proxy)
	cmd.Env = through.env()
	defer env.startOne()()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", typed, err, out)
	}
	return ending{stdout: inWords(proxy.Requests())}
}

// missing returns the permissions that kubectl eshell check says a user lacks.
func (r *realmOfRoles) missing(t *testing.T, user string, flags ...string) (all []string) {
	t.Helper()
	end := eshell(t.Context(), append([]string{"check", "-o", "json", "-n", r.namespace, "--as", user}, flags...)...)
	var list struct {
		Items []struct {
			Missing []access.Permission `json:"missing"`
		}
	}
	if err := json.Unmarshal([]byte(end.stdout), &list); err != nil {
		t.Fatalf("check as %s: exit status %d, %v: %s", user, end.status, err, end.stderr)
	}
	for _, item := range list.Items {
		for _, p := range item.Missing {
			if !slices.Contains(all, p.String()) {
				all = append(all, p.String())
			}
		}
	}
	return all
}
