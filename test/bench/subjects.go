//go:build unix

package main

// The workloads of every namespace.
const (
	deployment = "api"
	single     = "single" // a pod by itself
	container  = "app"
	image      = "localhost/eshell/bash:1"
)

// subject is a command that opens a shell.
type subject struct {
	name  string
	label string // in the plot
	args  []string
	// joins says that it adds an ephemeral container to a pod. Those stay, and make a pod slower, so that
	// each session gets a new pod.
	joins bool
}

// subjects are all commands, ours and their peers.
func subjects() []subject {
	toDeployment, toPod, withImage := "deploy/"+deployment, "pod/"+single, "--image="+image
	return []subject{
		{name: "clone", label: "eshell", args: []string{"eshell", toDeployment}},
		{name: "clone-attach", label: "eshell, attach",
			args: []string{"eshell", toDeployment, "--via", "attach"}},
		{name: "debug", label: "eshell debug", joins: true,
			args: []string{"eshell", toPod, "--mode", "debug"}},
		{name: "debug-attach", label: "eshell debug, attach", joins: true,
			args: []string{"eshell", toPod, "--mode", "debug", "--via", "attach"}},
		{name: "debug-deploy", label: "eshell debug deploy", joins: true,
			args: []string{"eshell", toDeployment, "--mode", "debug"}},
		{name: "copy-to", label: "kubectl debug --copy-to",
			args: []string{"debug", toPod, "--copy-to=copy", "-it", "-c", container, "--", "bash"}},
		{name: "target", label: "kubectl debug --target", joins: true,
			args: []string{"debug", toPod, "--target=" + container, "-it", withImage, "--", "bash"}},
		{name: "run", label: "kubectl run --rm",
			args: []string{"run", "shell", "-it", "--rm", "--restart=Never", withImage, "--", "bash"}},
		{name: "exec", label: "kubectl exec", args: []string{"exec", "-it", toDeployment, "--", "bash"}},
	}
}

// in returns the words of the command in a namespace: before "--", after which they are the shell's.
func (s subject) in(namespace string) []string {
	return append([]string{s.args[0], "--namespace=" + namespace}, s.args[1:]...)
}

// ratio is what is compared: the times of one command, divided by those of another one in the same
// repetition.
type ratio struct {
	of, to string
	what   string // toPrompt or toReturn
}

// The two times.
const (
	toPrompt = "prompt"
	toReturn = "return"
)

func ratios() []ratio {
	return []ratio{
		{"clone", "copy-to", toPrompt}, {"clone", "run", toPrompt}, {"debug", "target", toPrompt},
		{"clone", "run", toReturn},
	}
}
