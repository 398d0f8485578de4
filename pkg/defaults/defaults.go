// Package defaults reads what a user or a team wants flags to be that were not typed: from the environment
// and from a file. It says where each value comes from. Package cli applies them.
package defaults

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// Kind is what a flag takes.
type Kind int

// The kinds of flags.
const (
	Text Kind = iota
	Number
	Bool
	List
)

// Flag is a flag that can have a default.
type Flag struct {
	Kind Kind
	// OnlyInSets marks a flag whose default would be a surprise: it has to be asked for, as part of a set.
	OnlyInSets bool
}

// Flags are all flags that can have a default, by name.
type Flags map[string]Flag

// Use is the flag that chooses a set. A set does not choose another.
const Use = "use"

// Value is a flag's default.
type Value struct {
	Words  []string // what would be typed; of a flag that takes one value there is one
	Whole  bool     // a word is an element of a list, not a text with commas
	Origin string   // of whom it is: the file's name, or the environment
	Source string   // where exactly it is, like "/etc/eshell.yaml:3" or "environment ESHELL_TTL"
}

// Layer are defaults that are equally strong, by flag.
type Layer map[string]Value

// Layers are the defaults in force. Each layer is stronger than the ones before it.
type Layers []Layer

// Of returns the values of a flag, the strongest last, and the number of the layer that has it: -1 if none.
func (l Layers) Of(flag string) (values []Value, strongest int) {
	strongest = -1
	for n, layer := range l {
		if value, has := layer[flag]; has {
			values, strongest = append(values, value), n
		}
	}
	return values, strongest
}

// Variable returns the environment variable of a flag.
func Variable(flag string) string {
	return "ESHELL_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// InEnvironment is the origin of what the environment has.
const InEnvironment = "the environment"

// Environment returns the defaults that the environment has. An empty variable counts as none. A variable
// that is of no flag is somebody else's.
func Environment(getenv func(string) string, flags Flags) (Layer, error) {
	layer := Layer{}
	for name, flag := range flags {
		variable := Variable(name)
		value := getenv(variable)
		switch {
		case value == "":
			continue
		case flag.OnlyInSets:
			return nil, hint.Wrap(fmt.Errorf("environment %s: %s", variable, onlyInSets(name)), useSet)
		}
		layer[name] = Value{Words: []string{value}, Origin: InEnvironment, Source: "environment " + variable}
	}
	return layer, nil
}

func onlyInSets(flag string) string {
	return fmt.Sprintf("a default %s for all sessions would be a surprise: only a set can have one", flag)
}

const useSet = "write it into a set: sets: {NAME: {...}}, and ask for the set with --use NAME"

// matches reports whether a name matches a pattern, in which * stands for any number of any characters: the
// names of contexts have slashes and colons too.
func matches(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return pattern == name
	}
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(name, part)
		if !found {
			return false
		}
		name = rest
	}
	return true
}

// matchesAny reports whether a name matches one of the patterns. No patterns match every name.
func matchesAny(patterns []string, name string) bool {
	return len(patterns) == 0 ||
		slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, name) })
}
