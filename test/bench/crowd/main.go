// Command crowd fills a namespace with objects, none of which runs anything, to measure what eshell costs in
// a big one:
//
//	go run ./test/bench/crowd -namespace big -pods 10000 -services 1000 -policies 500 -jobs 2000
//	go run ./test/bench/crowd -namespace big -delete
//
// The namespace always gets the Deployment api. It can be filled up later: what is there stays.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// parallel is how many requests are under way at a time.
const parallel = 24

// crowd is what a namespace is filled with.
type crowd struct {
	kubernetes.Interface
	namespace string
}

// kind is a kind of object, and how many of them there are to be.
type kind struct {
	name   string
	count  *int
	create func(context.Context, int) error
}

func main() {
	var c crowd
	flag.StringVar(&c.namespace, "namespace", "big", "the namespace to fill")
	remove := flag.Bool("delete", false, "delete the namespace instead")
	kinds := []kind{
		{"deployments", flag.Int("deployments", 100, "Deployments, one of which is api"), c.deployment},
		{"replicasets", flag.Int("replicasets", 1000, "revisions of the Deployments"), c.replicaSet},
		{"jobs", flag.Int("jobs", 2000, "Jobs, all but every twentieth of which have finished"), c.job},
		{"policies", flag.Int("policies", 500, "NetworkPolicies"), c.policy},
		{"pods", flag.Int("pods", 10000, "pods that are never scheduled"), c.pod},
		{"services", flag.Int("services", 1000, "Services"), c.service},
		{"sessions", flag.Int("sessions", 0, "leases, and clones that are never scheduled"), c.session},
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := c.run(ctx, *remove, kinds); err != nil {
		log.Fatal(err)
	}
}

func (c *crowd) run(ctx context.Context, remove bool, kinds []kind) error {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return err
	}
	config.QPS = -1 // the number of requests at a time is the limit
	if c.Interface, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	namespaces := c.CoreV1().Namespaces()
	if remove {
		return namespaces.Delete(ctx, c.namespace, metav1.DeleteOptions{})
	}
	if err := unlessThere(namespaces.Create(ctx, c.newNamespace(), metav1.CreateOptions{})); err != nil {
		return err
	}
	for _, k := range kinds {
		if err := each(ctx, *k.count, k.create); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		fmt.Println(k.name, *k.count)
	}
	return nil
}

// each creates objects, many at a time, until one fails.
func each(ctx context.Context, count int, create func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var creating sync.WaitGroup
	for range parallel {
		creating.Go(func() {
			for n := int(next.Add(1)) - 1; n < count && ctx.Err() == nil; n = int(next.Add(1)) - 1 {
				if err := create(ctx, n); err != nil {
					cancel(err)
				}
			}
		})
	}
	creating.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return ctx.Err()
}

// unlessThere returns the error of a create, unless the object is there already.
func unlessThere[T any](_ T, err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
