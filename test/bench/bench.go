//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	utilrand "k8s.io/apimachinery/pkg/util/rand"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/countproxy"
	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/faultproxy"
)

// countLatency is what a round trip takes longer while they are counted: see package countproxy.
const countLatency = 100 * time.Millisecond

// bench is one run of the program.
type bench struct {
	options
	*cluster
	dir      string // with bin, two kubeconfigs, and the home of the commands
	subjects []subject
	rooms    map[string]*room // by the subject's name
	network  *faultproxy.Proxy
	counter  *countproxy.Proxy
}

// The kubeconfigs, by what they go through.
const (
	throughNetwork = "network.kubeconfig"
	throughCounter = "counter.kubeconfig"
)

func newBench(ctx context.Context, o options) (*bench, error) {
	b := &bench{options: o, subjects: subjects(), rooms: map[string]*room{}}
	var err error
	if b.cluster, err = connect(); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "eshell-bench-"); err != nil {
		return nil, err
	}
	for _, step := range []func() error{b.installPrograms, b.startProxies,
		func() error { return b.furnishAll(ctx) }} {
		if err := step(); err != nil {
			b.close(ctx)
			return nil, err
		}
	}
	return b, nil
}

// close ends and deletes everything. What is left on a failing cluster is named, and no reason to fail.
func (b *bench) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for _, r := range b.rooms {
		if err := b.deleteNamespace(ctx, r.name); err != nil {
			fmt.Fprintln(os.Stderr, "warning:", err)
		}
	}
	if b.network != nil {
		_ = b.network.Close()
	}
	if b.counter != nil {
		b.counter.Close()
	}
	_ = os.RemoveAll(b.dir)
}

// installPrograms makes the folder in which the commands find kubectl, and kubectl finds the plugin.
func (b *bench) installPrograms() error {
	plugin, err := filepath.Abs(b.plugin)
	if err != nil {
		return err
	}
	if _, err := os.Stat(plugin); err != nil {
		return fmt.Errorf("%w: make build", err)
	}
	if err := os.Mkdir(b.path("bin"), 0o755); err != nil {
		return err
	}
	return errors.Join(os.Symlink(b.kubectl, b.path("bin", "kubectl")),
		os.Symlink(plugin, b.path("bin", "kubectl-eshell")))
}

func (b *bench) startProxies() error {
	addr, err := b.addr()
	if err != nil {
		return err
	}
	if b.network, err = faultproxy.New(addr); err != nil {
		return err
	}
	if b.counter, err = countproxy.New(b.config, 0); err != nil {
		return err
	}
	return errors.Join(b.writeKubeconfig(b.path(throughNetwork), via(b.network.Addr())),
		b.writeKubeconfig(b.path(throughCounter), b.counter.Replace))
}

func (b *bench) furnishAll(ctx context.Context) error {
	id := utilrand.String(5)
	for _, s := range b.subjects {
		r, err := b.furnish(ctx, "eshell-bench-"+id+"-"+s.name)
		if r != nil {
			b.rooms[s.name] = r
		}
		if err != nil {
			return err
		}
	}
	return b.forEach(func(s subject) error { return b.rooms[s.name].ready(ctx) })
}

// forEach does something for all commands at once.
func (b *bench) forEach(do func(subject) error) error {
	errs := make([]error, len(b.subjects))
	var all sync.WaitGroup
	for i, s := range b.subjects {
		all.Go(func() { errs[i] = do(s) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// renew replaces the pods that the next round of sessions joins.
func (b *bench) renew(ctx context.Context) error {
	return b.forEach(func(s subject) error {
		if !s.joins {
			return nil
		}
		return b.rooms[s.name].renew(ctx)
	})
}

// run measures everything.
func (b *bench) run(ctx context.Context) (*report, error) {
	r, err := b.newReport(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.count(ctx, r); err != nil {
		return nil, err
	}
	for repetition := range b.repeat {
		for i, rtt := range b.rtts {
			progress("repetition %d of %d, round-trip time %v", repetition+1, b.repeat, rtt)
			// What a machine does besides, and what a command leaves it to do, hits all commands alike: each
			// round has another order, the same in each run.
			order := rand.New(rand.NewPCG(uint64(repetition), uint64(i))).Perm(len(b.subjects))
			if err := b.round(ctx, r, repetition, rtt, order); err != nil {
				return nil, err
			}
		}
	}
	r.summarize()
	return r, nil
}

// round times each command once.
func (b *bench) round(ctx context.Context, r *report, repetition int, rtt time.Duration, order []int) error {
	if err := b.renew(ctx); err != nil {
		return err
	}
	b.network.DelayHandshake(true)
	b.network.Delay(rtt / 2)
	defer b.network.Delay(0)
	for _, i := range order {
		s := b.subjects[i]
		t, left, err := b.session(ctx, s, throughNetwork, func() {})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			progress("failed: %v", err)
			r.Failures = append(r.Failures, err.Error())
			continue
		}
		r.add(s.name, sample{RTTMs: ms(rtt), Repetition: repetition, ToPromptMs: ms(t.toPrompt),
			ToReturnMs: ms(t.toReturn), CPUMs: ms(t.cpu), PeakBytes: t.peak, After: left})
	}
	return nil
}

// count counts what each command asks of the API server. Before that, each fills the caches that it keeps
// for both of the servers that it will see: a person's are filled.
func (b *bench) count(ctx context.Context, r *report) error {
	progress("filling the caches")
	for _, kubeconfig := range []string{throughNetwork, throughCounter} {
		if err := b.eachOnce(ctx, kubeconfig, func(subject) func() { return func() {} }, nil); err != nil {
			return err
		}
	}
	progress("counting round trips")
	b.counter.SetLatency(countLatency)
	var untilPrompt int
	return b.eachOnce(ctx, throughCounter, func(subject) func() {
		b.counter.Reset()
		return func() { untilPrompt = b.counter.RoundTrips() }
	}, func(s subject) {
		t := traffic{Connections: b.counter.Connections(), RoundTripsToPrompt: untilPrompt,
			RoundTrips: b.counter.RoundTrips()}
		t.BytesToClient, t.BytesToServer = b.counter.Bytes()
		for _, request := range b.counter.Requests() {
			t.Requests = append(t.Requests, request.String())
		}
		r.subject(s.name).Traffic = t
	})
}

// eachOnce runs each command once, without timing it.
func (b *bench) eachOnce(ctx context.Context, kubeconfig string, before func(subject) func(),
	after func(subject)) error {
	if err := b.renew(ctx); err != nil {
		return err
	}
	for _, s := range b.subjects {
		progress("untimed: %s", s.name)
		if _, _, err := b.session(ctx, s, kubeconfig, before(s)); err != nil {
			return err
		}
		if after != nil {
			after(s)
		}
	}
	return nil
}

// session runs one command, and cleans up after it. It also returns what the command has left.
func (b *bench) session(ctx context.Context, s subject, kubeconfig string, began func()) (t timing,
	left string, err error) {
	r := b.rooms[s.name]
	t, err = timeSession(ctx, b.env(kubeconfig), began,
		append([]string{b.path("bin", "kubectl")}, s.in(r.name)...)...)
	if err == nil {
		left, err = r.left(ctx, s.joins)
	}
	return t, left, errors.Join(err, r.tidy(ctx))
}

// env is the whole environment of a command, which has a home of its own.
func (b *bench) env(kubeconfig string) []string {
	return []string{"PATH=" + b.path("bin") + ":/usr/bin:/bin", "KUBECONFIG=" + b.path(kubeconfig),
		"HOME=" + b.dir, "KUBECACHEDIR=" + b.path("cache"), "TERM=xterm"}
}

func (b *bench) path(names ...string) string {
	return filepath.Join(append([]string{b.dir}, names...)...)
}

// progress tells the person who waits what is being done. The results are on stdout.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
