package cli

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/bounded"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/defaults"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// withDefaults returns the options of the command line, in which flags that were not typed have their
// defaults from the environment and from the config file. These are as if they had been typed, but that one
// which does not apply here is left out. An error about one names where it comes from.
func (f *flags) withDefaults(ctx context.Context, args []string, dash int) (Options, error) {
	if err := f.takeDefaults(ctx, args, dash); err != nil {
		return Options{}, err
	}
	o, err := f.options(ctx, args, dash)
	return o, f.blame(err)
}

func (f *flags) takeDefaults(ctx context.Context, args []string, dash int) error {
	layers, err := f.readDefaults(ctx)
	if err != nil {
		return err
	}
	all := f.choose(layers)
	f.yield(all)
	f.leaveOut(all, args, dash)
	set, dropped := f.labels, f.asked.Plan.Labels.Drop // what was typed
	f.origins = map[string][]defaults.Value{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f.origins[name] = all[name].values
		if err := f.take(f.set.Lookup(name), all[name].values); err != nil {
			return err
		}
	}
	f.yieldLabels(set, dropped)
	return nil
}

// yieldLabels leaves out the defaults of --labels and --drop-labels that are about a label of which the other
// flag was typed. What was typed is last in each.
func (f *flags) yieldLabels(set, dropped []string) {
	drop := &f.asked.Plan.Labels.Drop
	bySet, byDrop := f.labels[:len(f.labels)-len(set)], (*drop)[:len(*drop)-len(dropped)]
	bySet = slices.DeleteFunc(slices.Clone(bySet), func(word string) bool {
		key, _, _ := strings.Cut(word, "=")
		return slices.Contains(dropped, key)
	})
	byDrop = slices.DeleteFunc(slices.Clone(byDrop), func(key string) bool {
		return slices.ContainsFunc(set, func(word string) bool { return strings.HasPrefix(word, key+"=") })
	})
	f.labels, *drop = slices.Concat(bySet, set), slices.Concat(byDrop, dropped)
}

// known returns the flags that can have a default.
func (f *flags) known() defaults.Flags {
	known := defaults.Flags{}
	f.set.VisitAll(func(flag *pflag.Flag) {
		kind := map[string]defaults.Kind{"bool": defaults.Bool, "int": defaults.Number,
			"int32": defaults.Number, "int64": defaults.Number, "stringSlice": defaults.List,
			"stringArray": defaults.List}[flag.Value.Type()]
		known[flag.Name] = defaults.Flag{Kind: kind, OnlyInSets: flag.Name == "image"}
	})
	delete(known, configFlag)
	return known
}

// readDefaults returns what the file and the environment have: the environment is the strongest, then the set
// that was asked for, then what the file has for this context and namespace.
func (f *flags) readDefaults(ctx context.Context) (defaults.Layers, error) {
	known := f.known()
	environment, err := defaults.Environment(os.Getenv, known)
	if err != nil {
		return nil, err
	}
	file, err := f.readConfig(ctx, known)
	if err != nil {
		return nil, err
	}
	var at here
	if file.NeedsContext() {
		if at, err = whereTo(ctx, f.config); err != nil {
			return nil, err
		}
	}
	layers := file.For(at.context, at.namespace)
	set := defaults.Layer{}
	if name, source := f.setName(append(layers, environment)); name != "" {
		if set, err = file.Set(name); err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
	}
	return append(layers, set, environment), nil
}

// setName returns the name of the set to use, and who says so.
func (f *flags) setName(layers defaults.Layers) (name, source string) {
	values, _ := layers.Of(defaults.Use)
	if f.set.Changed(defaults.Use) || len(values) == 0 {
		return f.use, "--" + defaults.Use
	}
	value := values[len(values)-1]
	return value.Words[0], value.Source
}

// here is where a command would go.
type here struct{ context, namespace string }

// whereTo returns the context and the namespace, whether or not there is a cluster. It waits until ctx ends:
// the kubeconfig might be a pipe.
func whereTo(ctx context.Context, config *genericclioptions.ConfigFlags) (here, error) {
	return bounded.Call(ctx, func() (here, error) {
		loader := config.ToRawKubeConfigLoader()
		raw, err := loader.RawConfig()
		if err != nil {
			return here{}, err
		}
		namespace, _, err := loader.Namespace()
		if err != nil {
			return here{}, checkConfig(config, err)
		}
		return here{cmp.Or(*config.Context, raw.CurrentContext), namespace}, nil
	})
}

// given are a flag's defaults, the strongest last.
type given struct {
	values []defaults.Value
	layer  int // of the strongest
}

// choose returns the defaults of the flags that were not typed and apply to the mode. Of a flag that adds it
// returns all of them, even if it was typed.
func (f *flags) choose(layers defaults.Layers) map[string]given {
	all := map[string]given{}
	mode := f.asked.Mode
	if values, _ := layers.Of("mode"); len(values) > 0 && !f.set.Changed("mode") {
		mode = plan.Mode(values[len(values)-1].Words[0])
	}
	for _, g := range f.groups {
		if g.mode != "" && g.mode != mode {
			continue
		}
		g.VisitAll(func(flag *pflag.Flag) {
			values, layer := layers.Of(flag.Name)
			switch {
			case len(values) == 0 || flag.Changed && !adds(flag.Name):
				return
			case !adds(flag.Name):
				values = values[len(values)-1:]
			}
			all[flag.Name] = given{values, layer}
		})
	}
	for _, layer := range layers {
		files, words := layer["env-file"], layer["env"]
		f.defaultEnv = append(f.defaultEnv, envWords{source: files.Source, files: files.Words},
			envWords{source: words.Source, words: words.Words})
	}
	return all
}

// adds reports whether the words of a flag are added to those of its defaults, which they override by name.
func adds(flag string) bool {
	return slices.Contains([]string{"env", "env-file", "labels", "drop-labels", "image-pull-secret"}, flag)
}

// apart returns pairs of flags that consistent does not allow together. After "=" is the only value that it
// is about.
func apart() [][2]string {
	return [][2]string{{"detach=true", "tty=true"}, {"detach=true", "stdin=true"},
		{"detach=true", "wait=true"}, {"detach=true", "via=exec"}, {"detach=true", "record"},
		{"detach=true", "idle"}, {"detach=true", "detach-keys"}, {"with", "with-all=true"},
		{"pin=true", "image"}, {"pin=true", "filename"}, {"volumes=fresh", "ordinal"},
		{"entrypoint=true", "via=exec"}, {"entrypoint=true", "toolbox"}, {"profile", "inherit"}}
}

// yield leaves out each default that cannot be combined with a stronger one, or with what was typed.
func (f *flags) yield(all map[string]given) {
	for _, pair := range apart() {
		one, other := f.strength(all, pair[0]), f.strength(all, pair[1])
		weaker, _, _ := strings.Cut(pair[0], "=")
		if one > other {
			weaker, _, _ = strings.Cut(pair[1], "=")
		}
		if one >= 0 && other >= 0 && one != other {
			delete(all, weaker)
		}
	}
}

// strength returns how strong a flag is: that of its layer, or more than any if it was typed. It is -1 if the
// flag was not given, or has another value than the one after "=".
func (f *flags) strength(all map[string]given, what string) int {
	name, wanted, _ := strings.Cut(what, "=")
	flag := f.set.Lookup(name)
	found, isDefault := all[name]
	value, strength := flag.Value.String(), math.MaxInt
	switch {
	case isDefault:
		value, strength = found.values[len(found.values)-1].Words[0], found.layer
	case !flag.Changed:
		return -1
	}
	if is, err := strconv.ParseBool(value); err == nil && flag.Value.Type() == "bool" {
		value = strconv.FormatBool(is)
	}
	if wanted != "" && value != wanted {
		return -1
	}
	return strength
}

// leaveOut leaves out the defaults that have no meaning for the rest of the command line.
func (f *flags) leaveOut(all map[string]given, args []string, dash int) {
	has := func(flag string) bool { return f.strength(all, flag) >= 0 }
	if dash >= 0 && dash < len(args) {
		delete(all, "command")
	} else if f.set.Changed("detach") && has("detach=true") && !has("command") && has("via=attach") {
		delete(all, "via") // there would be nothing to attach to
	}
	if !has("overrides") {
		delete(all, "override-type")
	}
	if !has("dry-run") || has("dry-run=none") {
		delete(all, "output")
	}
	if !has("record") && !(recordOptions{}).isAsked() {
		delete(all, "record-format")
		delete(all, "record-input")
	}
	words := args
	if dash >= 0 {
		words = args[:dash]
	}
	if named, err := workload.ParseReference(words); err == nil && named.Kind == "Pod" {
		delete(all, "pod-selection")
	}
}

// take gives a flag its defaults.
func (f *flags) take(flag *pflag.Flag, values []defaults.Value) error {
	last := values[len(values)-1]
	list, isList := flag.Value.(pflag.SliceValue)
	switch {
	case flag.Name == "env" || flag.Name == "env-file": // parseEnv reads them
		return nil
	case !isList:
		if err := f.set.Set(flag.Name, last.Words[0]); err != nil {
			return fmt.Errorf("%s: --%s %q is not %s", last.Source, flag.Name, last.Words[0],
				kindOfValue(flag.Value.Type()))
		}
		return nil
	}
	var words []string
	for _, value := range values {
		elements, err := elementsOf(flag, value)
		if err != nil {
			return fmt.Errorf("%s: --%s is not a list of words between commas", value.Source, flag.Name)
		}
		words = append(words, elements...)
	}
	if flag.Changed {
		words = append(words, list.GetSlice()...)
	}
	flag.Changed = true
	return list.Replace(words)
}

// elementsOf returns the elements of a list: those of the file, or those of a text with commas, as it would
// be typed.
func elementsOf(flag *pflag.Flag, value defaults.Value) ([]string, error) {
	if value.Whole || flag.Value.Type() != "stringSlice" {
		return value.Words, nil
	}
	return csv.NewReader(strings.NewReader(value.Words[0])).Read()
}

// flagInText matches a flag in an error's text.
var flagInText = regexp.MustCompile(`--([a-z][a-z-]*)`)

// blame adds to an error about flags where those come from that were not typed.
func (f *flags) blame(err error) error {
	if err == nil {
		return nil
	}
	var sources []string
	for _, found := range flagInText.FindAllStringSubmatch(err.Error(), -1) {
		if name := found[1]; name == "env" || name == "env-file" { // parseEnv knows better
			continue
		}
		for _, value := range f.origins[found[1]] {
			if !slices.Contains(sources, value.Source) {
				sources = append(sources, value.Source)
			}
		}
	}
	if len(sources) == 0 {
		return err
	}
	return fmt.Errorf("%s: %w", strings.Join(sources, ", "), err)
}
