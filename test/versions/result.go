package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/version"
)

// event is one line of "go test -json": https://pkg.go.dev/cmd/test2json
type event struct {
	Time    time.Time
	Action  string
	Test    string // empty: of the package
	Elapsed float64
	Output  string
	Key     string
	Value   string
}

// testRun is one run of the tests on one Kubernetes.
type testRun struct {
	version *version.Version
	date    time.Time
	elapsed time.Duration
	passed  bool // the whole package

	tests  map[string]*test
	facts  map[string]string // what tests have recorded with T.Attr
	output string            // of the package, outside of any test
}

// test is a test or a subtest.
type test struct {
	ended  string // pass, fail or skip; empty if it has not ended
	output string
}

// kubernetes is the attribute in which a test records the server's version.
const kubernetes = "kubernetes"

// readRun reads the file VERSION.json. That the server had that version is the tests' own word.
func readRun(path string) (*testRun, error) {
	name := strings.TrimSuffix(filepath.Base(path), ".json")
	wanted, err := version.ParseSemantic(name)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r := &testRun{version: wanted, tests: map[string]*test{}, facts: map[string]string{}}
	lines := json.NewDecoder(file)
	for {
		var e event
		if err := lines.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		r.add(e)
	}
	if ran, told := r.facts[kubernetes]; told && ran != name {
		return nil, fmt.Errorf("the tests ran on Kubernetes %s", ran)
	} else if !told && r.passed {
		return nil, errors.New("the tests do not say on which Kubernetes they ran")
	}
	return r, nil
}

func (r *testRun) add(e event) {
	if r.date.IsZero() {
		r.date = e.Time
	}
	if e.Test == "" {
		r.output += e.Output
		r.passed = r.passed || e.Action == "pass"
		r.elapsed = max(r.elapsed, time.Duration(e.Elapsed*float64(time.Second)))
		return
	}
	if r.tests[e.Test] == nil {
		r.tests[e.Test] = &test{}
	}
	switch e.Action {
	case "pass", "fail", "skip":
		r.tests[e.Test].ended = e.Action
	case "output":
		r.tests[e.Test].output += e.Output
	case "attr":
		r.facts[e.Key] = e.Value
	}
}

// cases are the tests that have no subtests, below a name or in all, in order.
func (r *testRun) cases(below string) []string {
	names := slices.Sorted(maps.Keys(r.tests))
	return slices.DeleteFunc(names, func(name string) bool {
		inside := below == "" || name == below || strings.HasPrefix(name, below+"/")
		return !inside || slices.ContainsFunc(names, func(other string) bool {
			return strings.HasPrefix(other, name+"/")
		})
	})
}

// ended are those of the cases that ended so.
func (r *testRun) ended(cases []string, so ...string) []string {
	return slices.DeleteFunc(slices.Clone(cases), func(name string) bool {
		return !slices.Contains(so, r.tests[name].ended)
	})
}

// complaint is what failed tests have said, and the package.
func (r *testRun) complaint() string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.tests)) {
		if t := r.tests[name]; t.ended == "fail" || t.ended == "" {
			text.WriteString(t.output)
		}
	}
	return text.String() + r.output
}
