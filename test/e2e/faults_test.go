//go:build unix

package e2e

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"k8s.io/apimachinery/pkg/util/rand"
)

// suite is what the trials share.
type suite struct {
	namespaceFixture
	world    testEnv // with a plugin as it is released: so many clients with a race detector are too much
	observer *observer
	machine  *machine

	mu      sync.Mutex
	targets map[string]*sync.Once
	results map[string]string // by fault, phase and mode
}

// allTrials is the variable that asks for every fault in every phase and mode, not only for those trials that
// can differ.
const allTrials = "ESHELL_FAULTS_ALL"

// atOnce is how many trials have to be able to run side by side: those of an outage wait for each other.
const atOnce = 32

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
// within the time of docs/faults.md nothing of it is left, the application has not been disturbed, the
// terminal is as it was, and the exit status is the one of docs/faults.md.
func TestFaults(t *testing.T) {
	if !env.embedded {
		t.Skip("the containers of an existing cluster are on other machines, and it is not ours to restart and drain")
	}
	s := newSuite(t)
	t.Cleanup(func() {
		t.Logf("exit status, and seconds until nothing was left:\n%s\nwhat the machine needed:\n%s",
			s.table(), s.machine.summary())
	})
	for _, f := range faults() {
		if f.all == nil {
			s.each(t, f, f.name+"/", nil)
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			outage := newOutage()
			t.Cleanup(func() { outage.waitUntilMended(t) })
			s.each(t, f, "", outage)
			go outage.run(s, f.all)
		})
	}
	s.leaks(t)
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	if n, err := strconv.Atoi(flag.Lookup("test.parallel").Value.String()); err != nil || n < atOnce {
		t.Fatalf("the trials wait for each other: use -parallel %d, as make test-faults does", atOnce)
	}
	s := &suite{
		namespaceFixture: newRealm(t, "faults", sources), world: unraced(t),
		targets: map[string]*sync.Once{}, results: map[string]string{},
	}
	s.observer = observe(t, s.namespace)
	s.machine = measure(t, s.observer)
	kubectl(t, "wait", "-n", s.namespace, "--for=condition=Available", "deployment/source", "--timeout=120s")
	return s
}

// each starts the trials of one fault, in parallel.
func (s *suite) each(t *testing.T, f fault, prefix string, outage *outage) {
	trials := f.trials(os.Getenv(allTrials) == "1")
	for _, p := range f.phases() {
		for _, m := range trials[p] {
			t.Run(fmt.Sprintf("%s%s/%s", prefix, p, m), func(t *testing.T) {
				outage.expect()
				t.Parallel()
				x := s.trial(t, &f, p, m)
				defer x.report()
				x.run(outage)
			})
		}
	}
}

func (s *suite) trial(t *testing.T, f *fault, p phase, m mode) *trial {
	return &trial{suite: s, t: t, world: s.world, fault: f, phase: p, mode: m, id: rand.String(10)}
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
	if !s.observer.until(patience,
		func(seen snapshot) bool { return seen.pods[name] != nil && podIsReady(seen.pods[name]) }) {
		x.t.Fatalf("pod/%s is not ready", name)
	}
	return name
}

// report records the trial's result for the table.
func (x *trial) report() {
	if x.t.Failed() {
		x.result = "FAILED"
	}
	x.record(*x.fault, x.phase, x.mode, x.result)
}

func (s *suite) record(f fault, p phase, m mode, result string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results[fmt.Sprint(f.name, p, m)] = result
}

// table has a line for each fault and phase that was tried.
func (s *suite) table() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var text, legend strings.Builder
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprint(columns, "fault\twhile")
	for _, m := range modes() {
		fmt.Fprint(columns, "\t", m.short())
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
	for _, m := range modes() {
		line.WriteString("\t" + s.results[fmt.Sprint(f.name, p, m)])
	}
	if strings.TrimSpace(line.String()) != "" {
		fmt.Fprintf(columns, "%s\t%s%s\n", f.name, p, &line)
	}
}
