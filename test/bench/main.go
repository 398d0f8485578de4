//go:build unix

// Command bench times kubectl eshell and its peers, one after the other, on the embedded cluster and over
// networks of several round-trip times, and writes docs/benchmarks:
//
//	go run ./test/bench -repeat 7 -rtt 0,50,150,300
//
// It needs bin/kubectl-eshell and a cluster: "make bench" sees to both.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the words of the command line.
type options struct {
	repeat int
	rtts   []time.Duration
	out    string
	plugin string
	redraw bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.redraw {
		r, err := readReport(o.out)
		if err != nil {
			return err
		}
		return r.write(o.out)
	}
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer b.close(ctx)
	r, err := b.run(ctx)
	if err != nil {
		return err
	}
	r.CommandLine = strings.Join(append([]string{"go run ./test/bench"}, args...), " ")
	if err := r.write(o.out); err != nil {
		return err
	}
	if len(r.Failures) > 0 {
		return fmt.Errorf("%d sessions have failed; the first: %s", len(r.Failures), r.Failures[0])
	}
	return nil
}

func parse(args []string) (options, error) {
	flags, o := flag.NewFlagSet("bench", flag.ContinueOnError), options{}
	flags.IntVar(&o.repeat, "repeat", 10, "how often each command is timed for each round-trip time")
	rtts := flags.String("rtt", "0,50,150,300", "round-trip times to the API server, in ms")
	flags.StringVar(&o.out, "out", filepath.Join("docs", "benchmarks"), "the folder for the results")
	flags.StringVar(&o.plugin, "plugin", filepath.Join("bin", "kubectl-eshell"), "the plugin to time")
	flags.BoolVar(&o.redraw, "redraw", false, "draw and print the results that are in -out, and time nothing")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.repeat < 1 {
		return o, fmt.Errorf("-repeat %d %s: want a number above zero and no other words", o.repeat,
			strings.Join(flags.Args(), " "))
	}
	for word := range strings.SplitSeq(*rtts, ",") {
		ms, err := strconv.Atoi(word)
		if err != nil || ms < 0 {
			return o, fmt.Errorf("-rtt %s: want numbers of milliseconds, separated by commas", *rtts)
		}
		o.rtts = append(o.rtts, time.Duration(ms)*time.Millisecond)
	}
	return o, nil
}
