//go:build unix

package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// decoys are what somebody who may create pods and Jobs makes to have others end, hide or enter what is not
// theirs. ID is the session of a living clone, CLONE is its pod.
const decoys = `
apiVersion: v1
kind: Pod
metadata: {name: payments-db-0}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: postgres, image: "localhost/eshell/bash:1", stdin: true, command: [bash, -c, "cat >/tmp/in"]}
---
# A finished Job with the label of the living session.
apiVersion: batch/v1
kind: Job
metadata:
  name: finished
  labels: {app.kubernetes.io/managed-by: kubectl-eshell, kubectl-eshell.github.io/session: ID}
  annotations: {kubectl-eshell.github.io/user: admin, kubectl-eshell.github.io/pod: CLONE}
spec:
  template: {spec: {restartPolicy: Never, containers: [{name: app, image: "localhost/eshell/bash:1", command: ["true"]}]}}
---
# What looks like a lease, and points into the database.
apiVersion: batch/v1
kind: Job
metadata:
  name: eshell-decoy
  labels: {app.kubernetes.io/managed-by: kubectl-eshell, kubectl-eshell.github.io/session: decoy}
  annotations:
    kubectl-eshell.github.io/user: admin
    kubectl-eshell.github.io/mode: debug
    kubectl-eshell.github.io/kept: detached
    kubectl-eshell.github.io/pod: payments-db-0
    kubectl-eshell.github.io/container: postgres
    kubectl-eshell.github.io/ttl-seconds: "3600"
spec:
  parallelism: 0
  template: {spec: {restartPolicy: Never, containers: [{name: never-runs, image: "localhost/eshell/bash:1"}]}}
---
# What claims to be the living clone.
apiVersion: batch/v1
kind: Job
metadata:
  name: eshell-claim
  labels: {app.kubernetes.io/managed-by: kubectl-eshell, kubectl-eshell.github.io/session: claim}
  annotations:
    kubectl-eshell.github.io/user: admin
    kubectl-eshell.github.io/mode: clone
    kubectl-eshell.github.io/pod: CLONE
spec:
  parallelism: 0
  template: {spec: {restartPolicy: Never, containers: [{name: never-runs, image: "localhost/eshell/bash:1"}]}}
---
# What claims to be the clone of somebody's debug session, and is called like it. UID is that of its lease.
apiVersion: v1
kind: Pod
metadata:
  name: eshell-DEBUG
  labels: {app.kubernetes.io/managed-by: kubectl-eshell, kubectl-eshell.github.io/session: DEBUG}
  annotations: {kubectl-eshell.github.io/user: admin}
  ownerReferences: [{apiVersion: batch/v1, kind: Job, name: eshell-DEBUG, uid: UID}]
spec:
  terminationGracePeriodSeconds: 0
  readinessGates: [{conditionType: kubectl-eshell.github.io/never-ready}]
  containers: [{name: app, image: "localhost/eshell/bash:1", stdin: true, stdinOnce: true, command: [bash, -c, "cat >/tmp/in"]}]
`

const decoySource = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: source}
spec:
  replicas: 0
  selector: {matchLabels: {app: source}}
  template:
    metadata: {labels: {app: source}}
    spec: {containers: [{name: app, image: "localhost/eshell/bash:1", command: [sleep, "86400"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: joined}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: app, image: "localhost/eshell/bash:1", command: [sleep, "86400"]}]
`

// TestDecoys: labels and annotations that anybody can write end nobody's session, hide none and lead nowhere.
func TestDecoys(t *testing.T) {
	t.Parallel()
	here := newRealm(t, "decoys", decoySource)
	kubectl(t, "wait", "-n", here.namespace, "--for=condition=Ready", "pod/joined", inTime)
	detach := func(args string) (name, id string) {
		started := here.run(t, "kubectl-eshell "+args+" --detach --ttl=1h --as=ann --as-group=system:masters")
		if started.status != 0 {
			t.Fatal(started.stderr)
		}
		name = strings.TrimSpace(started.stdout)
		return name, name[strings.LastIndex(name, "-")+1:]
	}
	clone, id := detach("deploy/source")
	debug, debugID := detach("pod/joined --mode=debug")
	uid := kubectl(t, "get", "-n", here.namespace, "job/"+debug, "-o", "jsonpath={.metadata.uid}")
	here.apply(t, strings.NewReplacer("UID", uid, "ID", id, "CLONE", clone, "DEBUG", debugID).Replace(decoys))
	kubectl(t, "wait", "-n", here.namespace, "--for=condition=Complete", "job/finished", inTime)
	kubectl(t, "wait", "-n", here.namespace, "--for=condition=Ready", "pod/payments-db-0", inTime)
	slow := regexp.MustCompile(`(?m)^waiting: .*\n`) // what takes over a second is told
	admin := func(args ...string) string {
		words := append([]string{args[0], "-n", here.namespace}, args[1:]...)
		end := eshell(t.Context(), as("admin", words...)[1:]...)
		return end.stdout + slow.ReplaceAllString(end.stderr, "")
	}
	says := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("it says\n%s, want\n%s", got, want)
		}
	}

	says(admin("gc"), "nothing to remove\n")
	names := []string{clone, "eshell-claim", "eshell-decoy", debug, debug}
	slices.Sort(names)
	listed := strings.Join(names, "\n") + "\n"
	says(admin("list", "--all-users", "-o", "name"),
		strings.Replace(listed, debug+"\n"+debug, "pod/"+debug+"\njob/"+debug, 1))
	says(admin("attach", "eshell-decoy", "--", "id"), "error: session eshell-decoy has ended\n"+
		"hint: list running sessions: kubectl eshell list -n "+here.namespace+"\n")
	says(admin("extend", "eshell-decoy", "1h"), "error: session eshell-decoy has ended\n")
	says(admin("attach", debug, "--", "id"), "error: 2 sessions are called "+debug+" in namespace "+here.namespace+
		"\nhint: say which one: pod/"+debug+" or job/"+debug+"\n")
	ended := []string{"eshell-claim deleted", "eshell-decoy: lease deleted", debug + " deleted"}
	slices.Sort(ended)
	says(admin("delete", "--all"), strings.Join(ended, "\n")+"\n")
	says(kubectl(t, "get", "-n", here.namespace, "job/"+debug, "-o", "name"), "job.batch/"+debug+"\n")
	says(admin("delete", debug), "error: session "+debug+" belongs to ann, and you are admin\n"+
		"hint: kubectl eshell delete --force -n "+here.namespace+" "+debug+"\n")
	says(admin("delete", "--force", debug), debug+": container "+debug+" in pod/joined has ended; lease deleted\n")
	says(kubectl(t, "exec", "-n", here.namespace, "payments-db-0", "--", "cat", "/tmp/in"), "")
	says(kubectl(t, "get", "-n", here.namespace, "job/finished", "pod/payments-db-0", "pod/"+clone, "-o", "name"),
		"job.batch/finished\npod/payments-db-0\npod/"+clone+"\n")
	says(admin("delete", "--force", clone), clone+" deleted\n")
}
