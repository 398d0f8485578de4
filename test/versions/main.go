// Command versions writes docs/compatibility.md from what "go test -json" has said on each Kubernetes:
//
//	go run ./test/versions FILE.md RESULTS/1.36.3.json...
//
// It fails if anything in the results has failed, and repeats what those tests said.
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: go run ./test/versions FILE.md RESULTS/VERSION.json...")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(page string, results []string) error {
	var runs []*testRun
	for _, path := range results {
		r, err := readRun(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		runs = append(runs, r)
	}
	slices.SortFunc(runs, func(a, b *testRun) int {
		if a.version.GreaterThan(b.version) {
			return -1
		}
		return 1
	})
	if err := os.WriteFile(page, []byte(render(runs)), 0o644); err != nil {
		return err
	}
	var failed []error
	for _, r := range runs {
		if !r.passed {
			fmt.Fprintf(os.Stderr, "=== kubernetes %s\n%s", r.version, r.complaint())
			failed = append(failed, fmt.Errorf("kubernetes %s: %s", r.version, r.result()))
		}
	}
	return errors.Join(failed...)
}
