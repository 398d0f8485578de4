package defaults

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// File is a file of defaults: flags by name, and beside them lists of others for some contexts, and named
// sets.
//
//	ttl: 4h
//	contexts:
//	- context: prod-*
//	  ttl: 1h
//	sets:
//	  jdk: {mode: debug, image: registry.example/jdk:21}
type File struct {
	path     string
	top      Layer
	contexts []selected
	sets     map[string]Layer
}

// selected are the defaults for the contexts and namespaces that match.
type selected struct {
	contexts, namespaces []string // patterns; none: all
	Layer
}

// Parse reads a file. Every error names the file and the line, and repeats no value: it may be a secret.
func Parse(path string, text []byte, flags Flags) (*File, error) {
	r := reader{path, flags}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, more yaml.Node
	err := decoder.Decode(&document)
	f := &File{path: path, top: Layer{}, sets: map[string]Layer{}}
	if errors.Is(err, io.EOF) {
		return f, nil
	}
	if err != nil {
		return nil, r.syntax(err)
	}
	switch err := decoder.Decode(&more); {
	case err == nil:
		return nil, r.wrong(&more, "a second document begins here; a file has one")
	case !errors.Is(err, io.EOF):
		return nil, r.syntax(err)
	}
	root := resolved(document.Content[0])
	if root.ShortTag() == "!!null" { // only comments
		return f, nil
	}
	return f, r.file(f, root)
}

// NeedsContext reports whether it has defaults that depend on the context or the namespace.
func (f *File) NeedsContext() bool { return len(f.contexts) > 0 }

// For returns the defaults for a context and a namespace, without those of sets. Of two entries for the same
// context the later one is stronger.
func (f *File) For(context, namespace string) Layers {
	layers := Layers{f.top}
	for _, s := range f.contexts {
		if matchesAny(s.contexts, context) && matchesAny(s.namespaces, namespace) {
			layers = append(layers, s.Layer)
		}
	}
	return layers
}

// Set returns a set by its name. If there is none of that name, the error lists those that there are, the
// closest first.
func (f *File) Set(name string) (Layer, error) {
	if set, has := f.sets[name]; has {
		return set, nil
	}
	names := slices.Sorted(maps.Keys(f.sets))
	err := fmt.Errorf("%s has no set %q", f.path, name)
	if len(names) == 0 {
		return nil, hint.Wrap(err, useSet)
	}
	closest := hint.Closest(name, names)
	for _, other := range names {
		if !slices.Contains(closest, other) {
			closest = append(closest, other)
		}
	}
	return nil, hint.Wrap(err, "it has: "+strings.Join(closest, ", "))
}

// reader reads the nodes of a file.
type reader struct {
	path  string
	flags Flags
}

// wrong returns an error that is about a node.
func (r reader) wrong(at *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s: "+format, append([]any{r.at(at)}, args...)...)
}

func (r reader) at(node *yaml.Node) string { return fmt.Sprintf("%s:%d", r.path, node.Line) }

// syntaxError matches what the parser says, which has the line.
var syntaxError = regexp.MustCompile(`^yaml: line (\d+): (.*)`)

func (r reader) syntax(err error) error {
	if strings.Contains(err.Error(), "unknown anchor") { // the parser repeats what may be a value
		return hint.Wrap(fmt.Errorf("%s: an alias (*NAME) stands for nothing", r.path),
			"quote a value that begins with *")
	}
	if found := syntaxError.FindStringSubmatch(err.Error()); found != nil {
		return fmt.Errorf("%s:%s: not well-formed YAML: %s", r.path, found[1], found[2])
	}
	return fmt.Errorf("%s: not well-formed YAML: %s", r.path, strings.TrimPrefix(err.Error(), "yaml: "))
}

// resolved returns the node that an alias stands for.
func resolved(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// each calls do for each key of a mapping and its value.
func (r reader) each(mapping *yaml.Node, what string, do func(key, value *yaml.Node) error) error {
	if mapping.Kind != yaml.MappingNode {
		return r.wrong(mapping, "%s has to be a map", what)
	}
	lines := map[string]int{}
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := resolved(mapping.Content[i]), resolved(mapping.Content[i+1])
		if key.Kind != yaml.ScalarNode {
			return r.wrong(key, "a key of %s is not a name", what)
		}
		if line, twice := lines[key.Value]; twice {
			return r.wrong(key, "%q is there twice: line %d has it too", key.Value, line)
		}
		lines[key.Value] = key.Line
		if err := do(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (r reader) file(f *File, root *yaml.Node) error {
	return r.each(root, "the file", func(key, value *yaml.Node) error {
		switch key.Value {
		case "contexts":
			return r.contexts(f, value)
		case "sets":
			return r.each(value, "sets", func(name, set *yaml.Node) error {
				f.sets[name.Value] = Layer{}
				return r.set(f.sets[name.Value], name.Value, set)
			})
		}
		return r.value(f.top, key, value, "", "contexts", "sets")
	})
}

func (r reader) contexts(f *File, list *yaml.Node) error {
	if list.Kind != yaml.SequenceNode {
		return r.wrong(list, "contexts has to be a list of maps")
	}
	for n, node := range list.Content {
		s := selected{Layer: Layer{}}
		where := fmt.Sprintf("contexts[%d]", n)
		entry := resolved(node)
		err := r.each(entry, where, func(key, value *yaml.Node) (err error) {
			switch key.Value {
			case "context":
				s.contexts, err = r.words(key, value)
				return err
			case "namespace":
				s.namespaces, err = r.words(key, value)
				return err
			}
			return r.value(s.Layer, key, value, where, "context", "namespace")
		})
		switch {
		case err != nil:
			return err
		case len(s.contexts)+len(s.namespaces) == 0:
			return hint.Wrap(r.wrong(entry, "%s has neither a context nor a namespace", where),
				"what is for all contexts goes to the top level of the file")
		}
		f.contexts = append(f.contexts, s)
	}
	return nil
}

func (r reader) set(to Layer, name string, set *yaml.Node) error {
	return r.each(set, "set "+name, func(key, value *yaml.Node) error {
		if key.Value == Use {
			return r.wrong(key, "a set cannot use another")
		}
		return r.value(to, key, value, "set "+name)
	})
}

// value reads a flag's default. Beside flags, the map has other keys.
func (r reader) value(to Layer, key, value *yaml.Node, where string, other ...string) error {
	name := key.Value
	flag, known := r.flags[name]
	inSet := strings.HasPrefix(where, "set ")
	switch {
	case !known:
		return r.unknown(key, other)
	case flag.OnlyInSets && !inSet:
		return hint.Wrap(r.wrong(key, "%s", onlyInSets(name)), useSet)
	case flag.Kind == Bool && value.ShortTag() != "!!bool":
		return r.wrong(key, "%s has to be true or false", name)
	case flag.Kind == Number && value.ShortTag() != "!!int":
		return r.wrong(key, "%s has to be a whole number", name)
	case flag.Kind != List && value.Kind != yaml.ScalarNode:
		return r.wrong(key, "%s has to be one value", name)
	}
	words, err := r.words(key, value)
	source := r.at(key)
	if where != "" {
		source += " (" + where + ")"
	}
	to[name] = Value{Words: words, Whole: value.Kind == yaml.SequenceNode, Origin: r.path, Source: source}
	return err
}

// words reads one value, or a list of them.
func (r reader) words(key, value *yaml.Node) ([]string, error) {
	nodes := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		nodes = value.Content
	}
	words := make([]string, 0, len(nodes))
	for _, node := range nodes {
		node = resolved(node)
		switch {
		case node.Kind != yaml.ScalarNode:
			return nil, r.wrong(node, "%s has to be one value or a list of values", key.Value)
		case node.ShortTag() == "!!null":
			return nil, hint.Wrap(r.wrong(node, "%s has no value", key.Value),
				`YAML reads ~ and null as no value: quote them, like "~"`)
		}
		words = append(words, node.Value)
	}
	if len(words) == 0 {
		return nil, r.wrong(value, "%s is an empty list", key.Value)
	}
	return words, nil
}

// unknown returns the error about a key that is no flag, with the closest name as a hint.
func (r reader) unknown(key *yaml.Node, other []string) error {
	err := r.wrong(key, "%q is not a flag", key.Value)
	meant := strings.TrimLeft(key.Value, "-")
	names := slices.Concat(slices.Sorted(maps.Keys(r.flags)), other)
	if slices.Contains(names, meant) {
		return hint.Wrap(err, "flags are named without dashes: "+meant)
	}
	if closest := hint.Closest(meant, names); len(closest) > 0 {
		return hint.Wrap(err, "did you mean: "+strings.Join(closest, ", "))
	}
	return hint.Wrap(err, "list the flags: kubectl eshell --help")
}
