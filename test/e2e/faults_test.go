//go:build unix

package e2e

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// suite is what the trials share.
type suite struct {
	realm
	world    world // with a plugin as it is released: a hundred clients with a race detector are too much
	config   *rest.Config
	watchman *watchman
	slots    chan struct{} // for sessions that start

	mu      sync.Mutex
	targets map[string]*sync.Once
	results map[string]string // by fault, phase and spot
}

// starting is how many sessions may start at once, and sideways how many tests are to run side by side:
// most of a trial is waiting, and those of a disaster wait for each other.
const starting, sideways = 8, 64

// sources are the workloads that the clones are of: one that is in production, one with little memory,
// and one whose clones are drained, as the label says that they keep.
const sources = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: source}
spec:
  replicas: 1
  selector: {matchLabels: {app: source}}
  template:
    metadata: {labels: {app: source, steady: "yes"}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: app, image: "localhost/eshell/bash:1", command: [sleep, "86400"]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: source-small}
spec:
  replicas: 0
  selector: {matchLabels: {app: source-small}}
  template:
    metadata: {labels: {app: source-small}}
    spec: {containers: [{name: app, image: "localhost/eshell/bash:1", command: [sleep, "86400"], resources: {limits: {memory: 64Mi}}}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: source-drained}
spec:
  replicas: 0
  selector: {matchLabels: {app: source-drained}}
  template:
    metadata: {labels: {app: source-drained, faults: drained}}
    spec: {containers: [{name: app, image: "localhost/eshell/bash:1", command: [sleep, "86400"]}]}
`

// joined is a pod that debug sessions join.
const joined = `
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {LABEL}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: app, image: "localhost/eshell/bash:1", command: [sleep, "86400"], resources: {LIMITS}}]
`

// TestFaults: whatever happens to a session, to its client or to the cluster, and whenever it does:
// within the length of the lease and 30 s nothing of it is left, the application has not been
// disturbed, the terminal is as it was, and the exit status is the one of docs/faults.md.
func TestFaults(t *testing.T) {
	if !the.embedded {
		t.Skip("the containers of an existing cluster are on other machines, and it is not ours to restart and drain")
	}
	s := newSuite(t)
	t.Cleanup(func() { t.Logf("exit status, and seconds until nothing was left:\n%s", s.table()) })
	for _, f := range faults() {
		if f.all == nil {
			s.each(t, f, f.name+"/", nil)
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			blow := newBlow()
			t.Cleanup(func() { blow.allMended(t) })
			s.each(t, f, "", blow)
			go blow.fall(s, f.all)
		})
	}
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	if n, err := strconv.Atoi(flag.Lookup("test.parallel").Value.String()); err != nil || n < sideways {
		t.Fatalf("the trials wait for each other: use -parallel %d, as make test-faults does", sideways)
	}
	s := &suite{
		realm: newRealm(t, "faults", sources), world: unraced(t),
		slots: make(chan struct{}, starting), targets: map[string]*sync.Once{}, results: map[string]string{},
	}
	var err error
	if s.config, err = clientcmd.BuildConfigFromFlags("", the.kubeconfig); err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.watchman = watch(t, client, s.namespace)
	kubectl(t, "wait", "-n", s.namespace, "--for=condition=Available", "deployment/source", "--timeout=120s")
	return s
}

// each starts the trials of one fault, in parallel.
func (s *suite) each(t *testing.T, f fault, prefix string, blow *blow) {
	for _, p := range f.phases() {
		for _, at := range spots() {
			t.Run(fmt.Sprintf("%s%s/%s", prefix, p, at), func(t *testing.T) {
				blow.expect()
				t.Parallel()
				x := &trial{suite: s, t: t, world: s.world, fault: &f, phase: p, spot: at, id: rand.String(10)}
				x.run(blow)
			})
		}
	}
}

// turn waits until a session may start, and returns what to call when it has started: a machine on
// which all start at once starts none in time.
func (s *suite) turn() func() {
	s.slots <- struct{}{}
	return func() { <-s.slots }
}

// target is the pod that a debug session joins, which runs by then.
func (s *suite) target(x *trial) string {
	x.t.Helper()
	// The more containers a pod gets, the slower the kubelet is to start them and to tell of them.
	name := strings.ToLower(strings.ReplaceAll(x.fault.name+"-"+string(x.phase), " ", "-"))
	label := `steady: "yes"`
	if x.fault.ruins {
		name, label = "target-"+x.id, "faults: drained"
	}
	s.mu.Lock()
	if s.targets[name] == nil {
		s.targets[name] = &sync.Once{}
	}
	once := s.targets[name]
	s.mu.Unlock()
	once.Do(func() {
		limits := pick(x.fault.small, "limits: {memory: 64Mi}", "")
		s.apply(x.t, strings.NewReplacer("NAME", name, "LABEL", label, "LIMITS", limits).Replace(joined))
	})
	if !s.watchman.until(patience, func(seen sight) bool { return seen.pods[name] != nil && podIsReady(seen.pods[name]) }) {
		x.t.Fatalf("pod/%s is not ready", name)
	}
	return name
}

// report records the trial's result for the table.
func (x *trial) report() {
	if x.t.Failed() {
		x.result = "FAILED"
	}
	x.record(*x.fault, x.phase, x.spot, x.result)
}

func (s *suite) record(f fault, p phase, at spot, result string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results[fmt.Sprint(f.name, p, at)] = result
}

// table has a line for each fault and phase that was tried.
func (s *suite) table() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var text, legend strings.Builder
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprint(columns, "fault\twhile")
	for _, at := range spots() {
		fmt.Fprint(columns, "\t", at.short())
	}
	fmt.Fprintln(columns)
	for _, f := range faults() {
		for _, p := range f.phases() {
			s.line(columns, f, p)
		}
		if f.why != "" {
			fmt.Fprintf(&legend, "%s: only while %s: %s\n", f.name, f.only, f.why)
		}
	}
	columns.Flush()
	return text.String() + legend.String()
}

func (s *suite) line(columns io.Writer, f fault, p phase) {
	var line strings.Builder
	for _, at := range spots() {
		line.WriteString("\t" + s.results[fmt.Sprint(f.name, p, at)])
	}
	if strings.TrimSpace(line.String()) != "" {
		fmt.Fprintf(columns, "%s\t%s%s\n", f.name, p, &line)
	}
}

// blow is a disaster that waits until all trials are where it is to find them. A nil blow is none.
type blow struct {
	trials         int
	near, ready    sync.WaitGroup
	struck, mended chan struct{}
	began          time.Time // when it began to strike; to be read when it has struck
	strikeErr      error     // so is this
	mendErr        error     // and this when it is mended
}

func newBlow() *blow { return &blow{struck: make(chan struct{}), mended: make(chan struct{})} }

// expect makes it wait for one more trial.
func (b *blow) expect() {
	if b != nil {
		b.trials++
		b.near.Add(1)
		b.ready.Add(1)
	}
}

// expected returns what a trial calls when it is near its moment, and when it is there; more calls do nothing.
func (b *blow) expected() (near, ready func()) {
	if b == nil {
		return func() {}, func() {}
	}
	return sync.OnceFunc(b.near.Done), sync.OnceFunc(b.ready.Done)
}

// fall strikes when all trials are ready, and mends. A test that runs none of them leaves the cluster alone.
func (b *blow) fall(s *suite, d *disaster) {
	b.ready.Wait()
	if b.trials > 0 {
		b.began = time.Now()
		b.strikeErr = limited(d.strike, s)
		close(b.struck)
		b.mendErr = limited(d.mend, s)
	}
	close(b.mended)
}

// limited gives a part of a disaster a time of its own: what is struck is to be mended, even late.
func limited(do func(context.Context, *suite) error, s *suite) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return do(ctx, s)
}

// allNear waits until all trials are near: the moments themselves do not last.
func (b *blow) allNear() {
	if b != nil {
		b.near.Wait()
	}
}

// allStruck waits until all are struck, and returns when that began; without a disaster it is now.
func (b *blow) allStruck(t *testing.T) time.Time {
	t.Helper()
	if b == nil {
		return time.Now()
	}
	<-b.struck
	if b.strikeErr != nil {
		t.Fatal(b.strikeErr)
	}
	return b.began
}

func (b *blow) allMended(t *testing.T) {
	t.Helper()
	if b == nil {
		return
	}
	<-b.mended
	if b.mendErr != nil {
		t.Fatal(b.mendErr)
	}
}
