package plan

// Place is where a session's shell is.
type Place struct {
	Mode                      Mode
	Namespace, Pod, Container string
}

// Join plans one more command in a session that runs. Of o it takes the session, the command, the
// terminal, the toolbox and the silence after which the command ends: the session, which is somebody
// else's to keep, does not end with its client.
func Join(at Place, o Options) *Plan {
	r := joined(o)
	return &Plan{
		Mode:      at.Mode,
		Headline:  "pod/" + at.Pod + ": one more shell in container " + at.Container + ", in namespace " + at.Namespace,
		Namespace: at.Namespace, PodName: at.Pod, Container: at.Container,
		Via: r.via, Command: r.exec, Gate: r.gate, Relay: r.relay, Kill: r.kill, End: r.end, TTY: o.TTY, Silence: o.Silence,
	}
}
