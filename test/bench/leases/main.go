// Command leases keeps many leases alive, as that many sessions would, and prints what they cost the cluster:
//
//	go run ./test/bench/leases -leases 1000 -for 5m
//
// It takes the cluster of the current context, and needs a namespace that is its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
)

// simulation is what is asked for.
type simulation struct {
	client    kubernetes.Interface
	namespace string
	leases    int
	length    time.Duration
	interval  time.Duration
	lasts     time.Duration

	renewed, failed atomic.Int64
}

func main() {
	var s simulation
	flag.StringVar(&s.namespace, "namespace", "eshell-leases", "a namespace, which is created and deleted")
	flag.IntVar(&s.leases, "leases", 1000, "how many leases")
	flag.DurationVar(&s.length, "lease", 2*time.Minute, "the length of each")
	flag.DurationVar(&s.lasts, "for", 5*time.Minute, "how long they are measured")
	flag.Parse()
	s.interval = s.length / 3 // as sessions do
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := s.run(ctx); err != nil {
		log.Fatal(err)
	}
}

func (s *simulation) run(ctx context.Context) (err error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), nil).ClientConfig()
	if err != nil {
		return err
	}
	config.QPS, config.Timeout = -1, 30*time.Second
	if s.client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	namespaces := s.client.CoreV1().Namespaces()
	if _, err := namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}},
		metav1.CreateOptions{}); err != nil {
		return err
	}
	defer func() {
		lasting := context.WithoutCancel(ctx)
		err = errors.Join(err, namespaces.Delete(lasting, s.namespace, metav1.DeleteOptions{}))
	}()
	quiet, err := s.costs(ctx, func(ctx context.Context) error { return wait(ctx, s.lasts/5) })
	if err != nil {
		return err
	}
	taken, err := s.take(ctx)
	if err != nil {
		return err
	}
	busy, err := s.costs(ctx, func(ctx context.Context) error { return s.renew(ctx, taken) })
	if err != nil {
		return err
	}
	s.print(quiet, busy)
	return nil
}

// take takes the leases, a few at a time.
func (s *simulation) take(ctx context.Context) ([]*lease.Lease, error) {
	taken, errs := make([]*lease.Lease, s.leases), make([]error, s.leases)
	next := make(chan int)
	var taking sync.WaitGroup
	for range 16 {
		taking.Go(func() {
			for i := range next {
				taken[i], errs[i] = lease.Take(ctx, s.client, lease.Terms{Namespace: s.namespace,
					Session: rand.String(8), Length: s.length, TTL: 8 * time.Hour})
			}
		})
	}
	began := time.Now()
	for i := range taken {
		next <- i
	}
	close(next)
	taking.Wait()
	fmt.Printf("%d leases were taken in %.1f s\n", s.leases, time.Since(began).Seconds())
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return taken, s.awaitController(ctx)
}

// awaitController waits until the job controller has started the clocks of all leases.
func (s *simulation) awaitController(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.length)
	defer cancel()
	for {
		jobs, err := s.client.BatchV1().Jobs(s.namespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		begun := 0
		for _, job := range jobs.Items {
			if job.Status.StartTime != nil {
				begun++
			}
		}
		if begun == s.leases {
			return nil
		}
		if err := wait(ctx, time.Second); err != nil {
			return fmt.Errorf("%d of %d leases have begun: %w", begun, s.leases, err)
		}
	}
}

// renew renews each lease at its interval, spread evenly, as sessions that began at different times do.
func (s *simulation) renew(ctx context.Context, taken []*lease.Lease) error {
	ctx, cancel := context.WithTimeout(ctx, s.lasts)
	defer cancel()
	var renewing sync.WaitGroup
	for i, l := range taken {
		renewing.Go(func() {
			if wait(ctx, s.interval*time.Duration(i)/time.Duration(len(taken))) != nil {
				return
			}
			for {
				switch err := l.Renew(ctx, nil); {
				case err == nil:
					s.renewed.Add(1)
				case ctx.Err() == nil:
					s.failed.Add(1)
				}
				if wait(ctx, s.interval) != nil {
					return
				}
			}
		})
	}
	renewing.Wait()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil
	}
	return ctx.Err()
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// costs are what something cost per second, from the API server's own metrics.
type costs struct{ cpu, requests, reads, writes float64 }

// counters returns, for each figure, the lines of the API server's metrics whose values it is the sum of.
func (c *costs) counters() map[*float64]*regexp.Regexp {
	of := func(metric string) *regexp.Regexp { return regexp.MustCompile(`(?m)^` + metric + ` (\S+)$`) }
	const etcd = "etcd_request_duration_seconds_count"
	return map[*float64]*regexp.Regexp{
		&c.cpu:      of(`process_cpu_seconds_total`),
		&c.requests: of(`apiserver_request_total\{.*resource="jobs".*`),
		&c.reads:    of(etcd + `\{.*operation="get",resource="jobs".*`),
		&c.writes:   of(etcd + `\{.*operation="(?:create|update|delete)",resource="jobs".*`),
	}
}

func (s *simulation) costs(ctx context.Context, do func(context.Context) error) (perSecond costs, err error) {
	before, err := s.count(ctx)
	if err != nil {
		return perSecond, err
	}
	began := time.Now()
	if err := do(ctx); err != nil {
		return perSecond, err
	}
	seconds := time.Since(began).Seconds()
	after, err := s.count(ctx)
	return costs{(after.cpu - before.cpu) / seconds, (after.requests - before.requests) / seconds,
		(after.reads - before.reads) / seconds, (after.writes - before.writes) / seconds}, err
}

func (s *simulation) count(ctx context.Context) (now costs, err error) {
	text, err := s.client.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return now, err
	}
	for sum, lines := range now.counters() {
		for _, line := range lines.FindAllSubmatch(text, -1) {
			n, err := strconv.ParseFloat(string(line[1]), 64)
			if err != nil {
				return now, err
			}
			*sum += n
		}
	}
	return now, nil
}

func (s *simulation) print(quiet, busy costs) {
	fmt.Fprintf(os.Stdout, `%d leases of %v for %v: %d renewals, %d failed
per second              without    with
requests for Jobs    %10.2f %7.2f
reads of Jobs, etcd  %10.2f %7.2f
writes of Jobs, etcd %10.2f %7.2f
API server's CPU     %10.3f %7.3f
`, s.leases, s.length, s.lasts, s.renewed.Load(), s.failed.Load(), quiet.requests, busy.requests, quiet.reads,
		busy.reads, quiet.writes, busy.writes, quiet.cpu, busy.cpu)
}
