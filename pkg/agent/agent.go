// Package agent is what of ours runs in a session's container, and its client's end. Both speak one protocol:
// heartbeats that keep the process alive, a gate that holds a command back until its client listens, a mark
// that says that it has ended, and words that end it. docs/design.md tells why each is needed.
package agent

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Via is how the command is run in its container.
type Via string

// The ways to run a command.
const (
	ViaExec   Via = "exec"   // by exec, beside a holder that the client keeps alive
	ViaAttach Via = "attach" // as the container's own process
)

// Toolbox is where the programs of --toolbox are.
const Toolbox = "/.eshell"

// Options say what the agent is to run, and what ends it.
type Options struct {
	Session    string // the session's id
	Via        Via
	Command    []string // empty: bash if the image has it, else sh
	TTY        bool
	Term       string // the value of TERM for a command with a TTY
	Toolbox    bool   // a toolbox is mounted at Toolbox, and its programs are on PATH
	Entrypoint bool   // the image's entrypoint starts the container's process
	Direct     bool   // the command is the container's process, without a script: for images without a shell
	Detached   bool   // the command, or a process that waits to be ended, runs without a client

	// HeartbeatTimeout is how long the process waits for a sign of life before it ends.
	HeartbeatTimeout time.Duration
	Watchdog         Watchdog
}

// Watchdog ends what no lease would: its container lives as long as its pod, which is somebody else's.
type Watchdog struct {
	Timeout time.Duration // without a sign of life; 0: there is no watchdog
	Relay   bool          // signs of life can be given: the client may exec
}

// Agent is the process in a container, and what its client has to know to speak to it.
type Agent struct {
	// Process is the container's command; Args are its arguments instead where the image's entrypoint starts
	// it.
	Process, Args []string
	// Stdin, StdinOnce and ContainerTTY are how the container's own streams are opened.
	Stdin, StdinOnce, ContainerTTY bool

	Via              Via
	TTY              bool // the command's
	Detached         bool
	HeartbeatTimeout time.Duration
	AttachTimeout    time.Duration // how long the process waits for its client to come

	command  []string // by exec
	gateMark string   // begins the lines of a gate; empty: the command does not wait
	// begins the line on stderr that tells by which mark the command's end will be told; empty: it is not
	endTag string
	relay  []string // by exec, with the PID of a watchdog; empty: there is none
	kill   []string // by exec, with the PIDs of a gate and of its watchdog
}

// HeartbeatInterval is how often the client gives a sign of life: several may be lost.
func (a *Agent) HeartbeatInterval() time.Duration { return a.HeartbeatTimeout / 8 }

// HasGate reports whether the command waits until its client listens.
func (a *Agent) HasGate() bool { return a.gateMark != "" }

// TellsEnd reports whether the command's end and exit status are told on stderr.
func (a *Agent) TellsEnd() bool { return a.endTag != "" }

// slowStart is how long after its start a container may be reported to run: a busy node reports late, and the
// client attaches only then. It is part of the time that clean-up may take.
const slowStart = 20 * time.Second

// attachTimeout need not be short if the lease takes the pod away.
func attachTimeout(o Options) time.Duration {
	if o.Watchdog.Timeout == 0 {
		return max(o.HeartbeatTimeout, 5*time.Minute) + slowStart
	}
	return o.HeartbeatTimeout + slowStart
}

// New returns the agent of a session.
func New(o Options) Agent {
	a := Agent{
		Via: o.Via, TTY: o.TTY, Detached: o.Detached, HeartbeatTimeout: o.HeartbeatTimeout,
		AttachTimeout: attachTimeout(o),
		// An idler listens to whoever comes, a detached command to nobody.
		Stdin: !o.Detached || len(o.Command) == 0, StdinOnce: !o.Detached,
		ContainerTTY: o.Via == ViaAttach && o.TTY,
	}
	launch := launcher(o)
	switch {
	case o.Detached && len(o.Command) > 0:
		a.Process = o.Command
	case o.Detached:
		timeouts := []string{"", ""} // none where a lease or the pod's own deadline ends it
		if o.Watchdog.Timeout != 0 {
			timeouts = []string{seconds(a.AttachTimeout), seconds(o.Watchdog.Timeout)}
		}
		a.Process = script(idlerScript, idlerName, timeouts...)
	case o.Via == ViaExec:
		a.Process = script(holderScript, holderName, seconds(o.HeartbeatTimeout), seconds(a.AttachTimeout))
		if o.TTY {
			launch[5] = sizePlaceholder // where the launcher is told the size
		}
		a.command = a.ended(o, launch)
	case o.Direct || o.Entrypoint && len(o.Command) > 0:
		a.Process = o.Command
	default:
		if !o.Entrypoint { // which may redirect what it runs
			launch = a.ended(o, launch)
		}
		a.Process = a.gated(o, a.AttachTimeout, o.Watchdog, launch)
	}
	a.useToolbox(o)
	a.Process = Escape(a.Process)
	if o.Entrypoint {
		a.Process, a.Args = nil, a.Process
	}
	return a
}

// Join returns the agent of one more command in a session that runs: it is behind a gate of its own, whose
// watchdog ends it when its client is gone. The container's process is the session's business.
func Join(o Options) Agent {
	a := Agent{Via: ViaExec, TTY: o.TTY, HeartbeatTimeout: o.HeartbeatTimeout}
	watchdog := Watchdog{Timeout: o.HeartbeatTimeout, Relay: true}
	a.command = a.gated(o, o.HeartbeatTimeout, watchdog, a.ended(o, launcher(o)))
	a.useToolbox(o)
	return a
}

// gated is a command that waits behind a gate, and may have a watchdog.
func (a *Agent) gated(o Options, timeout time.Duration, w Watchdog, launch []string) []string {
	a.gateMark = "eshell " + o.Session
	a.kill = script(killScript, killName)
	if w.Relay {
		a.relay = script(relayScript, relayName)
	}
	watch := ""
	if w.Timeout > 0 {
		watch = seconds(w.Timeout)
	}
	return script(gateScript, gateName, append([]string{seconds(timeout), a.gateMark, watch}, launch...)...)
}

// ended is the launcher's words for a command that, without a terminal, tells its end. The mark begins with a
// control character, so that no ordinary output is held back for looking like it.
func (a *Agent) ended(o Options, launch []string) []string {
	if o.TTY {
		return launch
	}
	a.endTag = "\x1eeshell " + o.Session + " "
	return append(script(drainScript, drainName, a.endTag), launch[2:]...)
}

// useToolbox puts the toolbox on PATH of everything that runs.
func (a *Agent) useToolbox(o Options) {
	if !o.Toolbox {
		return
	}
	for _, words := range []*[]string{&a.Process, &a.command, &a.relay, &a.kill} {
		if *words != nil {
			*words = append([]string{Toolbox + "/sh", "-c", toolScript, toolName}, *words...)
		}
	}
}

func launcher(o Options) []string {
	term := o.Term
	if !o.TTY {
		term = ""
	}
	return append([]string{"sh", "-c", launchScript, launchName, term, ""}, o.Command...)
}

// sizePlaceholder stands for the size of a terminal in the words of a command that no gate tells it.
const sizePlaceholder = "kubectl-eshell:size"

// commandAt is the command on a terminal of a size, in the words of stty; empty: none.
func (a *Agent) commandAt(size string) []string {
	words := slices.Clone(a.command)
	if n := slices.Index(words, sizePlaceholder); n >= 0 && a.TTY &&
		!a.HasGate() { // otherwise it is a word of the user's
		words[n] = size
	}
	return words
}

// IsOurs reports whether a container's command, with its arguments, is one of the scripts that New makes of a
// session's container.
func IsOurs(command []string) bool {
	return slices.ContainsFunc(command, func(word string) bool { return strings.HasPrefix(word, scriptHead) })
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }

func script(text, name string, args ...string) []string {
	return append([]string{"sh", "-c", text, name}, args...)
}

// FillToolbox is the command of an init container that fills the toolbox from an image with a static busybox.
func FillToolbox() []string { return Escape([]string{"sh", "-c", fillScript}) }

// Escape makes words arrive byte for byte in a container's command or environment, where
// Kubernetes turns "$$" into "$" and expands "$(NAME)":
// https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
func Escape(words []string) []string {
	escaped := make([]string, len(words))
	for i, word := range words {
		escaped[i] = strings.ReplaceAll(word, "$", "$$")
	}
	return escaped
}
