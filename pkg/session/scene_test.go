package session_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

const (
	sessionID = "x7k2p"
	namespace = "shop"
	startTime = 2 * time.Second // of a container
)

var (
	errReset  = errors.New("read: connection reset by peer")
	errBroken = fmt.Errorf("websocket: %w", io.ErrUnexpectedEOF)
)

// scene is a session that is about to begin, as eshell makes it, on a node.
type scene struct {
	t         *testing.T
	ctx       context.Context
	interrupt context.CancelCauseFunc
	node      *node
	plan      *plan.Plan
	lease     *lease.Lease
	config    session.Config
	told      told
	stdout    output
}

func newScene(t *testing.T, c combination, change func(*plan.Options)) *scene {
	s := &scene{t: t, node: newNode(t)}
	s.ctx, s.interrupt = context.WithCancelCause(t.Context())
	t.Cleanup(func() { s.interrupt(nil) })
	terms := lease.Terms{Namespace: namespace, Session: sessionID, Length: 2 * time.Minute,
		TTL: 8 * time.Hour}
	var err error
	if s.lease, err = lease.Take(s.ctx, s.node, terms); err != nil {
		t.Fatal(err)
	}
	o := plan.Options{
		Session: sessionID, HeartbeatTimeout: terms.Length, TTL: terms.TTL, Via: c.via,
		Lease: &plan.Lease{Name: s.lease.Name, UID: s.lease.UID},
	}
	change(&o)
	if c.mode == plan.ModeDebug {
		s.plan, err = plan.Debug(s.node.deployment(), o)
	} else {
		s.plan, err = plan.Clone(s.node.deployment(), o)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.config = session.Config{
		Client: s.node, Streams: s.node, Reporter: &s.told, StartTimeout: time.Minute, TTL: o.TTL,
		Lease: s.lease,
		Stdin: strings.NewReader(""), Stdout: &s.stdout, Stderr: &s.stdout,
	}
	return s
}

// check compares what was seen with what is wanted, in the words of the session.
func (s *scene) check(got, want outcome) {
	s.t.Helper()
	where := "pod/" + s.plan.PodName
	if s.plan.InPod() {
		where = "container " + s.plan.Container + " in " + where
	}
	words := strings.NewReplacer("WHERE", where, "IT", s.plan.Container, "NAME", s.plan.Name(), "POD",
		s.plan.PodName, "IMAGE", image)
	want.err, want.says, want.output = words.Replace(want.err), words.Replace(want.says),
		words.Replace(want.output)
	if got != want {
		s.t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// checkNothingLeft fails if something of the session is in the cluster.
func (s *scene) checkNothingLeft() {
	s.t.Helper()
	pods, err := s.node.CoreV1().Pods(namespace).List(s.t.Context(),
		metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=kubectl-eshell"})
	if err != nil || len(pods.Items) > 0 || s.node.isRunning() {
		s.t.Errorf("left: %d pods, a process: %t, %v", len(pods.Items), s.node.isRunning(), err)
	}
	jobs, err := s.node.BatchV1().Jobs(namespace).List(s.t.Context(), metav1.ListOptions{})
	if err != nil || len(jobs.Items) > 0 {
		s.t.Errorf("left: %d leases, %v", len(jobs.Items), err)
	}
}

// loseLease is what the controllers do when a lease has ended.
func (s *scene) loseLease() {
	if err := s.node.BatchV1().Jobs(namespace).Delete(s.t.Context(), s.lease.Name,
		metav1.DeleteOptions{}); err != nil {
		s.t.Error(err)
	}
	if s.plan.Pod != nil {
		s.deletePod()
	}
}

// deletePod is what somebody else does. The session may have been faster.
func (s *scene) deletePod() {
	err := s.node.CoreV1().Pods(namespace).Delete(s.t.Context(), s.plan.PodName, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		s.t.Error(err)
	}
}

// extend makes the lease's TTL another one.
func (s *scene) extend(ttl time.Duration) {
	jobs := s.node.BatchV1().Jobs(namespace)
	job, err := jobs.Get(s.t.Context(), s.lease.Name, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	job.Annotations["kubectl-eshell.github.io/ttl-seconds"] = strconv.Itoa(int(ttl.Seconds()))
	if _, err := jobs.Update(s.t.Context(), job, metav1.UpdateOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

// forget makes room for what another client of the session sees.
func (s *scene) forget() {
	job, err := s.node.BatchV1().Jobs(namespace).Get(s.t.Context(), s.lease.Name, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.config.Lease = lease.Follow(s.node, job)
	s.stdout.reset()
	s.told.reset()
}

const image = "api:1"

// node is a cluster: client-go's fake of an API server, and a container that speaks the protocol of eshell's
// scripts without running them. Time in it costs nothing.
type node struct {
	*fake.Clientset
	t *testing.T

	command func(context.Context, remotecommand.StreamOptions) int // the user's
	// how a container starts; nil: it runs after startTime
	starts     *corev1.ContainerState
	refuse     error // the answer to a create
	unanswered bool  // the answer to a create is lost

	lost   chan struct{} // closed with all connections
	heard  []string      // by an idler
	killed bool          // by a session that ends

	mu      sync.Mutex
	process []string // of the container
	alive   context.Context
	end     context.CancelFunc
	version int
	pod     string
	name    string // of the container
	kill    func()
	again   chan io.Writer // of the stream after a lost one
	opened  bool
}

func newNode(t *testing.T) *node {
	n := &node{Clientset: fake.NewClientset(), t: t, lost: make(chan struct{}), version: 5,
		again: make(chan io.Writer, 1)}
	live := n.deployment().Pod
	if err := n.Tracker().Add(live); err != nil {
		t.Fatal(err)
	}
	n.PrependReactor("create", "pods", n.createPod)
	n.PrependReactor("patch", "pods", n.addContainer)
	n.PrependReactor("delete", "pods", n.deletePod)
	return n
}

// deployment is what the session is made of, with a pod that runs.
func (n *node) deployment() *workload.Workload {
	spec := corev1.PodSpec{NodeName: "node1", Containers: []corev1.Container{{Name: "app", Image: image,
		Command: []string{"sh", "-c", "serve"}}}}
	started := metav1.Now()
	return &workload.Workload{
		Kind: "Deployment", Name: "api", Namespace: namespace, Container: "app",
		Access: workload.Access{DeletePods: true, WatchPods: true, ExecPods: true, AttachPods: true,
			PatchJobs: true},
		Template: corev1.PodTemplateSpec{Spec: *spec.DeepCopy()},
		Pod: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "api-7d4b9", Namespace: namespace, UID: "uid-1",
				ResourceVersion: "5"},
			Spec: spec,
			Status: corev1.PodStatus{
				Phase: corev1.PodRunning, StartTime: &started,
				Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled,
					Status: corev1.ConditionTrue}},
				ContainerStatuses: []corev1.ContainerStatus{{Name: "app",
					State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}},
			},
		},
	}
}

func waiting(reason, message string) *corev1.ContainerState {
	return &corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func (n *node) createPod(action clienttesting.Action) (bool, runtime.Object, error) {
	if n.refuse != nil {
		return true, nil, n.refuse
	}
	pod := action.(clienttesting.CreateAction).GetObject().(*corev1.Pod).DeepCopy()
	pod.UID, pod.ResourceVersion, pod.Spec.NodeName = "uid-2", "5", "node1"
	pod.Status = *n.deployment().Pod.Status.DeepCopy()
	pod.Status.Phase, pod.Status.ContainerStatuses = corev1.PodPending, nil
	if err := n.Tracker().Add(pod); err != nil {
		return true, nil, err
	}
	n.start(pod, "app", pod.Spec.Containers[0].Command)
	return true, pod, n.lostAnswer()
}

func (n *node) addContainer(action clienttesting.Action) (bool, runtime.Object, error) {
	if n.refuse != nil {
		return true, nil, n.refuse
	}
	var patch struct{ Spec corev1.PodSpec }
	if err := json.Unmarshal(action.(clienttesting.PatchAction).GetPatch(), &patch); err != nil {
		return true, nil, err
	}
	added := patch.Spec.EphemeralContainers[0]
	pod := n.read("api-7d4b9")
	pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, added)
	n.write(pod)
	n.start(pod, added.Name, added.Command)
	return true, pod, n.lostAnswer()
}

func (n *node) lostAnswer() error {
	if n.unanswered {
		return errReset
	}
	return nil
}

// deletePod ends what runs in it, and leaves the rest to the fake.
func (n *node) deletePod(action clienttesting.Action) (bool, runtime.Object, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.end != nil && n.pod == action.(clienttesting.DeleteAction).GetName() {
		n.end()
	}
	return false, nil, nil
}

// start makes the container run a little later.
func (n *node) start(pod *corev1.Pod, container string, process []string) {
	n.mu.Lock()
	n.pod, n.name, n.process = pod.Name, container, process
	n.mu.Unlock()
	if n.starts != nil {
		time.AfterFunc(startTime, func() { n.become(*n.starts) })
		return
	}
	time.AfterFunc(startTime, func() {
		n.mu.Lock()
		n.alive, n.end = context.WithCancel(n.t.Context())
		n.kill = func() { n.terminate(137) }
		n.mu.Unlock()
		n.become(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	})
}

// become is the kubelet's report.
func (n *node) become(state corev1.ContainerState) {
	pod := n.read(n.pod)
	if pod == nil {
		return
	}
	status := []corev1.ContainerStatus{{Name: n.name, State: state}}
	if n.name == "app" {
		pod.Status.ContainerStatuses = status
	} else {
		pod.Status.EphemeralContainerStatuses = status
	}
	n.write(pod)
}

func (n *node) read(name string) *corev1.Pod {
	pod, err := n.Tracker().Get(corev1.SchemeGroupVersion.WithResource("pods"), namespace, name)
	if err != nil { // it is gone
		return nil
	}
	return pod.(*corev1.Pod).DeepCopy()
}

func (n *node) write(pod *corev1.Pod) {
	n.mu.Lock()
	n.version++
	pod.ResourceVersion = strconv.Itoa(n.version)
	n.mu.Unlock()
	err := n.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), pod, namespace)
	if err != nil && !apierrors.IsNotFound(err) { // it may be gone by now
		n.t.Error(err)
	}
}

// terminate ends the container's process.
func (n *node) terminate(status int) {
	n.mu.Lock()
	over := n.alive.Err() != nil
	n.end()
	n.mu.Unlock()
	if over {
		return
	}
	reason := "Completed"
	if status != 0 {
		reason = "Error"
	}
	n.become(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason,
		ExitCode: int32(status)}})
}

// terminateUnseen ends the container's process by SIGKILL. The pod's status shows it only after a while.
func (n *node) terminateUnseen() {
	n.mu.Lock()
	n.end()
	n.mu.Unlock()
	time.AfterFunc(10*time.Second, func() {
		n.become(corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 137}})
	})
}

func (n *node) isRunning() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.alive != nil && n.alive.Err() == nil
}

func (n *node) loseConnections() { close(n.lost) }

// reattached is where output goes after the connection was lost.
func (n *node) reattached() io.Writer { return <-n.again }

// Exec runs a command beside the container's process.
func (n *node) Exec(ctx context.Context, _ stream.Container, words []string,
	streams remotecommand.StreamOptions) error {
	if n.alive.Err() != nil {
		return errors.New(`container not found ("app")`)
	}
	stream.Opened(ctx)
	status := make(chan int, 1)
	go func() {
		switch script(words) {
		case "eshell-relay":
			if streams.Stdin != nil {
				_, _ = io.Copy(streams.Stdout, streams.Stdin)
			}
			status <- 0
		case "eshell-kill":
			n.killed = true
			n.kill()
			status <- 0
		case "eshell-gate":
			alive, kill := context.WithCancel(n.alive)
			n.kill = kill
			status <- n.gate(alive, words, streams)
		default:
			status <- n.run(n.alive, words, streams)
		}
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-n.broken():
		return errBroken
	case <-n.alive.Done():
		return exitError(137)
	case status := <-status:
		return exitError(status)
	}
}

func exitError(status int) error {
	if status == 0 {
		return nil
	}
	return exec.CodeExitError{Err: errors.New("exit"), Code: status}
}

// broken is closed with the connections, until there is a new one.
func (n *node) broken() <-chan struct{} {
	select {
	case <-n.lost: // and back
		return nil
	default:
		return n.lost
	}
}

// Attach connects to the container's process.
func (n *node) Attach(ctx context.Context, _ stream.Container, streams remotecommand.StreamOptions) error {
	n.mu.Lock()
	again := n.opened
	n.opened = true
	n.mu.Unlock()
	stream.Opened(ctx)
	done, broken := make(chan struct{}), n.broken()
	go func() {
		defer close(done)
		n.listen(again, streams)
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-broken:
		if script(n.process) == "eshell-holder" { // the runtime closes its stdin
			n.terminate(0)
		}
		return errBroken
	case <-n.alive.Done():
		return nil
	case <-done:
		return nil
	}
}

// listen is what the container's process does with a stream.
func (n *node) listen(again bool, streams remotecommand.StreamOptions) {
	switch script(n.process) {
	case "eshell-holder":
		_, _ = io.Copy(io.Discard, streams.Stdin)
		n.terminate(0)
	case "eshell-gate":
		if again && streams.Tty {
			// as client-go does, once the stream is open
			go func() { _, _ = streams.Stdin.Read(make([]byte, 1)) }()
			n.again <- streams.Stdout
			<-n.alive.Done()
			return
		}
		n.terminate(n.gate(n.alive, n.process, streams))
	case "eshell-idler":
		for lines := bufio.NewScanner(streams.Stdin); lines.Scan(); {
			n.heard = append(n.heard, lines.Text())
			if lines.Text() == "end" {
				n.terminate(0)
			}
		}
	}
}

// script is the name of the one that words run.
func script(words []string) string { return words[3] }

// gate holds the command back until the client listens.
func (n *node) gate(alive context.Context, words []string, streams remotecommand.StreamOptions) int {
	if alive.Err() != nil { // nothing starts in a container that has ended
		return 137
	}
	mark, command, lines := words[5], words[7:], bufio.NewReader(streams.Stdin)
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // nobody is there
			return 143
		}
		if strings.HasPrefix(line, "go") {
			break
		}
		fmt.Fprintf(streams.Stdout, "%s ready\n", mark)
	}
	fmt.Fprintf(streams.Stdout, "%s 12 34\n", mark)
	streams.Stdin = lines
	return n.run(alive, command, streams)
}

// run runs the user's command, as the words that launch it say.
func (n *node) run(alive context.Context, launch []string, streams remotecommand.StreamOptions) int {
	const id = "0f1e2d3c-0f1e-4d3c-8b4a-0f1e2d3c4b5a"
	drain := script(launch) == "eshell-drain"
	if drain {
		fmt.Fprintf(streams.Stdout, "%s%s\n", launch[4], id)
		fmt.Fprintf(streams.Stderr, "%s%s\n", launch[4], id)
	}
	status := n.command(alive, streams)
	if alive.Err() != nil {
		return 137
	}
	if drain {
		fmt.Fprintf(streams.Stdout, "\x1e%s %d\n", id, status)
		fmt.Fprintf(streams.Stderr, "\x1e%s %d\n", id, status)
		_, _ = io.Copy(io.Discard, streams.Stdin)
	}
	return status
}

// told is a Reporter that remembers.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (t *told) Created(*plan.Plan)     {}
func (t *told) Waiting(string)         {}
func (t *told) Ready()                 {}
func (t *told) Trouble(string, string) {}
func (t *told) Raw(bool)               {}
func (t *told) Say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, fmt.Sprintf(format, args...))
}
func (t *told) Answer(format string, args ...any) { t.Say(format, args...) }
func (t *told) Warn(format string, args ...any)   { t.Say("warning: "+format, args...) }

func (t *told) reset() { t.lines = nil }

// String is all that was told.
func (t *told) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}

// output is the user's stdout and stderr.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write keeps p.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) reset() { o.text.Reset() }

// String is all that was written.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
