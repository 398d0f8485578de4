// Package agent is the code that runs in a session's container, and the client's end of it. Both speak one
// protocol: heartbeats keep the process alive, a gate holds a command back until its client listens, a mark
// reports that the command has ended, and control lines end the process. docs/design.md explains why each is
// needed.
package agent

import (
	"slices"
	"strconv"
	"time"
)

// Via is how the command runs in its container.
type Via string

// The ways to run a command.
const (
	ViaExec   Via = "exec"   // by exec, beside a holder that the client keeps alive
	ViaAttach Via = "attach" // as the container's own process
)

// Toolbox is the folder with the programs of --toolbox.
const Toolbox = "/.eshell"

// Options define what the agent is to run, and what ends it.
type Options struct {
	Session    string // the session's id
	Via        Via
	Command    []string // empty: bash if the image has it, else sh
	Stdin      bool     // the command reads the user's input, as it does on a terminal
	TTY        bool
	Term       string // the value of TERM for a command with a TTY
	Toolbox    bool   // a toolbox is mounted at Toolbox, and its programs are on PATH
	Entrypoint bool   // the image's entrypoint starts the container's process
	Direct     bool   // the command is the container's process, without a script, for images without a shell
	Detached   bool   // the command, or a process that waits to be ended, runs without a client
	Inline     bool   // the container's environment does not have these scripts
	// Target is beside what the container runs, or nil for a clone. Its flags say which scripts the container
	// needs. What the shells do is up to TargetVariable.
	Target *Target
	// Env are variables of a command that runs by exec. They are passed over its stream: they are in neither
	// the pod's spec nor anybody's arguments, and in no request's URL. PassesEnv tells which names are
	// allowed.
	Env []Variable

	// HeartbeatTimeout is how long the process waits for a heartbeat before it ends.
	HeartbeatTimeout time.Duration
	Watchdog         Watchdog
}

// Variable is a variable of the command's environment.
type Variable struct{ Name, Value string }

// Watchdog ends what no lease would end: its container lives as long as its pod, which is somebody else's.
type Watchdog struct {
	Timeout time.Duration // without a heartbeat; 0: there is no watchdog
	Relay   bool          // the client is allowed to exec, so it can send heartbeats
}

// Agent is the process in a container, and what its client has to know to communicate with it.
type Agent struct {
	// Process is the container's command. If the image's entrypoint starts the process, Args are the
	// container's arguments instead.
	Process, Args []string
	// Scripts is the value of the container's ScriptsVariable, or AllScripts is; empty: it needs none.
	Scripts string
	// Stdin, StdinOnce and ContainerTTY define how the container's own streams are opened.
	Stdin, StdinOnce, ContainerTTY bool

	Via              Via
	TTY              bool // whether the command has a terminal
	Detached         bool
	HeartbeatTimeout time.Duration
	AttachTimeout    time.Duration // how long the process waits for its client to attach

	needsShell bool
	command    []string // run by exec
	gateMark   string   // begins the lines that a gate prints; empty: the command does not wait
	// begins the line on stdout and stderr that reports the mark of the command's end; empty: the end is not
	// reported
	endTag string
	env    []Variable // passed to the command over its stream, before the user's input
	envEnd string     // begins the line that reports that the variables are set; empty: there are none
	relay  []string   // run by exec, with the PID of a watchdog; empty: there is no relay
	kill   []string   // run by exec, with the PIDs of a gate and of its watchdog
}

// HeartbeatInterval returns how often the client sends a heartbeat. Several may be lost.
func (a *Agent) HeartbeatInterval() time.Duration { return a.HeartbeatTimeout / 8 }

// HasGate reports whether the command waits until its client listens.
func (a *Agent) HasGate() bool { return a.gateMark != "" }

// NeedsShell reports whether the image's shell runs something before or beside the command.
func (a *Agent) NeedsShell() bool { return a.needsShell }

// TellsEnd reports whether the command's end and exit status are reported on stdout and stderr.
func (a *Agent) TellsEnd() bool { return a.endTag != "" }

// slowStart is how long after its start a container may be reported to be running: a busy node reports late,
// and the client attaches only then. It is part of the time that the clean-up may take.
const slowStart = 20 * time.Second

// attachTimeout returns how long the process waits for its client to attach. This need not be short if the
// lease deletes the pod.
func attachTimeout(o Options) time.Duration {
	if o.Watchdog.Timeout == 0 {
		return max(o.HeartbeatTimeout, 5*time.Minute) + slowStart
	}
	return o.HeartbeatTimeout + slowStart
}

// HolderTimeout returns how long the client may take to attach to a holder that has been reported to run.
func (a *Agent) HolderTimeout() time.Duration { return a.AttachTimeout - slowStart }

// New returns the agent of a session.
func New(o Options) Agent {
	a := Agent{
		Via: o.Via, TTY: o.TTY, Detached: o.Detached, HeartbeatTimeout: o.HeartbeatTimeout,
		AttachTimeout: attachTimeout(o),
		// An idler reads from whichever client comes, a detached command from none.
		Stdin: !o.Detached || len(o.Command) == 0, StdinOnce: !o.Detached,
		ContainerTTY: o.Via == ViaAttach && o.TTY,
	}
	launch := launcher(o)
	a.needsShell = true
	switch {
	case o.Detached && len(o.Command) > 0:
		a.Process, a.needsShell = o.Command, false
	case o.Detached:
		timeouts := []string{"", ""} // none if a lease or the pod's own deadline ends it
		if o.Watchdog.Timeout != 0 {
			timeouts = []string{seconds(a.AttachTimeout), seconds(o.Watchdog.Timeout)}
		}
		a.Process = o.script(idlerName, timeouts...)
	case o.Via == ViaExec:
		a.Process = o.script(holderName, seconds(o.HeartbeatTimeout), seconds(a.AttachTimeout))
		if o.TTY {
			launch[5] = sizePlaceholder // the launcher's argument for the size
		}
		a.command = a.ended(o, a.withEnv(o, besideTarget(o, launch)))
	case o.Direct || o.Entrypoint && len(o.Command) > 0:
		a.Process, a.needsShell = o.Command, false
	default:
		launch = besideTarget(o, launch)
		if !o.Entrypoint { // an entrypoint may redirect what it runs
			launch = a.ended(o, launch)
		}
		a.Process = a.gated(o, a.AttachTimeout, o.Watchdog, launch)
	}
	if slices.Contains(a.Process, runScript) {
		a.Scripts = encode(used(a.Process, a.command, a.relay, a.kill))
	}
	a.useToolbox(o)
	a.Process = Escape(a.Process)
	if o.Entrypoint {
		a.Process, a.Args = nil, a.Process
	}
	return a
}

// Join returns the agent of one more command in a session that is running. The command is behind a gate of
// its own, whose watchdog ends it when its client is gone. The session itself takes care of the container's
// process.
func Join(o Options) Agent {
	a := Agent{Via: ViaExec, TTY: o.TTY, HeartbeatTimeout: o.HeartbeatTimeout}
	watchdog := Watchdog{Timeout: o.HeartbeatTimeout, Relay: true}
	a.command = a.gated(o, o.HeartbeatTimeout, watchdog, a.ended(o, besideTarget(o, launcher(o))))
	a.useToolbox(o)
	return a
}

// gated returns the command for launch behind a gate, with a watchdog if w has a timeout.
func (a *Agent) gated(o Options, timeout time.Duration, w Watchdog, launch []string) []string {
	a.gateMark = "eshell " + o.Session
	a.kill = o.script(killName)
	if w.Relay {
		a.relay = o.script(relayName)
	}
	watch := ""
	if w.Timeout > 0 {
		watch = seconds(w.Timeout)
	}
	return o.script(gateName, append([]string{seconds(timeout), a.gateMark, watch}, launch...)...)
}

// ended returns the command for launch. Without a terminal the command then reports its end. The mark begins
// with a control character, so that no ordinary output is held back because it resembles the mark.
func (a *Agent) ended(o Options, launch []string) []string {
	if o.TTY {
		return launch
	}
	a.endTag = "\x1eeshell " + o.Session + " "
	input := inputNone
	if o.Stdin || len(o.Env) > 0 { // variables come before the user's input, and envScript ends it
		input = inputStdin
	}
	return append(o.script(drainName, a.endTag, input), launch[2:]...)
}

// withEnv returns the command for launch with the variables that its stream brings. On a terminal it is used
// without any, too: its mark tells that the command begins. It waits for nothing then, which saves a round
// trip.
func (a *Agent) withEnv(o Options, launch []string) []string {
	begins := envBegins
	switch {
	case len(o.Env) > 0:
		begins = ""
	case !o.TTY:
		return launch
	}
	a.env, a.envEnd = o.Env, "\x1eeshell env "+o.Session+" "
	return o.script(envName, append([]string{a.envEnd, begins}, launch...)...)
}

func launcher(o Options) []string {
	term := o.Term
	if !o.TTY {
		term = ""
	}
	return o.script(launchName, append([]string{term, ""}, o.Command...)...)
}

// sizePlaceholder stands for the size of a terminal in the arguments of a command that no gate tells the
// size.
const sizePlaceholder = "kubectl-eshell:size"

// commandAt returns the command on a terminal of the given size, in the format of stty; empty: no size.
func (a *Agent) commandAt(size string) []string {
	words := slices.Clone(a.command)
	if n := slices.Index(words, sizePlaceholder); n >= 0 && a.TTY &&
		!a.HasGate() { // otherwise it is an argument of the user's
		words[n] = size
	}
	return words
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }
