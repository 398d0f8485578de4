//go:build unix

package e2e

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// failing is a start that fails: a workload, what is typed, and all that is said about it.
type failing struct {
	name  string // a row of docs/troubleshooting.md
	spec  string // the pod's, in YAML
	debug bool   // the workload is a pod, and the session joins it
	typed string // after kubectl eshell deploy/APP, or pod/APP --mode debug
	also  string // what else is applied; cases may share it
	needs func(*testing.T, stage)

	says  string   // a pattern of the server's words in the error
	hint  string   // what follows "hint: "
	helps bool     // what is proposed starts a session, or is a command that ends well
	tells []string // patterns of other lines
	late  bool     // it may heal: the session waits, and says for what
}

const (
	busybox   = `image: "localhost/eshell/busybox:1"`
	container = `containers: [{name: app, ` + busybox + `}]`
)

// TestStarts: every way to fail that the scheduler, the kubelet and the runtime report has its own
// words and one next step, in time, and leaves nothing.
func TestStarts(t *testing.T) {
	t.Parallel()
	tests := []failing{
		{name: "too little cpu", typed: "--start-timeout 8s", late: true,
			spec:  `{containers: [{name: app, ` + busybox + `, resources: {requests: {cpu: "1000"}}}]}`,
			says:  `scheduling: .*Insufficient cpu.*`,
			tells: []string{`waiting: scheduling: .*Insufficient cpu`},
			hint:  `ask for less: --cpu 100m`, helps: true},
		{name: "too little memory", typed: "--start-timeout 8s", late: true,
			spec: `{containers: [{name: app, ` + busybox + `, resources: {requests: {memory: 1000Gi}}}]}`,
			says: `scheduling: .*Insufficient memory.*`,
			hint: `ask for less: --memory 128Mi`, helps: true},
		{name: "device", typed: "--start-timeout 8s", late: true,
			spec: `{containers: [{name: app, ` + busybox + `, resources: {limits: {example.com/gpu: 1}}}]}`,
			says: `scheduling: .*Insufficient example.com/gpu.*`,
			hint: `leave out the devices: --no-devices`, helps: true},
		{name: "node labels", typed: "--start-timeout 8s", late: true,
			spec: `{nodeSelector: {no-such-label: "true"}, ` + container + `}`,
			says: `scheduling: .*didn't match Pod's node affinity/selector.*`,
			hint: `see the nodes' labels: kubectl get nodes --show-labels`, helps: true},
		{name: "taint", needs: fakeNode, typed: "--node NODE --start-timeout 8s", late: true,
			spec: `{` + container + `}`,
			says: `scheduling: .*untolerated taint.*`,
			hint: `see the nodes' taints: kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints`, helps: true},
		{name: "claim not there", also: onlySessions, typed: "--as creator", // who may not look for it
			spec: `{containers: [{name: app, ` + busybox +
				`, volumeMounts: [{name: data, mountPath: /data}]}], volumes: [{name: data, persistentVolumeClaim: {claimName: none}}]}`,
			says: `scheduling: .*persistentvolumeclaim "none" not found.*`,
			hint: `list the claims: kubectl get persistentvolumeclaims -n NAMESPACE`, helps: true},
		{name: "claim not bound", also: unboundClaim, typed: "--start-timeout 8s", late: true,
			spec: `{containers: [{name: app, ` + busybox +
				`, volumeMounts: [{name: data, mountPath: /data}]}], volumes: [{name: data, persistentVolumeClaim: {claimName: unbound}}]}`,
			says:  `scheduling: .*unbound immediate PersistentVolumeClaims.*`,
			hint:  `see what it waits for: kubectl describe persistentvolumeclaim unbound -n NAMESPACE`,
			helps: true},
		{name: "image not found",
			spec: `{containers: [{name: app, image: "notfound.test/none:1"}]}`,
			says: `container app: image notfound.test/none:1: (ErrImagePull|ImagePullBackOff): .*not found`,
			hint: `check the name, or use another image: --image IMAGE`, helps: true},
		{name: "image name", typed: "--image 'Not An Image'",
			spec: `{` + container + `}`,
			says: `container app: image Not An Image: InvalidImageName: .*`,
			hint: `check the name, or use another image: --image IMAGE`, helps: true},
		{name: "image never pulled",
			spec: `{containers: [{name: app, image: "localhost/eshell/none:1", imagePullPolicy: Never}]}`,
			says: `container app: image localhost/eshell/none:1: ErrImageNeverPull: .*`,
			hint: `check the name, or use another image: --image IMAGE`, helps: true},
		{name: "registry unreachable", typed: "--start-timeout 20s", late: true,
			spec:  `{containers: [{name: app, image: "registry.invalid/none:1"}]}`,
			says:  `image registry.invalid/none:1 could not be pulled yet: .*connection refused`,
			tells: []string{`waiting: image registry.invalid/none:1 could not be pulled yet: .*connection refused`},
			hint:  `wait longer: --start-timeout 1m40s`},
		{name: "pull secret",
			spec: `{imagePullSecrets: [{name: no-such-secret}], containers: [{name: app, image: "notfound.test/none:1"}]}`,
			says: `container app: image notfound.test/none:1: .*not found: Unable to retrieve some image pull secrets \(no-such-secret\).*`,
			hint: `list the pull secrets: kubectl get secrets -n NAMESPACE --field-selector type=kubernetes.io/dockerconfigjson`, helps: true},
		{name: "secret",
			spec: `{containers: [{name: app, ` + busybox +
				`, env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: no-such-secret, key: password}}}]}]}`,
			says: `container app: CreateContainerConfigError: secret "no-such-secret" not found`,
			hint: `start without it: -e PASSWORD-`, helps: true},
		{name: "config map",
			spec: `{containers: [{name: app, ` + busybox +
				`, envFrom: [{configMapRef: {name: no-such-config}}]}]}`,
			says: `container app: CreateContainerConfigError: configmap "no-such-config" not found`,
			hint: `list what there is: kubectl get configmaps -n NAMESPACE`, helps: true},
		{name: "key",
			spec: `{containers: [{name: app, ` + busybox +
				`, env: [{name: LEVEL, valueFrom: {configMapKeyRef: {name: kube-root-ca.crt, key: none}}}]}]}`,
			says: `container app: CreateContainerConfigError: couldn't find key none in ConfigMap NAMESPACE/kube-root-ca.crt`,
			hint: `start without it: -e LEVEL-`, helps: true},
		{name: "volume", typed: "--start-timeout 15s", late: true,
			spec: `{containers: [{name: app, ` + busybox +
				`, volumeMounts: [{name: config, mountPath: /etc/app}]}], volumes: [{name: config, configMap: {name: no-such-config}}]}`,
			says: `volumes and network on node \S+: MountVolume.SetUp failed for volume "config" : configmap "no-such-config" not found`,
			hint: `list what there is: kubectl get configmaps -n NAMESPACE`, helps: true},
		{name: "root image",
			spec: `{securityContext: {runAsNonRoot: true}, ` + container + `}`,
			says: `container app: CreateContainerConfigError: container has runAsNonRoot and image will run as root .*`,
			hint: `run it as another user: --as-user 1000`, helps: true},
		{name: "no shell",
			spec: `{containers: [{name: app, image: "localhost/eshell/noshell:1"}]}`, typed: "--via exec",
			says: `container app: the image has no shell \(sh\) in its PATH: localhost/eshell/noshell:1`,
			hint: `add a shell: --toolbox busybox:musl; use another image: --image IMAGE; or run a program of this one: --via attach -- PROGRAM`},
		{name: "no shell, init containers", typed: "-- /hello",
			spec: `{initContainers: [{name: prepare, image: "localhost/eshell/bash:1", command: [sh, -c, "echo x > /data/x"], ` +
				`volumeMounts: [{name: data, mountPath: /data}]}], ` +
				`containers: [{name: app, image: "localhost/eshell/noshell:1", volumeMounts: [{name: data, mountPath: /data}]}], ` +
				`volumes: [{name: data, emptyDir: {}}]}`,
			says: `container app: the image has no shell \(sh\) in its PATH: localhost/eshell/noshell:1; ` +
				`another pod would run init container prepare once more`,
			hint: `run the command as the container's own process: --via attach -- /hello`},
		{name: "toolbox", typed: "--toolbox localhost/eshell/noshell:1",
			spec: `{containers: [{name: app, image: "localhost/eshell/noshell:1"}]}`,
			says: `init container eshell-toolbox failed: StartError, exit status 128: .*exec: "sh": executable file not found.*`,
			hint: `use a toolbox with a static busybox: --toolbox busybox:musl`},
		{name: "init container",
			spec:  preparing(`command: [sh, -c, "seq 12 | sed 's/^/line /'; printf '\\033[31mno peers'; exit 9"]`),
			says:  `init container setup failed: Error, exit status 9`,
			tells: []string{`warning: the log of container setup ends with:\n  line 4\n(  line \d+\n){8}  \[31mno peers`},
			hint:  `start without it: --init none`, helps: true},
		{name: "log forbidden", also: onlySessions, typed: "--as creator",
			spec:  preparing(`command: [sh, -c, "echo secret; exit 9"]`),
			says:  `init container setup failed: Error, exit status 9`,
			tells: []string{`warning: the log of container setup could not be read: pods "\S+" is forbidden: User "creator" cannot get resource "pods/log" .*`},
			hint:  `start without it: --init none`, helps: true},
		{name: "init container without end", typed: "--start-timeout 12s", late: true,
			spec: preparing(`command: [sh, -c, "echo waiting for peers; sleep 3600"]`),
			says: `init container setup \(1 of 1\)`,
			tells: []string{`waiting: init container setup \(1 of 1\)`,
				`warning: the log of container setup ends with:\n  waiting for peers`},
			hint: `start without it: --init none`, helps: true},
		{name: "init container out of memory",
			spec:  preparing(`command: [sh, -c, "echo fills; tail /dev/zero"], resources: {limits: {memory: 16Mi}}`),
			says:  `init container setup failed: OOMKilled, exit status 137, memory limit 16Mi`,
			tells: []string{`warning: the log of container setup ends with:\n  fills`},
			hint:  `raise the limit: --override-type strategic --overrides '{"spec":{"initContainers":[{"name":"setup","resources":{"limits":{"memory":"128Mi"}}}]}}'`},
		{name: "sidecar", typed: "--with proxy",
			spec: `{initContainers: [{name: proxy, restartPolicy: Always, ` + busybox +
				`, command: [sh, -c, "echo no upstream; sleep 1; exit 3"], startupProbe: {exec: {command: ["false"]}, failureThreshold: 100}}], ` +
				container + `}`,
			says:  `sidecar proxy failed: Error, exit status 3`,
			tells: []string{`warning: the log of container proxy ends with:\n  no upstream`},
			hint:  `start without it: leave out --with and --with-all`},
		{name: "out of memory",
			spec: `{initContainers: [{name: setup, ` + busybox + `, command: ["true"], resources: {limits: {memory: 64Mi}}, volumeMounts: [{name: shared, mountPath: /shared}]}],
			  containers: [{name: app, ` + busybox + `, resources: {limits: {memory: 1Mi}}, volumeMounts: [{name: shared, mountPath: /shared}]}], volumes: [{name: shared, emptyDir: {}}]}`,
			says: `container app: .*(OOM-killed|unable to set memory limit).*`,
			hint: `raise the limit: --memory 128Mi`, helps: true},
		{name: "pod out of memory", typed: "--start-timeout 20s", late: true,
			spec: `{containers: [{name: app, ` + busybox + `, resources: {limits: {memory: 1Mi}}}]}`,
			says: `volumes and network on node \S+: Failed to create pod sandbox: .*(OOM-killed|unable to set memory limit).*`,
			hint: `raise the limit: --memory 128Mi`, helps: true},
		{name: "node without kubelet", needs: fakeNode, typed: "--node NODE --start-timeout 8s", late: true,
			spec: tolerant,
			says: `node NODE to take the pod`,
			hint: `see its node: kubectl describe node NODE`, helps: true},
		{name: "image not found, debug mode", debug: true, needs: running,
			typed: "--image notfound.test/none:1",
			spec:  sleeping(""),
			says:  `container eshell-\w+: image notfound.test/none:1: (ErrImagePull|ImagePullBackOff): .*not found`,
			hint:  `check the name, or use another image: --image IMAGE`},
		{name: "registry unreachable, debug mode", debug: true, needs: running,
			typed: "--image registry.invalid/none:1 --start-timeout 20s", late: true,
			spec: sleeping(""),
			says: `image registry.invalid/none:1 .*connection refused`,
			hint: `wait longer: --start-timeout 1m40s`},
		{name: "secret, debug mode", debug: true, also: secret, needs: loseSecret,
			spec: sleeping(`env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: lost, key: password}}}]`),
			says: `container eshell-\w+: CreateContainerConfigError: secret "lost" not found`,
			hint: `start without it: -e PASSWORD-`, helps: true},
	}
	all := newRealm(t, "starts", manifests(tests))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			here := stage{all, tt.app()}
			if tt.needs != nil {
				tt.needs(t, here)
			}
			end := here.run(t, "kubectl-eshell "+tt.workload()+" "+here.fill(tt.typed)+" </dev/null")
			tt.expect(t, here, end)
			if !tt.debug {
				here.empty(t, end)
			}
			if tt.helps {
				tt.follow(t, here, end)
			}
		})
	}
}

// TestTroubleshooting: what docs/troubleshooting.md says has been seen, and what was seen is there.
func TestTroubleshooting(t *testing.T) {
	rows := names(t, `(?m)^\| ([^ |][^|]*) \|`, "../../docs/troubleshooting.md")
	tests := names(t, `(?:{name: |t\.Run\()"([^"]+)"`, "starts_test.go", "admission_test.go")
	if !slices.Equal(rows, tests) {
		t.Errorf("rows\n%q, tests\n%q", rows, tests)
	}
}

func names(t *testing.T, pattern string, files ...string) []string {
	t.Helper()
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			names = append(names, match[1])
		}
	}
	slices.Sort(names)
	return names
}

// expect compares all that a start says with what it is to say.
func (tt failing) expect(t *testing.T, here stage, end ending) {
	t.Helper()
	before := "did not start: "
	if tt.late {
		before = `did not start within \d+s: it still waits for `
	}
	want := append(tt.tells,
		`error: (\S+|container \S+ in \S+) `+before+tt.says+`\nhint: `+regexp.QuoteMeta(tt.hint)+`\n\z`)
	for _, pattern := range want {
		if !regexp.MustCompile(`(?m)^` + here.fill(pattern)).MatchString(end.stderr) {
			t.Errorf("stderr is\n%swant\n%s", end.stderr, here.fill(pattern))
		}
	}
	if end.status != 125 || end.stdout != "" {
		t.Errorf("exit status %d, stdout %q; want 125 and nothing", end.status, end.stdout)
	}
}

// stage is where a start fails: one workload of a realm, which others may share. A namespace of its own for
// each would cost more than most starts, here and in the cluster.
type stage struct {
	namespaceFixture
	app string
}

// fill puts the stage's names into a text.
func (s stage) fill(text string) string {
	return strings.NewReplacer("NAMESPACE", s.namespace, "NODE", s.node()).Replace(text)
}

// node is the name of a node of the stage's own; it comes after the real ones'.
func (s stage) node() string { return fakeNodePrefix + s.namespace + "-" + s.app }

// fakeNodePrefix begins the names of nodes that no machine is behind.
const fakeNodePrefix = "zz-"

// empty waits until nothing of the sessions is left. No kubelet tells that a fake node's pods are gone.
func (s stage) empty(t *testing.T, end ending) {
	t.Helper()
	pods := client(t).CoreV1().Pods(s.namespace)
	for _, session := range headlines(end.stderr) {
		pod, err := pods.Get(t.Context(), session.pod, metav1.GetOptions{})
		if err == nil && pod.Spec.NodeName == s.node() {
			err = pods.Delete(t.Context(), session.pod,
				metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
		}
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
		s.without(t, session)
	}
}

// app is what the case's workload is called.
func (tt failing) app() string { return strings.NewReplacer(" ", "-", ",", "").Replace(tt.name) }

// workload is the first word that is typed, and the mode.
func (tt failing) workload() string {
	if tt.debug {
		return "pod/" + tt.app() + " --mode debug"
	}
	return "deploy/" + tt.app()
}

func (tt failing) manifest() string {
	template := `
apiVersion: apps/v1
kind: Deployment
metadata: {name: APP}
spec:
  replicas: 0
  selector: {matchLabels: {app: APP}}
  template: {metadata: {labels: {app: APP}}, spec: `
	if tt.debug {
		template = "{apiVersion: v1, kind: Pod, metadata: {name: APP}, spec: "
	}
	return strings.ReplaceAll(template, "APP", tt.app()) + tt.spec + "}\n---\n" + tt.also
}

// manifests are those of all cases.
func manifests(cases []failing) string {
	var all []string
	for _, tt := range cases {
		all = append(all, tt.manifest())
	}
	return strings.Join(all, "\n---\n")
}

// follow types what the hint says.
func (tt failing) follow(t *testing.T, here stage, end ending) {
	t.Helper()
	const before = "\nhint: " // the last one is the error's
	next := end.stderr[strings.LastIndex(end.stderr, before)+len(before):]
	_, words, _ := strings.Cut(strings.ReplaceAll(next, "IMAGE", "localhost/eshell/busybox:1"), ": ")
	line := strings.TrimSpace(words)
	if !strings.HasPrefix(line, "kubectl ") {
		line = "kubectl eshell " + tt.workload() + " " + line + " -- true"
	}
	followed := here.run(t, line)
	if followed.status != 0 {
		t.Errorf("%s: exit status %d, stderr is\n%s", line, followed.status, followed.stderr)
	}
	here.empty(t, followed)
}

// preparing is a pod whose init container prepares a volume, as a clone's has to.
func preparing(setup string) string {
	return `{initContainers: [{name: setup, ` + busybox + `, volumeMounts: [{name: shared, mountPath: /shared}], ` + setup + `}],
	  containers: [{name: app, ` + busybox + `, volumeMounts: [{name: shared, mountPath: /shared}]}], volumes: [{name: shared, emptyDir: {}}]}`
}

const unboundClaim = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: unbound}
spec: {storageClassName: "", accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}
`

// sleeping is a pod that runs and goes at once.
func sleeping(more string) string {
	return `{terminationGracePeriodSeconds: 0, containers: [{name: app, ` + busybox +
		`, command: [sleep, "86400"], ` + more + `}]}`
}

func running(t *testing.T, s stage) {
	kubectl(t, "wait", "--for=condition=Ready", "-n", s.namespace, "pod/"+s.app, "--timeout=60s")
}

const secret = `{apiVersion: v1, kind: Secret, metadata: {name: lost}, stringData: {password: x}}`

// loseSecret takes it away when the running pod has got its variables from it.
func loseSecret(t *testing.T, s stage) {
	running(t, s)
	kubectl(t, "delete", "secret", "lost", "-n", s.namespace)
}

// tolerant goes where nothing else does: on a fake node.
const tolerant = `{tolerations: [{key: eshell.test/fake, operator: Exists}, {key: node.kubernetes.io/not-ready, operator: Exists}, {key: node.kubernetes.io/unreachable, operator: Exists}], ` + container + `}`

// fakeNode adds a node without a machine. Its taint keeps other pods away.
func fakeNode(t *testing.T, s stage) {
	if !env.embedded {
		t.Skip("an existing cluster gets no fake nodes")
	}
	t.Cleanup(func() { kubectl(t, "delete", "node", s.node()) })
	s.apply(t, `{apiVersion: v1, kind: Node, metadata: {name: `+s.node()+
		`}, spec: {taints: [{key: eshell.test/fake, effect: NoSchedule}]}}`)
	kubectl(t, "patch", "node", s.node(), "--subresource=status", "-p",
		`{"status":{"allocatable":{"cpu":"4","memory":"8Gi","pods":"10"},"capacity":{"cpu":"4","memory":"8Gi","pods":"10"}}}`)
}

// onlySessions lets a user have sessions, and read neither logs nor claims.
const onlySessions = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: creator}
rules:
- {apiGroups: [apps], resources: [deployments], verbs: [get]}
- {apiGroups: [""], resources: [pods], verbs: [create, watch, delete]}
- {apiGroups: [""], resources: [pods/exec, pods/attach], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: creator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: creator}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: creator}]
`

// TestLostStarts: what is started goes away before it has started.
func TestLostStarts(t *testing.T) {
	t.Parallel()
	t.Run("node gone", func(t *testing.T) {
		t.Parallel()
		start := failing{spec: tolerant, name: "app"}
		here := stage{newRealm(t, "start-node-gone", start.manifest()), start.app()}
		fakeNode(t, here)
		term := open(t, "eshell", "-n", here.namespace, "deploy/app", "--node", here.node())
		session := term.session()
		term.expect(`waiting \d+s: node ` + here.node() + ` to take the pod`)
		kubectl(t, "taint", "node", here.node(), "eshell.test/gone=:NoExecute")
		term.expect(`error: pod/` + session.pod + ` did not start: pod/` + session.pod +
			` is being deleted: DeletionByTaintManager: .*\r\nhint: see its node: kubectl describe node ` +
			here.node() + `\r\n`)
		kubectl(t, "delete", "pod", session.pod, "-n", here.namespace, "--force", "--grace-period=0")
		if got := term.status(); got != 125 {
			t.Errorf("exit status %d, want 125", got)
		}
	})
	t.Run("deleted", func(t *testing.T) {
		t.Parallel()
		term := open(t, "eshell", "deploy/nowhere")
		session := term.session()
		term.expect(`waiting \d+s: scheduling: `)
		kubectl(t, "delete", "pod", session.pod)
		term.expect(`error: pod/` + session.pod + ` did not start: pod/` + session.pod +
			`(: it was| is being) deleted by somebody else\r\nhint: see its events: kubectl get events -n \S+ --field-selector involvedObject.name=` + session.pod + `\r\n`)
		term.ended(125, session)
	})
	t.Run("deleted, debug mode", func(t *testing.T) {
		t.Parallel()
		spec := strings.Replace(sleeping(""), "terminationGracePeriodSeconds: 0",
			"terminationGracePeriodSeconds: 20", 1)
		start := failing{spec: spec, name: "app", debug: true}
		here := stage{newRealm(t, "start-deleted-debug", start.manifest()), start.app()}
		running(t, here)
		term := open(t, "eshell", "-n", here.namespace, "pod/app", "--mode", "debug", "--image",
			"registry.invalid/none:1")
		session := term.session()
		term.expect(`waiting \d+s: image registry.invalid/none:1`)
		kubectl(t, "delete", "pod", "app", "-n", here.namespace, "--wait=false")
		term.expect(`error: container ` + session.container +
			` in pod/app did not start: pod/app is being deleted by somebody else\r\nhint: see its events: `)
		if got := term.status(); got != 125 {
			t.Errorf("exit status %d, want 125", got)
		}
	})
}
