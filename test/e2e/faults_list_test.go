//go:build unix

package e2e

import (
	"context"
	"os"
	"os/exec"
	"syscall"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/embedded"
)

// delivery is what becomes of a request or an answer that is held when the fault has come.
type delivery int

const (
	never   delivery = iota // it is held for ever
	arrives                 // after the fault
	isLost                  // with the fault
)

// fault is something that happens to a session.
type fault struct {
	name   string
	strike func(*trial)          // it happens to this session
	all    *clusterFault         // or to all sessions at once
	status func(phase, mode) int // what the client exits with
	says   string                // if that is its own failure, the words for it
	answer delivery              // of the answer, while creating
	delete delivery              // of the request, while cleaning
	stdout func(*trial) *os.File // where the client's stdout goes, if not to the terminal
	only   []phase               // where it can happen; empty: everywhere
	why    string                // it cannot elsewhere

	cleansUp  bool // the client lives and reaches the API server: it does not leave it to the lease
	asAnother bool // it differs from another fault by a number only: one trial shows it
	network   bool // it is the network's
	frozen    bool // the client is to be continued when all else is gone
	ruins     bool // it happens to the application: each debug session has a pod of its own
	small     bool // the containers have a limit of memory
}

// faults are all of them. Those of the cluster come first, one after the other: all sessions notice them.
func faults() []fault {
	const (
		noOutput = "nothing else has output"
		lost     = `(create pod/|add a debug container to |the connection to \S+.* was lost)`
		// A trial's stream is held back until all others have started. Then the server or the node is away.
		// A gate to which nobody attaches for a lease and 20 s ends by itself.
		unattended = `ended before the session began: Error, exit status 125`
		deleted    = `(was deleted by somebody else|is being deleted( by somebody else|: EvictionByEvictionAPI)|pods "\S+" not found)`
	)
	return []fault{
		{name: "API server killed and restarted", all: restart("apiserver"), status: disconnected(failedHere),
			says: `(` + lost + `|` + unattended + `)`, answer: isLost, delete: isLost},
		{name: "kubelet restarted", all: restart("kubelet"), status: disconnected(goesOn),
			says: `(` + lost + `|` + unattended + `)`, answer: arrives, delete: arrives},
		{name: "node drained", all: &clusterFault{drain, uncordon}, status: ends(failedHere), says: deleted,
			answer: arrives, delete: arrives, ruins: true},
		sent("SIGTERM", syscall.SIGTERM),
		asAnother(sent("SIGINT", syscall.SIGINT)), asAnother(sent("SIGHUP", syscall.SIGHUP)),
		asAnother(sent("SIGQUIT", syscall.SIGQUIT)),
		{name: "SIGKILL", strike: signal(syscall.SIGKILL),
			status: func(phase, mode) int { return 128 + int(syscall.SIGKILL) }},
		{name: "SIGSTOP", strike: signal(syscall.SIGSTOP), status: ends(failedHere),
			says: `ended with its lease: `, frozen: true},
		{name: "closed terminal", strike: func(x *trial) { x.term.hangUp() },
			status: ends(128 + int(syscall.SIGHUP)), delete: arrives, cleansUp: true},
		{name: "network cut", strike: func(x *trial) { x.network.Stall() }, status: ends(failedHere),
			says:    `(create pod/|add a debug container to |its lease could not be renewed in time)`,
			network: true},
		{name: "connections reset", strike: func(x *trial) { x.network.Drop() },
			status: disconnected(failedHere), says: lost, answer: isLost, delete: isLost, network: true,
			cleansUp: true},
		{name: "pod deleted", strike: deletePod, status: ends(failedHere), says: deleted, answer: arrives,
			delete: arrives, ruins: true, cleansUp: true},
		{name: "OOM kill", strike: types("hog=x; while :; do hog=$hog$hog; done\n"), status: outOfMemory,
			ruins: true, small: true,
			only: []phase{attached}, why: "nothing else takes memory", cleansUp: true},
		{name: "stdout on a full disk", strike: types("echo now-42\n"), stdout: full,
			status: ends(failedHere), says: `write the output: .*no space left on device`,
			only: []phase{attached}, why: noOutput, cleansUp: true},
		{name: "stdout to head -1", strike: types("while echo now-42; do :; done\n"), stdout: head,
			status: ends(128 + int(syscall.SIGPIPE)),
			only:   []phase{attached}, why: noOutput, cleansUp: true},
	}
}

// failedHere is the exit status of eshell's own failures.
const failedHere = 125

// words are those for the client's failure. A stream that is not open yet is refused by what is away.
func (f *fault) words(p phase) string {
	if p == attaching && f.all != nil {
		return `(` + f.says + `|no command could be started in )`
	}
	return f.says
}

// trials are the phases and modes in which it is tried: all of them, or those in which it can differ. A
// terminal matters only while a session is attached.
func (f *fault) trials(all bool) map[phase][]mode {
	trials := map[phase][]mode{}
	for _, p := range f.phases() {
		for _, m := range modes() {
			if all || m.tty || p == attached {
				trials[p] = append(trials[p], m)
			}
		}
	}
	if f.asAnother && !all {
		return map[phase][]mode{attached: trials[attached][:1]}
	}
	return trials
}

// phases are those in which it can happen.
func (f *fault) phases() []phase {
	if len(f.only) > 0 {
		return f.only
	}
	return []phase{creating, waiting, attaching, attached, cleaning}
}

// ends is the status of what ends a session, in whatever it does. Whose command has ended has that
// one's status.
func ends(status int) func(phase, mode) int {
	return func(p phase, _ mode) int {
		if p == cleaning {
			return own
		}
		return status
	}
}

// disconnected is for connections that are lost and can be had again: what was attached to a terminal
// is attached to again, and a watch goes on by itself. unheard is for a create whose answer is late.
func disconnected(unheard int) func(phase, mode) int {
	return func(p phase, s mode) int {
		switch {
		case p == creating:
			return unheard
		case p == waiting, p == attached && s.attach && s.tty:
			return goesOn
		}
		return ends(failedHere)(p, s)
	}
}

// outOfMemory: the kernel kills one process, or with cgroup version 2 all of the container's. By exec
// the session knows that; by attach there is no more than the container's status.
func outOfMemory(_ phase, s mode) int {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil && !s.attach {
		return failedHere
	}
	return 128 + int(syscall.SIGKILL)
}

// sent is a signal that the client hears.
func sent(name string, number syscall.Signal) fault {
	return fault{name: name, strike: signal(number), status: ends(128 + int(number)), delete: arrives,
		cleansUp: true}
}

func asAnother(f fault) fault {
	f.asAnother = true
	return f
}

func signal(number syscall.Signal) func(*trial) { return func(x *trial) { x.term.signal(number) } }

func types(text string) func(*trial) { return func(x *trial) { x.term.typed(text) } }

func deletePod(x *trial) {
	kubectl(x.t, "delete", "pod", x.session.pod, "-n", x.namespace, "--wait=false")
}

// full is a disk on which nothing has room.
func full(x *trial) *os.File {
	disk, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		x.t.Fatal(err)
	}
	return disk
}

// head is a reader that goes after the first line.
func head(x *trial) *os.File {
	out, in, err := os.Pipe()
	if err != nil {
		x.t.Fatal(err)
	}
	reader := exec.Command("head", "-1")
	reader.Stdin = out
	if err := reader.Start(); err != nil {
		x.t.Fatal(err)
	}
	out.Close()
	x.t.Cleanup(func() { _ = reader.Wait() })
	return in
}

// restart is of a component that is killed and comes back.
func restart(component string) *clusterFault {
	c := embedded.Default().Component(component)
	return &clusterFault{func(context.Context, *suite) error { return c.Kill() },
		func(ctx context.Context, _ *suite) error { return c.Restart(ctx) }}
}

// drain takes the sessions and what they debug off the node, and nothing else.
func drain(ctx context.Context, s *suite) error {
	return s.world.kubectl(ctx, "drain", "--selector=kubernetes.io/hostname", "--pod-selector=faults=drained",
		"--force", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=60s")
}

func uncordon(ctx context.Context, s *suite) error {
	return s.world.kubectl(ctx, "uncordon", "--selector=kubernetes.io/hostname")
}

// source is the workload whose clones can have the fault.
func (f *fault) source() string {
	switch {
	case f.small:
		return "source-small"
	case f.ruins:
		return "source-drained"
	}
	return "source"
}
