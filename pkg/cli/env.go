package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

// envWords are the changes to the environment that one source has.
type envWords struct {
	source string // "" is the command line
	files  []string
	words  []string
}

// parseEnv reads the changes to the environment, the defaults first, so that what was typed overrides them.
func (f *flags) parseEnv(ctx context.Context, o *plan.Options) error {
	for _, e := range append(slices.Clone(f.defaultEnv), envWords{files: f.envFiles, words: f.env}) {
		if err := e.parse(ctx, o); err != nil && e.source != "" {
			return fmt.Errorf("%s: %w", e.source, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// parse reads those in files first, so that the others override them. An error never repeats a value: it may
// be a secret.
func (e envWords) parse(ctx context.Context, o *plan.Options) error {
	for _, file := range e.files {
		if err := readEnvFile(ctx, file, o); err != nil {
			return err
		}
	}
	for _, word := range e.words {
		name, value, set := strings.Cut(word, "=")
		change := plan.EnvChange{Name: name, Value: value}
		if trimmed, dash := strings.CutSuffix(word, "-"); !set && dash {
			change = plan.EnvChange{Name: trimmed, Remove: true}
		} else if !set {
			if len(validation.IsEnvVarName(word)) > 0 {
				return fmt.Errorf("--env: a word is none of NAME=VALUE, NAME and NAME-")
			}
			if change.Value, set = os.LookupEnv(name); !set {
				return hint.Wrap(fmt.Errorf("--env %s: the variable is not set here", name),
					hint.Command("set it: -e %s; remove it from the command's environment: -e %s",
						name+"=VALUE", name+"-"))
			}
		}
		// The API accepts these names since Kubernetes 1.30 (KEP-4369). An older server refuses them itself.
		if problems := validation.IsRelaxedEnvVarName(change.Name); len(problems) > 0 {
			return fmt.Errorf("--env: %q is not a name for a variable: %s", change.Name,
				words.Rule(problems[0]))
		}
		o.Env = append(o.Env, change)
	}
	return nil
}

// longestEnvFile is in bytes. An object in Kubernetes is not allowed to be longer.
const longestEnvFile = 1 << 20

// readEnvFile reads variables from a file as docker does: a line has NAME=VALUE, or NAME for the value from
// here. The value is the rest of the line as it stands. Empty lines and those that begin with # are left out.
func readEnvFile(ctx context.Context, path string, o *plan.Options) error {
	text, err := readInput(ctx, path, nil, longestEnvFile)
	switch {
	case err != nil:
		return fmt.Errorf("--env-file: %w", err)
	case len(text) > longestEnvFile:
		return fmt.Errorf("--env-file %s is longer than %d bytes", path, longestEnvFile)
	case !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0:
		return fmt.Errorf("--env-file %s is not UTF-8 text", path)
	}
	lines := strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n")
	for n, line := range lines {
		line = strings.TrimLeft(strings.TrimSuffix(line, "\r"), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, set := strings.Cut(line, "=")
		if len(validation.IsEnvVarName(name)) > 0 { // it is not repeated: it may be a part of a secret
			return fmt.Errorf("--env-file %s: line %d is neither NAME=VALUE nor NAME", path, n+1)
		}
		if !set {
			if value, set = os.LookupEnv(name); !set {
				return fmt.Errorf("--env-file %s: line %d: the variable that it names is not set here", path,
					n+1)
			}
		}
		o.Env = append(o.Env, plan.EnvChange{Name: name, Value: value})
	}
	return nil
}
