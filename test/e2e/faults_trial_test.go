//go:build unix

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/faultproxy"
	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/phaseproxy"
)

// phase is what a session is doing when the fault strikes.
type phase string

const (
	creating phase = "creating" // its pod or container is there, and it has not heard so
	waiting  phase = "waiting"  // for an image that does not come
	// it has asked for its shell's streams, which nobody answers
	attaching phase = "attaching"
	attached  phase = "attached" // its shell has children
	cleaning  phase = "cleaning" // its shell has ended with status 7, nothing is deleted yet
)

// own is the exit status of the session's own command.
const own = 7

// goesOn takes the place of an exit status where a fault does not end the session.
const goesOn = -1

// lease is the length of every session's lease. cleanUp and expiry are how soon after a fault nothing of a
// session is left, according to docs/faults.md: cleanUp if its client lives and cleans up, expiry if the
// cluster has to.
const (
	lease   = 20 * time.Second
	cleanUp = 15 * time.Second
	expiry  = lease + 30*time.Second
)

// mode is how a session runs its command, and whether it has a terminal.
type mode struct {
	debug, attach, tty bool
}

func modes() []mode {
	var all []mode
	for i := range 8 {
		all = append(all, mode{debug: i&4 != 0, attach: i&2 != 0, tty: i&1 == 0})
	}
	return all
}

func (m mode) String() string {
	name := pick(m.debug, "debug", "clone") + " by " + pick(m.attach, "attach", "exec")
	return name + pick(m.tty, ", terminal", "")
}

// short returns the heading of the mode's column.
func (m mode) short() string {
	return pick(m.debug, "debug", "clone") + " " + pick(m.attach, "attach", "exec") + pick(m.tty, " tty", "")
}

func pick(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

// trial is one session that is struck by one fault.
type trial struct {
	*suite
	t     *testing.T
	world testEnv // with a kubeconfig of the trial's own
	fault *fault
	phase phase
	mode  mode
	id    string

	phases  *phaseproxy.Proxy // nil if the phase need not be held
	network *faultproxy.Proxy // nil if the fault is not one of the network
	term    *terminal
	session started
	struck  time.Time
	status  int
	result  string // for the table
}

// run carries out the whole trial. outage is the fault if it strikes all sessions at once, otherwise nil.
func (x *trial) run(outage *outage) {
	started, ready := outage.progress()
	defer started() // in any case, since the other trials wait for it
	defer ready()
	x.connect()
	if x.phase != creating {
		x.start()
	}
	started()
	outage.waitUntilAllStarted()
	x.arrive()
	ready()
	x.struck = outage.waitUntilStruck(x.t)
	if x.fault.strike != nil {
		x.fault.strike(x)
	}
	if x.fault.status(x.phase, x.mode) != goesOn {
		x.letGo()
		x.ends()
		return
	}
	outage.waitUntilMended(x.t)
	x.letGo()
	x.goOn()
	x.ends()
}

// connect sets up the route to the API server that the trial needs, and a kubeconfig for it.
func (x *trial) connect() {
	x.t.Helper()
	x.world.kubeconfig = filepath.Join(x.t.TempDir(), "kubeconfig")
	config, err := clientcmd.LoadFromFile(env.kubeconfig)
	if err != nil {
		x.t.Fatal(err)
	}
	config.Contexts[config.CurrentContext].Namespace = x.namespace
	x.use(config)
	if moment, held := map[phase]phaseproxy.Moment{creating: phaseproxy.Created,
		attaching: phaseproxy.Attaching, cleaning: phaseproxy.Deleting}[x.phase]; held {
		x.phases = x.hold(moment)
	}
	if x.fault.network {
		x.reroute(func(cluster *clientcmdapi.Cluster) {
			if x.network, err = faultproxy.New(strings.TrimPrefix(cluster.Server, "https://")); err != nil {
				x.t.Fatal(err)
			}
			x.t.Cleanup(func() { _ = x.network.Close() })
			cluster.Server = "https://" + x.network.Addr()
		})
	}
}

// hold puts a proxy before the API server that holds the client at a moment.
func (x *trial) hold(moment phaseproxy.Moment) *phaseproxy.Proxy {
	x.t.Helper()
	server, err := x.world.config()
	if err != nil {
		x.t.Fatal(err)
	}
	proxy, err := phaseproxy.New(server, moment)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(proxy.Close)
	x.reroute(proxy.Replace)
	return proxy
}

// reroute changes how the trial's kubeconfig reaches the API server.
func (x *trial) reroute(change func(*clientcmdapi.Cluster)) {
	x.t.Helper()
	config, err := clientcmd.LoadFromFile(x.world.kubeconfig)
	if err != nil {
		x.t.Fatal(err)
	}
	change(config.Clusters[config.Contexts[config.CurrentContext].Cluster])
	x.use(config)
}

// use makes a kubeconfig the trial's.
func (x *trial) use(config *clientcmdapi.Config) {
	x.t.Helper()
	if err := clientcmd.WriteToFile(*config, x.world.kubeconfig); err != nil {
		x.t.Fatal(err)
	}
}

// open starts the client.
func (x *trial) open() {
	x.t.Helper()
	args := []string{"eshell", "deploy/" + x.fault.source(), "--mode=clone"}
	if x.mode.debug {
		args = []string{"eshell", "pod/" + x.target(x), "--mode=debug"}
	}
	if x.phase == waiting {
		args = append(args, "--image="+noImage)
	}
	args = append(args, "--via="+pick(x.mode.attach, "attach", "exec"), fmt.Sprintf("--tty=%t", x.mode.tty),
		"--lease="+lease.String(), "-e", caseVariable+"="+x.id)
	if x.phase == attaching { // nobody answers, and the client must give up within the limits
		args = append(args, "--start-timeout="+opening.String())
	}
	var stdout *os.File
	if x.fault.stdout != nil {
		stdout = x.fault.stdout(x)
		defer stdout.Close()
	}
	x.term = x.world.open(x.t, stdout, args...)
}

// start brings the session to the point where it waits or has its shell.
func (x *trial) start() {
	x.t.Helper()
	x.open()
	x.session = x.term.session()
	switch {
	case x.phase == waiting:
		x.term.expect(`waiting \d+s: image registry\.invalid`)
	case x.phase == attaching:
		x.held()
		x.seen("")
	case x.fault.stdout == nil:
		x.shell()
	default: // its first output may end it
		x.observer.until(patience,
			func(s snapshot) bool { return !s.startedAt(x.session).IsZero() || x.term.hasExited() })
	}
	x.term.started()
}

// shell waits for the session's shell, and gives it a child process and something to remember.
func (x *trial) shell() {
	x.t.Helper()
	if x.mode.tty {
		x.term.expect(prompt)
	}
	x.term.typed("memory=42; sleep 86400 >/dev/null 2>&1 & echo now-$((40+2))\n")
	x.term.expect(`now-42\r?\n`)
	x.seen("sleep 86400")
}

// seen waits until a process of the session has been seen. Otherwise it would prove nothing that none is seen
// later.
func (x *trial) seen(command string) {
	x.t.Helper()
	is := func(line string) bool { return strings.Contains(line, command) }
	if !x.observer.until(patience,
		func(s snapshot) bool { return slices.ContainsFunc(s.processes[x.id], is) }) {
		x.t.Fatalf("no process %q has %s=%s", command, caseVariable, x.id)
	}
}

// arrive brings the session to a moment that does not last.
func (x *trial) arrive() {
	x.t.Helper()
	switch x.phase {
	case creating:
		x.open()
		defer x.term.started()
		x.held()
		if !x.observer.until(patience,
			func(s snapshot) (found bool) { x.session, found = s.find(x.id); return found }) {
			x.t.Fatalf("there is no session with %s=%s", caseVariable, x.id)
		}
		if x.fault.status(x.phase,
			x.mode) == goesOn { // a kubelet that dies before it starts a debug container never starts it
			x.seen("")
		}
	case cleaning:
		x.term.typed(fmt.Sprintf("exit %d\n", own))
		x.held()
	}
}

func (x *trial) held() {
	x.t.Helper()
	select {
	case <-x.phases.Reached():
	case <-time.After(patience):
		screen, _ := x.term.shown()
		x.t.Fatalf("the moment of %s did not come; the terminal showed:\n%s", x.phase, screen)
	}
}

// letGo releases or breaks what is held, as the fault requires.
func (x *trial) letGo() {
	switch x.phase {
	case creating:
		x.give(x.fault.answer)
	case cleaning:
		x.give(x.fault.delete)
	}
}

func (x *trial) give(d delivery) {
	switch {
	case x.phases == nil:
	case d == arrives:
		x.phases.Release()
	case d == isLost:
		x.phases.Break()
	}
}

// goOn asserts that the session is as it was before the fault, and ends it.
func (x *trial) goOn() {
	x.t.Helper()
	switch x.phase {
	case creating:
		x.shell()
	case waiting:
		x.stillRuns()
		x.struck, x.status = time.Now(), 128+int(syscall.SIGTERM)
		x.term.signal(syscall.SIGTERM)
		return
	case attached:
		x.term.expect(`reattached to `)
	}
	x.term.typed("echo still-$memory\n")
	x.term.expect(`still-42\r?\n`)
	x.struck, x.status = time.Now(), own
	x.term.typed(fmt.Sprintf("exit %d\n", own))
}

func (x *trial) stillRuns() {
	x.t.Helper()
	if x.term.hasExited() {
		screen, _ := x.term.shown()
		x.t.Fatalf("exit status %d, want a session that goes on; the terminal showed:\n%s", x.term.status(),
			screen)
	}
}

// promised returns how long anything of a session may be left. The time counts from the fault or, for a debug
// container that started after the fault, from its start. later is the time between the two.
func (x *trial) promised(later time.Duration) time.Duration {
	// if the session goes on, the test ends it
	cleansUp := x.fault.cleansUp || x.fault.status(x.phase, x.mode) == goesOn
	if cleansUp && !x.tooLate(later) && !x.unreachable() {
		return cleanUp
	}
	return expiry
}

// unreachable reports a session whose client cannot end its debug container, because no stream opens.
func (x *trial) unreachable() bool { return x.phase == attaching && x.mode.debug }

// tooLate reports a debug container that the client did not wait for any more, as docs/faults.md has it: it
// waits 5 s for it to start, and before that 5 s for an answer that does not come.
func (x *trial) tooLate(later time.Duration) bool {
	waits := 5 * time.Second
	if x.fault.answer == never {
		waits += 5 * time.Second
	}
	return x.mode.debug && x.phase == creating && later > waits
}

// deadline returns when nothing may be left any more. The promised time counts from the fault, or from the
// start of a debug container that started later. The time that the machine itself needs is added, but a late
// start is not added twice.
func (x *trial) deadline(s snapshot) time.Time {
	later := x.later(s)
	needs := x.machine.needs(x.struck)
	if later > 0 {
		needs = x.machine.needsToEnd(x.struck)
	}
	return x.struck.Add(later + x.promised(later) + needs)
}

// later returns how long after the fault a debug container started or, if it has not started, how long it has
// been awaited. One that has not started after a minute never will.
func (x *trial) later(s snapshot) time.Duration {
	if !x.mode.debug || x.phase == waiting {
		return 0
	}
	at := s.startedAt(x.session)
	if at.IsZero() && s.pods[x.session.pod] != nil {
		at = s.at
	}
	return min(max(0, at.Sub(x.struck)), patience)
}

// remains waits until nothing of the session is left, and returns what is still there when its time is over.
func (x *trial) remains() (left []string) {
	left = []string{"the observer has seen nothing"}
	x.observer.untilDeadline(x.deadline,
		func(s snapshot) bool { left = s.left(x.id, x.session); return len(left) == 0 })
	return left
}

// ends asserts what is the same for every fault.
func (x *trial) ends() {
	x.t.Helper()
	left := x.remains()
	took := time.Since(x.struck)
	if len(left) > 0 {
		screen, _ := x.term.shown()
		x.t.Errorf("struck at %s, and after %.0f s there is still\n%s\nthe machine needs %.0f s; the terminal showed:\n%s", x.struck.UTC().Format(time.TimeOnly),
			took.Seconds(), strings.Join(left, "\n"), x.machine.needs(x.struck).Seconds(), screen)
	}
	if x.fault.frozen {
		x.term.signal(syscall.SIGCONT)
		x.give(arrives)
	}
	if want := x.fault.status(x.phase, x.mode); want != goesOn {
		x.status = want
	}
	if got := x.term.status(); got != x.status {
		screen, _ := x.term.shown()
		x.t.Errorf("exit status %d, want %d; the terminal showed:\n%s", got, x.status, screen)
	}
	if x.status == failedHere {
		// At the start of a line, which may be the line that showed the progress.
		x.term.expect(`(?s)(\n|\r\x1b\[K)error: .*` + x.fault.words(x.phase))
	}
	if !x.killed() {
		x.term.restored()
	}
	for _, change := range x.observer.disturbances() {
		x.t.Errorf("the application was disturbed: %s", change)
	}
	x.result = fmt.Sprintf("%d %.0fs", x.status, took.Seconds())
	if s, _ := x.observer.newest(); x.fault.cleansUp && x.tooLate(x.later(s)) {
		x.result += " late"
	}
}

// killed reports whether the client was killed and could not restore its terminal. The shell that started it
// does so.
func (x *trial) killed() bool {
	return x.status == 128+int(syscall.SIGKILL) && x.term.cmd.ProcessState.ExitCode() < 0
}
