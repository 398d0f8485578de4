package cli

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// mattering are the flags that run something, give more rights, bring in data or change what selects the
// clone. noteDefaults lists those that have a default.
func mattering() []string {
	return []string{"filename", "command", "entrypoint", "image", "toolbox", "custom", "overrides", "with",
		"with-all", "init", "env", "env-file", "as-user", "service-account", "image-pull-secret", "profile",
		"inherit", "chroot", "env-from-process", "keep-labels", "labels", "drop-labels", "volumes", "node",
		"record", "record-input"}
}

// noteDefaults prints in one line the defaults that matter and where they come from, even if quiet: the file
// itself can say that.
func (p *printer) noteDefaults(f *flags) {
	var origins []string
	flags := map[string][]string{}
	for _, name := range mattering() {
		for _, value := range f.origins[name] {
			words := "--" + name + " " + hint.Quote(shown(name, value.Words))
			if f.set.Lookup(name).Value.Type() == "bool" {
				words = "--" + name
			}
			if f.set.Lookup(name).Value.String() == "false" { // nothing is asked for
				continue
			}
			if !slices.Contains(origins, value.Origin) {
				origins = append(origins, value.Origin)
			}
			flags[value.Origin] = append(flags[value.Origin], words)
		}
	}
	var parts []string
	for _, origin := range origins {
		parts = append(parts, "from "+origin+": "+strings.Join(flags[origin], ", "))
	}
	if len(parts) > 0 {
		p.once("note: ", strings.Join(parts, "; "))
	}
}

// hidden takes the place of what may be a secret. It is kubectl's.
const hidden = "REDACTED"

// shown returns the words of a flag for printing, without the values of variables and without patches.
func shown(flag string, words []string) string {
	switch {
	case flag == "overrides":
		return hidden
	case flag == "command" && len(words) > 1: // one of its words can be a secret
		return words[0] + "," + hidden
	}
	words = slices.Clone(words)
	for n, word := range words {
		name, value, set := strings.Cut(word, "=")
		named := len(validation.IsEnvVarName(strings.TrimSuffix(name, "-"))) == 0
		switch {
		case flag != "env":
		case set && named && strings.Trim(value, "=") != "":
			words[n] = name + "=" + hidden
		case set || !named: // a mistake: it may be a part of a value, padded as in base64
			words[n] = hidden
		}
	}
	return strings.Join(words, ",")
}
