//go:build unix

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

const (
	crowd   = 200 // sessions in all
	atOnce  = 50
	targets = 8 // pods that are debugged
	// leftTime is how long anything of a session may be left when its client has ended: its lease of a
	// minute, 20 s more that a debug container waits from its start for a client, and 30 s for the cluster.
	leftTime = 110 * time.Second
)

// busy is an application to clone, and pods to debug.
const busy = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, labels: {part: application}}
spec:
  replicas: 2
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app, part: application}}
    spec: SPEC
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: target, labels: {part: application}}
spec:
  replicas: 8
  podManagementPolicy: Parallel
  serviceName: target
  selector: {matchLabels: {app: target}}
  template:
    metadata: {labels: {app: target, part: application}}
    spec: SPEC
`

const busySpec = `{terminationGracePeriodSeconds: 0, containers: [{
  name: app, image: "localhost/eshell/bash:1", command: [sleep, "86400"], resources: {requests: {cpu: 1m, memory: 1Mi}}}]}`

// TestLoad: many sessions come and go at once and at random, and nothing is left of them.
func TestLoad(t *testing.T) {
	seed := number(t, seedVariable, 1)
	l := load{unraced(t), newRealm(t, "load", strings.ReplaceAll(busy, "SPEC", busySpec))}
	kubectl(t, "wait", "-n", l.namespace, "--for=jsonpath={.status.readyReplicas}=8", "statefulset/target", "--timeout=120s")
	kubectl(t, "wait", "-n", l.namespace, "--for=condition=Available", "deployment/app", "--timeout=120s")
	before, seen := l.application(t), l.watch(t)

	began := time.Now()
	guests := l.party(t, seed)
	over := time.Now()
	t.Logf("seed %d: %d sessions in %.0f s, %d at once; at most %d of their pods\n%s",
		seed, len(guests), over.Sub(began).Seconds(), atOnce, seen.most("pod"), figures(guests))
	for _, g := range guests {
		if g.status != g.fate.status {
			t.Errorf("%v: exit status %d, want %d; it said:\n%s", g, g.status, g.fate.status, g.said.text())
		}
	}
	left := l.untilNothing(t, seen)
	t.Logf("%.1f s after the last client's end %d pods, Jobs and processes are left", time.Since(over).Seconds(), len(left))
	if len(left) > 0 {
		t.Errorf("left is:\n%s", strings.Join(left, "\n"))
	}
	if after := l.application(t); after != before {
		t.Errorf("the application is\n%s, was\n%s", after, before)
	}
}

// load is where it happens.
type load struct {
	world world
	realm
}

// guest is one session of the crowd and what became of it.
type guest struct {
	name   string // in the environment of each of its processes
	args   []string
	tty    bool
	fate   fate
	fromUp bool          // its life counts from when its command runs, not from its client's start
	life   time.Duration // after which its fate comes

	said   *transcript
	up     time.Duration // after its client's start; 0: it never was
	status int
}

func (g *guest) String() string {
	return fmt.Sprintf("%s: kubectl %s, terminal %t, %s %v after it %s", g.name, strings.Join(g.args, " "), g.tty, g.fate.name, g.life,
		map[bool]string{true: "was up", false: "started"}[g.fromUp])
}

// fate is a way in which a client ends.
type fate struct {
	name   string
	signal syscall.Signal // 0: its command does
	status int
}

var fates = []fate{
	{"SIGKILL", syscall.SIGKILL, 137}, {"SIGTERM", syscall.SIGTERM, 143}, {"SIGINT", syscall.SIGINT, 130},
	{"SIGHUP", syscall.SIGHUP, 129}, {"its command's end", 0, 7},
}

// invite draws a guest: two in three are clones. The lease is longer than a busy node takes to say that
// a container runs.
func (l load) invite(random *rand.Rand, number int) *guest {
	g := &guest{name: fmt.Sprintf("%s-%d", l.namespace, number), fate: fates[random.IntN(len(fates))], said: newTranscript()}
	g.args = []string{"eshell", "-n", l.namespace, "deploy/app"}
	debug, attach := random.IntN(3) == 0, random.IntN(3) == 0
	if debug {
		g.args = []string{"eshell", "-n", l.namespace, fmt.Sprintf("pod/target-%d", random.IntN(targets)), "--mode", "debug"}
	}
	if attach {
		g.args = append(g.args, "--via", "attach")
	}
	g.tty = random.IntN(4) == 0
	g.fromUp, g.life = random.IntN(2) == 0, time.Duration(random.Int64N(int64(5*time.Second)))
	// What it leaves in the background must end with it.
	g.args = append(g.args, "--lease=1m", "-e", "ESHELL_CASE="+g.name, "--", "bash", "-c",
		"sleep 86400 </dev/null >/dev/null 2>&1 & echo up-$((40+2)); read -r line; exit 7")
	return g
}

// party has the whole crowd live, as many at once as there is room for.
func (l load) party(t *testing.T, seed uint64) []*guest {
	random := rand.New(rand.NewPCG(seed, 0))
	guests, door := make([]*guest, crowd), make(chan *guest)
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for g := range door {
				if err := g.live(l.world); err != nil {
					t.Errorf("%v: %v", g, err)
				}
			}
		})
	}
	for i := range guests {
		guests[i] = l.invite(random, i)
		door <- guests[i]
	}
	close(door)
	all.Wait()
	return guests
}

// live runs the guest's client until its fate has come.
func (g *guest) live(w world) error {
	cmd := exec.Command(filepath.Join(w.bin, "kubectl"), g.args...)
	cmd.Env = w.env()
	started := time.Now()
	keyboard, err := g.start(cmd)
	if err != nil {
		return err
	}
	defer keyboard.Close()
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the status is in ProcessState
		close(exited)
	}()
	up, life := g.said.up, time.After(g.life)
	if g.fromUp {
		life = nil
	}
	for over := false; !over; {
		select {
		case <-up:
			g.up, up = time.Since(started), nil
			if g.fromUp {
				life = time.After(g.life)
			}
		case <-life:
			life = nil
			if err := g.end(cmd, keyboard); err != nil {
				return err
			}
		case <-exited:
			over = true
		}
	}
	g.status = exitStatus(cmd)
	return nil
}

// start starts the client, on a terminal or between pipes, and returns its keyboard.
func (g *guest) start(cmd *exec.Cmd) (keyboard *os.File, err error) {
	if !g.tty {
		stdin, keyboard, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer stdin.Close()
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, g.said, g.said
		return keyboard, cmd.Start()
	}
	master, line, err := pty.Open()
	if err != nil {
		return nil, err
	}
	defer line.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = line, line, line
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	go func() { _, _ = io.Copy(g.said, master) }()
	return master, cmd.Start()
}

// end lets the guest's fate come. That its client has ended before shows in its status.
func (g *guest) end(cmd *exec.Cmd, keyboard *os.File) error {
	if g.fate.signal != 0 {
		_ = cmd.Process.Signal(g.fate.signal)
		return nil
	}
	_, err := keyboard.WriteString("\n")
	return err
}

// transcript is all that a client writes.
type transcript struct {
	mu  sync.Mutex
	all bytes.Buffer
	up  chan struct{} // closed when its command has said that it runs
}

func newTranscript() *transcript { return &transcript{up: make(chan struct{})} }

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := bytes.Contains(s.all.Bytes(), []byte("up-42"))
	s.all.Write(p)
	if !was && bytes.Contains(s.all.Bytes(), []byte("up-42")) {
		close(s.up)
	}
	return len(p), nil
}

func (s *transcript) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return movement.ReplaceAllString(s.all.String(), "")
}

// movement is what the spinner writes.
var movement = regexp.MustCompile(`\r\x1b\[K[|/\\-] waiting [^\r\n]*`)

// figures sum up what became of the guests: how they ended, when they were up, and what they complained of.
func figures(guests []*guest) string {
	ends, complaints := map[string]int{}, map[string]int{}
	var ups []time.Duration
	names := regexp.MustCompile(`[a-z]+-[a-z0-9-]+|\b[0-9a-f]{64}\b|\d+`)
	for _, g := range guests {
		ends[g.fate.name]++
		if g.up > 0 {
			ups = append(ups, g.up)
		}
		for line := range strings.Lines(g.said.text()) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "warning: ") || strings.HasPrefix(line, "error: ") {
				complaints[names.ReplaceAllString(line, "*")]++
			}
		}
	}
	slices.Sort(ups)
	text := fmt.Sprintf("ended by %v; %d were up", ends, len(ups))
	if len(ups) > 0 {
		text += fmt.Sprintf(", half of them within %.1f s, the last after %.1f s", ups[len(ups)/2].Seconds(), ups[len(ups)-1].Seconds())
	}
	for _, line := range slices.Sorted(maps.Keys(complaints)) {
		text += fmt.Sprintf("\n%4d %s", complaints[line], line)
	}
	return text
}

// application is what identifies the application's processes.
func (l load) application(t *testing.T) string {
	return kubectl(t, "get", "pods,deployments,statefulsets", "-n", l.namespace, "-l", "part=application", "-o",
		`jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.status.containerStatuses[*].containerID} {.status.containerStatuses[*].restartCount}{"\n"}{end}`)
}

// untilNothing waits until nothing is left of any session, and returns what is, if anything.
func (l load) untilNothing(t *testing.T, seen *census) (left []string) {
	_ = wait.PollUntilContextTimeout(t.Context(), 500*time.Millisecond, leftTime, true, func(context.Context) (bool, error) {
		left = append(seen.present(), l.processes(t)...)
		return len(left) == 0, nil
	})
	return left
}

// processes are the sessions' that run. Those of the embedded cluster are this machine's.
func (l load) processes(t *testing.T) (running []string) {
	t.Helper()
	if !the.embedded {
		return nil
	}
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		environ, err := os.ReadFile(file)
		_, name, found := bytes.Cut(environ, []byte("ESHELL_CASE="+l.namespace))
		if err != nil || !found { // it may have ended meanwhile
			continue
		}
		name, _, _ = bytes.Cut(name, []byte{0})
		words, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		running = append(running, fmt.Sprintf("process %s of %s%s: %q", filepath.Base(filepath.Dir(file)), l.namespace, name, words))
	}
	return running
}

// census knows which objects of sessions there are.
type census struct {
	mu   sync.Mutex
	here map[string]bool // KIND/NAMESPACE/NAME
	peak map[string]int  // by kind
}

// watch counts the realm's pods and Jobs of sessions from now on.
func (l load) watch(t *testing.T) *census {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", the.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(l.namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = owned.SessionLabel }))
	c := &census{here: map[string]bool{}, peak: map[string]int{}}
	c.count(t, "pod", factory.Core().V1().Pods().Informer())
	c.count(t, "job", factory.Batch().V1().Jobs().Informer())
	factory.Start(t.Context().Done())
	t.Cleanup(factory.Shutdown)
	factory.WaitForCacheSync(t.Context().Done())
	return c
}

func (c *census) count(t *testing.T, kind string, informer cache.SharedIndexInformer) {
	t.Helper()
	note := func(object any, here bool) {
		if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
			c.note(kind, kind+"/"+key, here)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { note(object, true) }, DeleteFunc: func(object any) { note(object, false) },
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (c *census) note(kind, name string, here bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.here, name)
	if !here {
		return
	}
	c.here[name] = true
	now := 0
	for other := range c.here {
		if strings.HasPrefix(other, kind+"/") {
			now++
		}
	}
	c.peak[kind] = max(c.peak[kind], now)
}

func (c *census) present() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.here))
}

func (c *census) most(kind string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peak[kind]
}
