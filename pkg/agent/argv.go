package agent

import (
	"maps"
	"slices"
	"strings"
)

// The words of a container's process are read by people: in ps, in kubectl describe pod, in the list of a
// pod's ephemeral containers. So the scripts are in a variable of the container's environment, and the words
// are a line that runs one of them, its name and its arguments.

// ScriptsVariable is the variable of a session's container that holds the scripts. The user's command does
// not get it.
const ScriptsVariable = "eshell_scripts"

// runScript runs the script that $0 names. printf is built into dash, bash and busybox.
const runScript = `eval "$(printf %b "$` + ScriptsVariable + `")"`

// The scripts' names, which a shell uses in its own error messages.
const (
	holderName  = "eshell-holder"
	idlerName   = "eshell-idler"
	gateName    = "eshell-gate"
	relayName   = "eshell-relay"
	killName    = "eshell-kill"
	drainName   = "eshell-drain"
	envName     = "eshell-env"
	targetName  = "eshell-target"
	environName = "eshell-environ"
	chrootName  = "eshell-chroot"
	launchName  = "eshell"
	toolName    = "eshell-toolbox"
)

func scripts() map[string]string {
	return map[string]string{holderName: holderScript, idlerName: idlerScript, gateName: gateScript,
		relayName: relayScript, killName: killScript, drainName: drainScript, envName: envScript,
		targetName: targetScript, environName: environScript,
		chrootName: chrootScript, launchName: launchScript}
}

// AllScripts returns the value of ScriptsVariable with which every later command of a clone needs no script
// among its words.
func AllScripts() string {
	return encode(slices.DeleteFunc(slices.Collect(maps.Keys(scripts())), func(name string) bool {
		return slices.Contains([]string{targetName, environName, chrootName}, name)
	}))
}

// used returns the names of the scripts that are run by the given commands.
func used(commands ...[]string) []string {
	words := slices.Concat(commands...)
	return slices.DeleteFunc(slices.Collect(maps.Keys(scripts())),
		func(name string) bool { return !slices.Contains(words, name) })
}

// encode returns scripts on one line, as printf's %b reads it, because kubectl describe shortens a long line,
// but not many lines.
func encode(names []string) string {
	var text strings.Builder
	text.WriteString(scriptHead + "the scripts of a session\ncase $0 in\n")
	all := scripts()
	slices.Sort(names)
	for _, name := range names {
		text.WriteString(name + ")\n" + strings.TrimSuffix(all[name], "\n") + "\n;;\n")
	}
	text.WriteString("esac")
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(text.String())
}

// script returns the words that run a script. Its text is among them if the container's environment does not
// have it.
func (o Options) script(name string, args ...string) []string {
	text := runScript
	if o.inline() {
		text = scripts()[name]
	}
	return append([]string{"sh", "-c", text, name}, args...)
}

// inline reports whether the scripts' texts are among the words of their processes. An image's entrypoint may
// give what it starts another environment.
func (o Options) inline() bool { return o.Inline || o.Entrypoint }

// useToolbox adds the toolbox to the PATH of everything that runs.
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

// FillToolbox returns the command of an init container that fills the toolbox from an image with a static
// busybox.
func FillToolbox() []string { return Escape([]string{"sh", "-c", fillScript}) }

// IsOurs reports whether a container's command, with its arguments, is a process that New puts into a
// session's container. scripts is the value of the container's ScriptsVariable, as its spec has it. Other
// releases, and sessions with --entrypoint, have the script among the words.
func IsOurs(command []string, scripts string) bool {
	return runs(command) != "" && strings.HasPrefix(scripts, scriptHead) ||
		slices.ContainsFunc(command, func(word string) bool { return strings.HasPrefix(word, scriptHead) })
}

// IsIdler reports whether a container's command is the process of a detached session, of any release.
func IsIdler(command []string, scripts string) bool {
	return runs(command) == idlerName && strings.HasPrefix(scripts, scriptHead) ||
		slices.ContainsFunc(command,
			func(word string) bool { return strings.HasPrefix(word, idlerHead+"\n") })
}

// runs returns the name of the script that a container's command runs from its environment, or "".
func runs(command []string) string {
	command = unescape(command)
	if n := slices.Index(command, runScript); n >= 0 && n+1 < len(command) {
		return command[n+1]
	}
	return ""
}

// Escape escapes words so that they arrive unchanged in a container's command or environment, where
// Kubernetes turns "$$" into "$" and expands "$(NAME)":
// https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
func Escape(words []string) []string {
	escaped := make([]string, len(words))
	for i, word := range words {
		escaped[i] = strings.ReplaceAll(word, "$", "$$")
	}
	return escaped
}

func unescape(words []string) []string {
	unescaped := make([]string, len(words))
	for i, word := range words {
		unescaped[i] = strings.ReplaceAll(word, "$$", "$")
	}
	return unescaped
}
