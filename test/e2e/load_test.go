//go:build unix

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// sessionsPerCore is how many sessions are there at once for each core: far more than can start at once.
const sessionsPerCore = 16

// concurrent is how many sessions are there at once, and total how many there are in all.
func concurrent() int { return sessionsPerCore * runtime.NumCPU() }
func total() int      { return 4 * concurrent() }

const (
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
	l := newLoad(t)
	before, began := l.application(t), time.Now()
	sessions := l.runAll(t, seed)
	ended := time.Now()
	t.Logf("seed %d: %d sessions in %.0f s, %d at once; at most %d of their pods\n%s\nwhat the machine needed:\n%s",
		seed, len(sessions), ended.Sub(began).Seconds(), concurrent(), l.observer.peak(), figures(sessions),
		l.machine.summary())
	for _, s := range sessions {
		if s.status != s.end.status {
			t.Errorf("%v: exit status %d, want %d; its output:\n%s", s, s.status, s.end.status,
				s.output.text())
		}
	}
	left := l.remains(ended)
	t.Logf("%.1f s after the last client's end %d pods, Jobs and processes are left",
		time.Since(ended).Seconds(), len(left))
	if len(left) > 0 {
		t.Errorf("left is:\n%s", strings.Join(left, "\n"))
	}
	if after := l.application(t); after != before {
		t.Errorf("the application is\n%s, was\n%s", after, before)
	}
}

// load is where it happens.
type load struct {
	world testEnv
	namespaceFixture
	observer     *observer
	machine      *machine
	startTimeout time.Duration
}

func newLoad(t *testing.T) load {
	t.Helper()
	l := load{world: unraced(t),
		namespaceFixture: newRealm(t, "load", strings.ReplaceAll(busy, "SPEC", busySpec))}
	kubectl(t, "wait", "-n", l.namespace, "--for=jsonpath={.status.readyReplicas}=8", "statefulset/target",
		"--timeout=120s")
	kubectl(t, "wait", "-n", l.namespace, "--for=condition=Available", "deployment/app", "--timeout=120s")
	l.observer = observe(t, l.namespace)
	l.machine = measure(t, l.observer)
	// All of them may have to start one after the other, and the machine has more to do than that.
	l.startTimeout = max(2*time.Minute, 5*time.Duration(concurrent())*l.machine.firstStart(t))
	return l
}

// loadSession is one of the many, drawn at random, and what became of it.
type loadSession struct {
	id     string // in the environment of each of its session's processes
	args   []string
	tty    bool
	end    end
	fromUp bool          // its life counts from when its command runs, not from its own start
	life   time.Duration // after which it ends

	output *written
	up     time.Duration // after its start; 0: its command never ran
	status int
}

func (s *loadSession) String() string {
	return fmt.Sprintf("%s: kubectl %s, terminal %t, %s %v after it %s", s.id, strings.Join(s.args, " "),
		s.tty, s.end.name, s.life,
		pick(s.fromUp, "was up", "started"))
}

// end is a way in which a client ends.
type end struct {
	name   string
	signal syscall.Signal // 0: its command ends
	status int
}

var clientEnds = []end{
	{"SIGKILL", syscall.SIGKILL, 137}, {"SIGTERM", syscall.SIGTERM, 143}, {"SIGINT", syscall.SIGINT, 130},
	{"SIGHUP", syscall.SIGHUP, 129}, {"its command's end", 0, 7},
}

// draw draws a session: two in three are clones. The lease is longer than a busy node takes to say that a
// container runs.
func (l load) draw(random *rand.Rand, number int) *loadSession {
	s := &loadSession{id: fmt.Sprintf("%s-%d", l.namespace, number),
		end: clientEnds[random.IntN(len(clientEnds))], output: newWritten()}
	s.args = []string{"eshell", "-n", l.namespace, "deploy/app"}
	debug, attach := random.IntN(3) == 0, random.IntN(3) == 0
	if debug {
		s.args = []string{"eshell", "-n", l.namespace, fmt.Sprintf("pod/target-%d", random.IntN(targets)),
			"--mode", "debug"}
	}
	if attach {
		s.args = append(s.args, "--via", "attach")
	}
	s.tty = random.IntN(4) == 0
	s.fromUp, s.life = random.IntN(2) == 0, time.Duration(random.Int64N(int64(5*time.Second)))
	// What it leaves in the background must end with it.
	s.args = append(s.args, "-i", "--lease=1m", "--start-timeout="+l.startTimeout.String(), "-e",
		caseVariable+"="+s.id, "--", "bash", "-c",
		"sleep 86400 </dev/null >/dev/null 2>&1 & echo up-$((40+2)); read -r line; exit 7")
	return s
}

// runAll runs all sessions, as many at once as there is room for.
func (l load) runAll(t *testing.T, seed uint64) []*loadSession {
	random := rand.New(rand.NewPCG(seed, 0))
	sessions, next := make([]*loadSession, total()), make(chan *loadSession)
	var running sync.WaitGroup
	for range concurrent() {
		running.Go(func() {
			for s := range next {
				if err := s.run(l.world); err != nil {
					t.Errorf("%v: %v", s, err)
				}
			}
		})
	}
	for i := range sessions {
		sessions[i] = l.draw(random, i)
		next <- sessions[i]
	}
	close(next)
	running.Wait()
	return sessions
}

// run runs the client until it has ended.
func (s *loadSession) run(w testEnv) error {
	cmd := exec.Command(filepath.Join(w.bin, "kubectl"), s.args...)
	cmd.Env = w.env()
	began := time.Now()
	keyboard, err := s.start(cmd)
	if err != nil {
		return err
	}
	defer keyboard.Close()
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the status is in ProcessState
		close(exited)
	}()
	up, life := s.output.up, time.After(s.life)
	if s.fromUp {
		life = nil
	}
	for over := false; !over; {
		select {
		case <-up:
			s.up, up = time.Since(began), nil
			if s.fromUp {
				life = time.After(s.life)
			}
		case <-life:
			life = nil
			if err := s.finish(cmd, keyboard); err != nil {
				return err
			}
		case <-exited:
			over = true
		}
	}
	s.status = exitStatus(cmd)
	return nil
}

// start starts the client, on a terminal or between pipes, and returns its keyboard.
func (s *loadSession) start(cmd *exec.Cmd) (keyboard *os.File, err error) {
	if !s.tty {
		stdin, keyboard, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer stdin.Close()
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, s.output, s.output
		return keyboard, cmd.Start()
	}
	master, line, err := pty.Open()
	if err != nil {
		return nil, err
	}
	defer line.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = line, line, line
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	go func() { _, _ = io.Copy(s.output, master) }()
	return master, cmd.Start()
}

// finish makes the client end. That it has ended before shows in its status.
func (s *loadSession) finish(cmd *exec.Cmd, keyboard *os.File) error {
	if s.end.signal != 0 {
		_ = cmd.Process.Signal(s.end.signal)
		return nil
	}
	_, err := keyboard.WriteString("\n")
	return err
}

// written is all that a client writes.
type written struct {
	mu  sync.Mutex
	all bytes.Buffer
	up  chan struct{} // closed when its command has said that it runs
}

func newWritten() *written { return &written{up: make(chan struct{})} }

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := bytes.Contains(w.all.Bytes(), []byte("up-42"))
	w.all.Write(p)
	if !was && bytes.Contains(w.all.Bytes(), []byte("up-42")) {
		close(w.up)
	}
	return len(p), nil
}

func (w *written) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return spinner.ReplaceAllString(w.all.String(), "")
}

// spinner is what moves while a session starts.
var spinner = regexp.MustCompile(`\r\x1b\[K[|/\\-] waiting [^\r\n]*`)

// figures sum up what became of the sessions: how they ended, when they were up, and their complaints.
func figures(sessions []*loadSession) string {
	ended, complaints := map[string]int{}, map[string]int{}
	var ups []time.Duration
	names := regexp.MustCompile(`[a-z]+-[a-z0-9-]+|\b[0-9a-f]{64}\b|\d+`)
	for _, s := range sessions {
		ended[s.end.name]++
		if s.up > 0 {
			ups = append(ups, s.up)
		}
		for line := range strings.Lines(s.output.text()) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "warning: ") || strings.HasPrefix(line,
				"error: ") {
				complaints[names.ReplaceAllString(line, "*")]++
			}
		}
	}
	text := fmt.Sprintf("ended by %v; %d were up", ended, len(ups))
	text += "\n" + spread(map[string][]time.Duration{"until its command ran": ups})
	for _, line := range slices.Sorted(maps.Keys(complaints)) {
		text += fmt.Sprintf("%4d %s\n", complaints[line], line)
	}
	return strings.TrimSpace(text)
}

// application is what identifies the application's processes.
func (l load) application(t *testing.T) string {
	return kubectl(t, "get", "pods,deployments,statefulsets", "-n", l.namespace, "-l", "part=application",
		"-o",
		`jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.status.containerStatuses[*].containerID} {.status.containerStatuses[*].restartCount}{"\n"}{end}`)
}

// remains waits until nothing is left of any session, and returns what is when their time is over. It counts
// from the end of the last client; what the machine itself needs is added.
func (l load) remains(ended time.Time) (left []string) {
	deadline := func(snapshot) time.Time { return ended.Add(leftTime + l.machine.needs(ended)) }
	left = []string{"the observer has seen nothing"}
	l.observer.untilDeadline(deadline,
		func(s snapshot) bool { left = s.leftOfAll(l.namespace); return len(left) == 0 })
	return left
}

// leftOfAll is what there is of all sessions whose cases begin with a prefix.
func (s snapshot) leftOfAll(prefix string) (left []string) {
	for name, pod := range s.pods {
		if pod.Labels[owned.SessionLabel] != "" {
			left = append(left, "pod/"+name)
		}
		for _, c := range pod.Spec.EphemeralContainers {
			if strings.HasPrefix(c.Name, "eshell-") && s.willRun(started{pod: name, container: c.Name}) {
				left = append(left, "container "+c.Name+" in pod/"+name)
			}
		}
	}
	for name := range s.jobs {
		left = append(left, "job/"+name)
	}
	for id, processes := range s.processes {
		if strings.HasPrefix(id, prefix) {
			left = append(left, id+": "+strings.Join(processes, ", "))
		}
	}
	slices.Sort(left)
	return left
}
