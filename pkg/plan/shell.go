package plan

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// run is how a session's command is run: what the container's process is, and what is exec'd.
type run struct {
	via     Via
	process []string // the container's command
	args    []string // or, for the image's entrypoint, its arguments
	exec    []string
	relay   []string
	kill    []string
	gate    string
	end     string

	patience time.Duration // for which the process waits for its client to come
}

// watch is how a command by attach is ended when its client is gone and no lease takes the pod away. Its
// input does not tell it: that stays open on a terminal, and not every command reads it.
type watch struct {
	limit time.Duration // without a sign of life; 0: there is no watch
	relay bool          // signs of life can be given
}

func (w watch) seconds() string {
	if w.limit == 0 {
		return ""
	}
	return seconds(w.limit)
}

// bounds are the resident's clocks: none where a lease or the pod's own deadline ends it.
func (w watch) bounds(o Options) []string {
	if w.limit == 0 {
		return []string{"", ""}
	}
	return []string{seconds(w.patience(o)), seconds(w.limit)}
}

// streams is how the container's own streams are opened: once, for the session's client, unless it is
// detached. A resident listens to whoever comes, a detached command to nobody.
func (r run) streams(o Options) (stdin, once, tty bool) {
	return !o.Detach || len(o.Command) == 0, !o.Detach, r.via == ViaAttach && o.TTY
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }

// late is how long after its start a container may be said to run: a busy node reports late, and the
// client attaches only then. It is part of the time that clean-up may take.
const late = 20 * time.Second

// patience is how long the container waits for its client to come. If its pod goes with the lease, it need
// not be short.
func (w watch) patience(o Options) time.Duration {
	if w.limit == 0 {
		return max(o.Silence, 5*time.Minute) + late
	}
	return o.Silence + late
}

func newRun(o Options, via Via, w watch) run {
	r := run{via: via, patience: w.patience(o)}
	limit, patience := seconds(o.Silence), seconds(r.patience)
	launch := launcher(o)
	switch {
	case o.Detach && len(o.Command) > 0:
		r.process = o.Command
	case o.Detach:
		r.process = script(residentScript, residentName, w.bounds(o)...)
	case via == ViaExec && o.TTY:
		r.process, r.exec = script(holderScript, holderName, limit, patience), sized(launch)
	case via == ViaExec:
		r.end = endMark(o)
		r.process, r.exec = script(holderScript, holderName, limit, patience), drained(launch, r.end)
	case o.Direct || o.Entrypoint && len(o.Command) > 0:
		r.process = o.Command
	default:
		r.gate = gateMark(o)
		if !o.TTY && !o.Entrypoint { // an entrypoint may redirect what it runs
			r.end = endMark(o)
			launch = drained(launch, r.end)
		}
		r.process = script(gateScript, gateName, append([]string{patience, r.gate, w.seconds()}, launch...)...)
		r.kill = script(killScript, killName)
		if w.relay {
			r.relay = script(relayScript, relayName)
		}
	}
	if o.Toolbox != "" {
		r.process, r.exec, r.relay, r.kill = withTools(r.process), withTools(r.exec), withTools(r.relay), withTools(r.kill)
	}
	r.process = escape(r.process)
	if o.Entrypoint {
		r.process, r.args = nil, r.process
	}
	return r
}

// joined is how one more command of a session is run: behind a gate of its own, whose watchdog ends it
// when its client is gone. Its process is the session's business.
func joined(o Options) run {
	r := run{via: ViaExec, gate: gateMark(o), relay: script(relayScript, relayName), kill: script(killScript, killName)}
	words := launcher(o)
	if !o.TTY {
		r.end = endMark(o)
		words = drained(words, r.end)
	}
	limit := seconds(o.Silence)
	r.exec = script(gateScript, gateName, append([]string{limit, r.gate, limit}, words...)...)
	if o.Toolbox != "" {
		r.exec, r.relay, r.kill = withTools(r.exec), withTools(r.relay), withTools(r.kill)
	}
	return r
}

func gateMark(o Options) string { return "eshell " + o.Session }

// endMark begins with a control character, so that no ordinary output is held back for looking like it.
func endMark(o Options) string { return "\x1eeshell " + o.Session + " ended " }

// drained is launch, the launcher's words, with its end told and its input taken.
func drained(launch []string, end string) []string {
	return append(script(drainScript, drainName, end), launch[2:]...)
}

// withTools runs words with the toolbox on PATH.
func withTools(words []string) []string {
	if words == nil {
		return nil
	}
	return append([]string{toolbox + "/sh", "-c", toolScript, toolName}, words...)
}

func launcher(o Options) []string {
	term := o.Term
	if !o.TTY {
		term = ""
	}
	return append([]string{"sh", "-c", launchScript, launchName, term, ""}, o.Command...)
}

// sizeWord stands for the size of a terminal in the words of a command that no gate tells it.
const sizeWord = "kubectl-eshell:size"

// sized is launch, the launcher's words, with room for the terminal's size.
func sized(launch []string) []string {
	words := slices.Clone(launch)
	words[5] = sizeWord
	return words
}

// CommandAt are the words of Command on a terminal of a size, in the words of stty; empty: none.
func (p *Plan) CommandAt(size string) []string {
	words := slices.Clone(p.Command)
	if n := slices.Index(words, sizeWord); n >= 0 && p.TTY && p.Gate == "" { // otherwise it is a word of the user's
		words[n] = size
	}
	return words
}

// TellGo lets a gate open, on a terminal of a size, in the words of stty; empty: none.
func TellGo(size string) string { return strings.TrimSpace(tellGo+" "+size) + "\n" }

func script(text, name string, args ...string) []string {
	return append([]string{"sh", "-c", text, name}, args...)
}

// escape makes words arrive byte for byte in a container's command or environment, where
// Kubernetes turns "$$" into "$" and expands "$(NAME)":
// https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
func escape(words []string) []string {
	escaped := make([]string, len(words))
	for i, word := range words {
		escaped[i] = strings.ReplaceAll(word, "$", "$$")
	}
	return escaped
}
