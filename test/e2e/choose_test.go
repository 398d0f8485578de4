//go:build unix

package e2e

import (
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// choices are what the lists of TestChoose show: five rows, although there are more pods than one.
const choices = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  replicas: 0
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {terminationGracePeriodSeconds: 0, containers: [
      {name: app, image: "localhost/eshell/bash:1", command: [sleep, "86400"], env: [{name: WHICH, value: app}]},
      {name: worker, image: "localhost/eshell/bash:1", command: [sleep, "86400"], env: [{name: WHICH, value: worker}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {kubectl.kubernetes.io/default-container: second}}
    spec: {terminationGracePeriodSeconds: 0, containers: [
      {name: first, image: "localhost/eshell/bash:1", command: [sleep, "86400"], env: [{name: WHICH, value: first}]},
      {name: second, image: "localhost/eshell/bash:1", command: [sleep, "86400"], env: [{name: WHICH, value: second}]}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: report}
spec:
  schedule: "0 0 1 1 *"
  suspend: true
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [
    {name: app, image: "localhost/eshell/busybox:1", command: [sleep, "86400"]}]}}}}
---
` + decoySource + `
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: some}
rules: [{apiGroups: [batch], resources: [cronjobs, jobs], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: some}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: some}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: some}]
`

const (
	workloadList  = `Workload: .*Esc leaves; \d+ in namespace`
	containerList = `Container: .*Esc leaves; 2 of deploy/api`
	sessionList   = `Session: .*Esc leaves; 2 in namespace`
)

// TestChoose: who names no workload on a terminal chooses one from a list, and gets the same session.
func TestChoose(t *testing.T) {
	t.Parallel()
	here := newRealm(t, "choose", choices)
	kubectl(t, "wait", "-n", here.namespace, "pods", "-l", "app=web", "--for=create", inTime)
	kubectl(t, "wait", "-n", here.namespace, "pod/joined", "--for=condition=Ready", inTime)
	in := " -n " + here.namespace
	t.Run("shell", func(t *testing.T) {
		t.Parallel()
		term := open(t, "eshell", "-n", here.namespace)
		term.expect(`Workload: .*Esc leaves; 5 in namespace`) // the pod of deploy/web is not among them
		term.typed("sour")
		term.expect(`1 of 5 in namespace`)
		term.typed("\recho ahead-$((40+2))\r") // for the shell, which is not there yet
		term.expect(`\r\x1b\[J\x1b\[\?2004lchosen: kubectl eshell deploy/source` + in + `\r\n`)
		session := term.session()
		term.expect(`ahead-42\r\n`)
		term.expect(prompt)
		term.typed("exit 7\r")
		if got := term.status(); got != 7 {
			t.Errorf("exit status %d, want 7", got)
		}
		term.restored()
		here.without(t, session)
	})
	for _, tt := range []struct {
		name      string
		args      []string
		container string // typed; empty: there is no choice
		workload  string
		says      string
		prints    string
	}{
		{"container", nil, "wor", "deploy/api", "deploy/api -c worker" + in, "worker"},
		{"default container", nil, "", "web", "deploy/web" + in, "second"},
		{"container named", []string{"-c", "first"}, "", "web", "deploy/web" + in, "first"},
		{"debug", []string{"--mode", "debug"}, "", "joined", "pod/joined" + in + " --mode debug", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			args := append(append([]string{"eshell", "-n", here.namespace}, tt.args...), "--", "sh", "-c",
				"echo which-$WHICH")
			term, printed := openInto(t, args...)
			term.expect(workloadList)
			term.typed(tt.workload + "\r")
			if tt.container != "" {
				term.expect(containerList)
				term.typed(tt.container + "\r")
			}
			term.expect(`chosen: kubectl eshell ` + tt.says + ` and the rest as you typed it\r\n`)
			session := term.session()
			if got := term.status(); got != 0 {
				t.Errorf("exit status %d", got)
			}
			term.restored()
			here.without(t, session)
			if got := printed(); got != "which-"+tt.prints+"\n" {
				t.Errorf("stdout is %q", got)
			}
			if screen, _ := term.shown(); tt.container == "" && strings.Contains(screen, "Container: ") {
				t.Errorf("a container was asked for:\n%s", screen)
			}
		})
	}
	t.Run("TERM=dumb", func(t *testing.T) {
		t.Parallel()
		dumb := env
		dumb.also = []string{"TERM=dumb"}
		term := dumb.open(t, nil, "eshell", "-n", here.namespace, "-q", "--", "sh", "-c", "echo dumb-$((40+2))")
		term.expect(`(?m)^  1\) deploy/api  0/0 ready  bash:1,bash:1  \S+\r\n`)
		term.expect(`Number or name: $`)
		term.typed("joined\n")
		term.expect(`dumb-42\r\n`)
		if got := term.status(); got != 0 {
			t.Errorf("exit status %d", got)
		}
		if screen, _ := term.shown(); strings.Contains(screen, "\x1b") || strings.Contains(screen, "chosen: ") {
			t.Errorf("the terminal showed %q", screen)
		}
		term.restored()
	})
	t.Run("some forbidden", func(t *testing.T) {
		t.Parallel()
		term := open(t, "eshell", "-n", here.namespace, "--as=some")
		term.expect(`warning: the list is incomplete: deployments.apps is forbidden: User "some" cannot list resource "deployments"`)
		term.expect(`Esc leaves; 1 in namespace`)
		term.expect(`cronjob/report`)
		term.typed("\x1b")
		term.left(t)
	})
	t.Run("all forbidden", func(t *testing.T) {
		t.Parallel()
		term := open(t, "eshell", "-n", here.namespace, "--as=nobody")
		term.expect(`error: deployments.apps is forbidden: User "nobody" cannot list resource .*\r\n` +
			`hint: name a workload, which needs no list: kubectl eshell TYPE/NAME` + in + `\r\n`)
		if got := term.status(); got != 125 {
			t.Errorf("exit status %d, want 125", got)
		}
	})
}

// left asserts that the list was left without a choice: it is erased, and nothing comes after it.
func (term *terminal) left(t *testing.T) {
	t.Helper()
	if got := term.status(); got != 130 {
		t.Errorf("exit status %d, want 130", got)
	}
	term.restored()
	term.expect(`\r\x1b\[J\x1b\[\?2004l$`)
}

// TestChooseNothing: who leaves the list creates nothing, and a list follows the size of its terminal.
func TestChooseNothing(t *testing.T) {
	t.Parallel()
	here := newRealm(t, "choose-nothing", strings.Replace(choices, "replicas: 1", "replicas: 0", 1))
	before := here.pods(t)
	for name, typed := range map[string]string{"Esc": "\x1b", "Ctrl-C": "\x03"} {
		t.Run(name, func(t *testing.T) {
			term := open(t, "eshell", "-n", here.namespace)
			term.expect(workloadList)
			term.typed(typed)
			term.left(t)
			term = open(t, "eshell", "-n", here.namespace)
			term.expect(workloadList)
			term.typed("api\r")
			term.expect(containerList)
			term.typed(typed)
			term.left(t)
		})
	}
	t.Run("SIGTERM", func(t *testing.T) {
		term := open(t, "eshell", "-n", here.namespace)
		term.expect(workloadList)
		term.signal(syscall.SIGTERM)
		if got := term.status(); got != 143 {
			t.Errorf("exit status %d, want 143", got)
		}
		term.restored()
	})
	t.Run("closed terminal", func(t *testing.T) {
		term := open(t, "eshell", "-n", here.namespace)
		term.expect(workloadList)
		term.hangUp()
		if got := term.status(); got != 129 {
			t.Errorf("exit status %d, want 129", got)
		}
	})
	t.Run("resize", func(t *testing.T) {
		term := open(t, "eshell", "-n", here.namespace)
		term.expect(workloadList)
		term.resize(30, 4)
		term.expect(`type to filter, E\x1b`) // cut
		term.typed("\x1b[B\x1b[B\x1b[B")
		term.typed("\x1b[B")
		term.expect(`> \x1b\[0m\x1b\[1mpod/joined`) // below those that fit
		screen, _ := term.shown()
		drawn := regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`).ReplaceAllString(
			screen[strings.LastIndex(screen, "\x1b[J"):], "")
		rows := strings.Split(drawn, "\r\n")
		for _, row := range rows {
			if len(strings.TrimSuffix(row, "\r")) > 29 {
				t.Errorf("a row is longer than 29: %q", row)
			}
		}
		if len(rows) != 4 {
			t.Errorf("there are %d rows, want 4: %q", len(rows), drawn)
		}
		term.typed("\x1b")
		term.left(t)
	})
	t.Run("empty namespace", func(t *testing.T) {
		term := open(t, "eshell", "-n", "no-such-namespace")
		term.expect(`error: namespace no-such-namespace has no workloads\r\nhint: name another: ` +
			`kubectl eshell -n NAMESPACE; list those there are: kubectl get namespaces\r\n`)
		if got := term.status(); got != 125 {
			t.Errorf("exit status %d, want 125", got)
		}
	})
	here.left(t, before)
	if jobs := kubectl(t, "get", "jobs", "-n", here.namespace, "-o", "name"); jobs != "" {
		t.Errorf("there are jobs:\n%s", jobs)
	}
}

// TestChooseSession: who has several sessions chooses the one to attach to.
func TestChooseSession(t *testing.T) {
	t.Parallel()
	here := newRealm(t, "choose-session", decoySource)
	var sessions []started
	for range 2 {
		end := here.run(t, "kubectl-eshell deploy/source --detach --ttl=1h")
		sessions = append(sessions, headlines(end.stderr)...)
	}
	if len(sessions) != 2 {
		t.Fatalf("there are %d sessions", len(sessions))
	}
	term := open(t, "eshell", "attach", "-n", here.namespace)
	term.expect(sessionList)
	name := sessions[1].name()
	term.typed(name[strings.LastIndex(name, "-")+1:] + "\recho in-$HOSTNAME\r")
	term.expect(`chosen: kubectl eshell attach ` + name + ` -n ` + here.namespace + `\r\n`)
	term.joined()
	term.expect(`in-` + name + `\r\n`)
	term.typed("exit 3\r")
	if got := term.status(); got != 3 {
		t.Errorf("exit status %d, want 3", got)
	}
	term.restored()
	term = open(t, "eshell", "attach", "deploy/source", "-n", here.namespace)
	term.expect(sessionList)
	term.typed("\x1b")
	term.left(t)
	here.run(t, "kubectl eshell delete --all")
	for _, session := range sessions {
		here.without(t, session)
	}
}
