//go:build unix

// Command pictures makes the pictures of the documentation: it records sessions on the embedded cluster, and
// draws the diagram of a session.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

const usage = `usage: go run ./test/pictures [NAME...]

Makes docs/pictures/NAME.svg and NAME-dark.svg. Without names it makes all of them: session, clone, debug,
explain, picker. All need rsvg-convert. All but session, which is a drawing, need the embedded cluster,
bin/kubectl-eshell, asciinema 2 and svg-term (npm ci in test/pictures). Recordings, and the stills by which
they are checked, are in dist/pictures.`

// Where pictures and stills are written, from the root of the repository.
const (
	picturesDir = "docs/pictures"
	stillsDir   = "dist/pictures"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string) error {
	var chosen []recording
	for _, r := range recordings() {
		if len(names) == 0 || slices.Contains(names, r.name) {
			chosen = append(chosen, r)
		}
	}
	isDrawn := len(names) == 0 || slices.Contains(names, diagramName)
	if len(names) > len(chosen) && (!isDrawn || len(names) > len(chosen)+1) {
		return fmt.Errorf("there is no picture of that name\n%s", usage)
	}
	for _, dir := range []string{picturesDir, stillsDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if isDrawn {
		if err := writeDiagram(ctx); err != nil {
			return err
		}
	}
	if len(chosen) == 0 {
		return nil
	}
	return record(ctx, chosen)
}

// record makes the recordings of one shop. One that fails does not keep the others from being made.
func record(ctx context.Context, chosen []recording) (err error) {
	s, err := openShop(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(context.WithoutCancel(ctx))) }()
	var failed []error
	for _, r := range chosen {
		if err := r.make(ctx, s); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", r.name, err))
		}
	}
	return errors.Join(failed...)
}
