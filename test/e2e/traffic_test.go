//go:build unix

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// live is an application in production: each of its pods answers with its own name.
const live = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop, tier: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: app
        image: localhost/eshell/busybox:1
        command: [sh, -c, "mkdir -p /tmp/www; hostname > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"]
        ports: [{containerPort: 8080, name: http}]
        readinessProbe: {httpGet: {port: http, path: /}, periodSeconds: 1, timeoutSeconds: 10}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: budget}
spec: {minAvailable: 2, selector: {matchLabels: {app: shop}}}
`

// byHand is what no clone may be: a pod that the application's selectors take for one of its own.
const byHand = `
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {LABELS}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: app
    image: localhost/eshell/busybox:1
    command: [sh, -c, "mkdir -p /tmp/www; hostname > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"]
    ports: [{containerPort: 8080, name: http}]
    readinessProbe: {httpGet: {port: http, path: /}, periodSeconds: 1, timeoutSeconds: 10}
`

// serving makes a session dangerous: it answers on the application's port until its stdin ends. It
// says its name once it does.
const serving = `mkdir -p /tmp/www && hostname > /tmp/www/index.html && httpd -p 8080 -h /tmp/www &&
until wget -q -O - http://127.0.0.1:8080/; do :; done; cat`

const (
	clones     = 20
	sideBySide = 5
	// meanwhile is how many requests are answered while a dangerous clone serves: each of the
	// application's pods is asked twenty times.
	meanwhile = 60
)

// TestTraffic: clones come and go beside a live application, which feels nothing of it.
func TestTraffic(t *testing.T) {
	t.Parallel()
	l := goLive(t, "traffic")
	l.cloneOften(t)
	if felt := l.witness.all(); len(felt) > 0 {
		t.Errorf("the application felt:\n%s", strings.Join(felt, "\n"))
	}
	l.account(t)
}

// TestTrafficKeepLabels: a clone with all labels is an endpoint that is never ready.
func TestTrafficKeepLabels(t *testing.T) {
	t.Parallel()
	l := goLive(t, "traffic-labels")
	for _, stderr := range l.cloneOften(t, "--keep-labels") {
		if !regexp.MustCompile(`(?m)^warning: .*poddisruptionbudget/budget`).MatchString(stderr) {
			t.Errorf("no warning names the budget that counts the clone:\n%s", stderr)
		}
	}
	felt := l.witness.all()
	asEndpoints := 0
	for _, line := range felt {
		switch {
		case strings.HasSuffix(line, "as not ready"):
			asEndpoints++
		case strings.HasPrefix(line, "poddisruptionbudget/budget"): // which is what was warned of
		default:
			t.Errorf("the application felt: %s", line)
		}
	}
	if asEndpoints < clones/2 {
		t.Errorf("%d clones were endpoints, want those that served at least:\n%s", asEndpoints,
			strings.Join(felt, "\n"))
	}
	l.account(t)
}

// TestTrafficByHand: the watchers of the tests above see what a careless copy does.
func TestTrafficByHand(t *testing.T) {
	t.Parallel()
	l := goLive(t, "traffic-by-hand")
	l.apply(t, strings.NewReplacer("NAME", "shop-eshell-hand", "LABELS", "app: shop").Replace(byHand))
	l.customer.until(t, "an answer of shop-eshell-hand",
		func() bool { return l.customer.answers["shop-eshell-hand"] > 0 })
	l.witness.expect(t, `^endpointslice/shop-\w+ lists shop-eshell-hand as ready$`)
	l.witness.expect(t, `^poddisruptionbudget/budget: 4 expected, 4 healthy, 2 may go; was 3, 3, 1$`)

	hash := kubectl(t, "get", "replicasets", "-n", l.namespace, "-o",
		"jsonpath={.items[0].metadata.labels.pod-template-hash}")
	l.apply(t, strings.NewReplacer("NAME", "shop-eshell-twin", "LABELS",
		"app: shop, pod-template-hash: "+hash).Replace(byHand))
	l.witness.expect(t, `^pod/shop-eshell-twin is owned by ReplicaSet/shop-`)
	l.witness.expect(t, `^replicaset/shop-\w+ has 4 replicas$`)
}

// production is a live application with a customer and a witness.
type production struct {
	namespaceFixture
	customer *customer
	witness  *witness
}

func goLive(t *testing.T, name string) production {
	t.Helper()
	r := newRealm(t, name, live)
	kubectl(t, "wait", "-n", r.namespace, "--for=condition=Available", "deployment/shop", "--timeout=120s")
	kubectl(t, "wait", "-n", r.namespace, "--for=jsonpath={.status.disruptionsAllowed}=1",
		"poddisruptionbudget/budget", "--timeout=60s")
	config, err := clientcmd.BuildConfigFromFlags("", env.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 100, 100 // the customer's requests a second
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	p := production{r, newCustomer(client, r.namespace), &witness{board: newBoard()}}
	p.watch(t, client)
	p.customer.until(t, "all endpoints", func() bool { return len(p.customer.ready()) == 3 })
	var bought sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	bought.Go(func() { p.customer.buy(ctx) })
	t.Cleanup(func() { stop(); bought.Wait() })
	return p
}

// watch shows both what happens, from its beginning to the test's end.
func (p production) watch(t *testing.T, client kubernetes.Interface) {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(p.namespace))
	see := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { p.witness.see(object); p.customer.see(object) },
		UpdateFunc: func(_, object any) { p.witness.see(object); p.customer.see(object) },
	}
	for _, informer := range []cache.SharedIndexInformer{
		factory.Discovery().V1().EndpointSlices().Informer(),
		factory.Policy().V1().PodDisruptionBudgets().Informer(),
		factory.Apps().V1().Deployments().Informer(), factory.Apps().V1().ReplicaSets().Informer(),
		factory.Core().V1().Pods().Informer(),
	} {
		if _, err := informer.AddEventHandler(see); err != nil {
			t.Fatal(err)
		}
	}
	factory.Start(t.Context().Done())
	t.Cleanup(factory.Shutdown)
	factory.WaitForCacheSync(t.Context().Done())
}

// cloneOften starts and ends the clones, some at a time, and returns what each said on stderr. Every
// other one serves the application's port for a while.
func (p production) cloneOften(t *testing.T, flags ...string) []string {
	t.Helper()
	var all sync.WaitGroup
	said, places := make([]string, clones), make(chan struct{}, sideBySide)
	for i := range clones {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			script := "true"
			if i%2 == 0 {
				script = serving
			}
			said[i] = p.clone(t, script, flags)
		})
	}
	all.Wait()
	for _, stderr := range said {
		for _, clone := range headlines(stderr) {
			p.without(t, clone)
		}
	}
	return said
}

// clone runs script in a clone and returns its stderr.
func (p production) clone(t *testing.T, script string, flags []string) string {
	args := append([]string{"eshell", "-n", p.namespace, "deploy/shop"}, flags...)
	cmd := exec.Command(filepath.Join(env.bin, "kubectl"), append(args, "-i", "--", "sh", "-c", script)...)
	var stderr bytes.Buffer
	cmd.Env, cmd.Stderr = env.env(), &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Error(err)
		return ""
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Error(err)
		return ""
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return ""
	}
	if script == serving {
		p.tempt(t, bufio.NewScanner(stdout))
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("kubectl %v: %v\n%s", args, err, &stderr)
	}
	return stderr.String()
}

// tempt lets customers buy while a clone serves, which would answer them as it answers us.
func (p production) tempt(t *testing.T, stdout *bufio.Scanner) {
	if !stdout.Scan() {
		t.Error("a clone never served")
		return
	}
	clone := stdout.Text()
	if answer, err := p.customer.ask(t.Context(), clone); err != nil || answer != clone {
		t.Errorf("asked by its name, clone %s answers %q, %v", clone, answer, err)
	}
	p.customer.more(t, meanwhile)
}

// account asserts that the customer has been served throughout, by no clone, and that none is left.
func (p production) account(t *testing.T) {
	t.Helper()
	c := p.customer
	c.mu.Lock()
	defer c.mu.Unlock()
	served := 0
	for pod, answers := range c.answers {
		served += answers
		if isClone(pod) {
			t.Errorf("clone %s answered %d requests", pod, answers)
		}
	}
	t.Logf("%d clones came and went; %d requests were answered, %d failed: %v", clones, served, len(c.failed),
		c.answers)
	if served < clones/2*meanwhile/sideBySide || len(c.failed) > 0 {
		t.Errorf("%d requests were answered; failed: %q", served, c.failed)
	}
	if left := strings.Fields(kubectl(t, "get", "pods", "-n", p.namespace, "-o",
		"jsonpath={.items[*].metadata.name}")); len(left) != 3 || slices.ContainsFunc(left, isClone) {
		t.Errorf("the pods are %v, want the three of the application", left)
	}
}

func isClone(pod string) bool { return strings.Contains(pod, "-eshell-") }

// board is what others write down and a test waits for.
type board struct {
	mu   sync.Mutex
	news chan struct{} // closed and renewed at each note
}

func newBoard() *board { return &board{news: make(chan struct{})} }

func (b *board) note(write func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	write()
	close(b.news)
	b.news = make(chan struct{})
}

// until waits until done, which reads what is noted, is true.
func (b *board) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		b.mu.Lock()
		is, news := done(), b.news
		b.mu.Unlock()
		if is {
			return
		}
		select {
		case <-news:
		case <-deadline:
			t.Errorf("never seen: %s", what)
			return
		}
	}
}

// customer uses the Service as a node does: it follows the EndpointSlices, sends requests to the
// endpoints that are ready in turn, and counts who answers. The way to a pod is through the API
// server, whose proxy reaches the pods of any cluster.
type customer struct {
	*board
	client    kubernetes.Interface
	namespace string
	endpoints map[string][]string // the pods that are ready, by slice
	answers   map[string]int
	failed    []string
}

func newCustomer(client kubernetes.Interface, namespace string) *customer {
	return &customer{board: newBoard(), client: client, namespace: namespace,
		endpoints: map[string][]string{}, answers: map[string]int{}}
}

func (c *customer) see(object any) {
	slice, is := object.(*discoveryv1.EndpointSlice)
	if !is {
		return
	}
	var ready []string
	for _, endpoint := range slice.Endpoints {
		if isReady(endpoint) {
			ready = append(ready, endpoint.TargetRef.Name)
		}
	}
	c.note(func() { c.endpoints[slice.Name] = ready })
}

// isReady reads a missing condition as the API says: unknown is to be taken for ready.
func isReady(endpoint discoveryv1.Endpoint) bool {
	return endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
}

func (c *customer) ready() (pods []string) {
	for _, ready := range c.endpoints {
		pods = append(pods, ready...)
	}
	slices.Sort(pods)
	return pods
}

// buy sends one request after the other until ctx ends.
func (c *customer) buy(ctx context.Context) {
	for turn := 0; ctx.Err() == nil; turn++ {
		c.mu.Lock()
		pods := c.ready()
		c.mu.Unlock()
		if len(pods) == 0 {
			c.note(func() { c.failed = append(c.failed, "no endpoint is ready") })
			return
		}
		answer, err := c.ask(ctx, pods[turn%len(pods)])
		if ctx.Err() != nil {
			return
		}
		c.note(func() {
			if err != nil {
				c.failed = append(c.failed, err.Error())
				return
			}
			c.answers[answer]++
		})
	}
}

func (c *customer) ask(ctx context.Context, pod string) (string, error) {
	answer, err := c.client.CoreV1().Pods(c.namespace).ProxyGet("http", pod, "8080", "/", nil).DoRaw(ctx)
	return strings.TrimSpace(string(answer)), err
}

// more waits until n more requests have been answered.
func (c *customer) more(t *testing.T, n int) {
	served := func() (sum int) {
		for _, answers := range c.answers {
			sum += answers
		}
		return sum
	}
	c.mu.Lock()
	want := served() + n
	c.mu.Unlock()
	c.until(t, fmt.Sprintf("%d answers", want), func() bool { return served() >= want })
}

// witness writes down what production feels of a clone. At first it sees production as it was.
type witness struct {
	*board
	felt   []string
	budget *policyv1.PodDisruptionBudgetStatus
}

func (w *witness) see(object any) {
	switch object := object.(type) {
	case *discoveryv1.EndpointSlice:
		w.seeSlice(object)
	case *policyv1.PodDisruptionBudget:
		w.seeBudget(object)
	case *corev1.Pod:
		if owner := metav1.GetControllerOf(object); owner != nil && isClone(object.Name) {
			w.feel("pod/%s is owned by %s/%s", object.Name, owner.Kind, owner.Name)
		}
	case *appsv1.Deployment:
		w.seeReplicas("deployment/"+object.Name, object.Status.Replicas)
	case *appsv1.ReplicaSet:
		w.seeReplicas("replicaset/"+object.Name, object.Status.Replicas)
	}
}

func (w *witness) seeSlice(slice *discoveryv1.EndpointSlice) {
	for _, endpoint := range slice.Endpoints {
		if !isClone(endpoint.TargetRef.Name) {
			continue
		}
		as := "not ready"
		if isReady(endpoint) {
			as = "ready"
		}
		w.feel("endpointslice/%s lists %s as %s", slice.Name, endpoint.TargetRef.Name, as)
	}
}

func (w *witness) seeBudget(budget *policyv1.PodDisruptionBudget) {
	is := budget.Status
	if w.budget == nil {
		w.budget = &is
	}
	was := w.budget
	if is.ExpectedPods != was.ExpectedPods || is.CurrentHealthy != was.CurrentHealthy ||
		is.DisruptionsAllowed != was.DisruptionsAllowed {
		w.feel("poddisruptionbudget/%s: %d expected, %d healthy, %d may go; was %d, %d, %d", budget.Name,
			is.ExpectedPods, is.CurrentHealthy, is.DisruptionsAllowed, was.ExpectedPods, was.CurrentHealthy,
			was.DisruptionsAllowed)
	}
}

func (w *witness) seeReplicas(owner string, replicas int32) {
	if replicas != 3 {
		w.feel("%s has %d replicas", owner, replicas)
	}
}

// feel writes a line, once.
func (w *witness) feel(format string, args ...any) {
	w.note(func() {
		if line := fmt.Sprintf(format, args...); !slices.Contains(w.felt, line) {
			w.felt = append(w.felt, line)
		}
	})
}

func (w *witness) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.felt)
}

func (w *witness) expect(t *testing.T, pattern string) {
	t.Helper()
	w.until(t, pattern, func() bool {
		return slices.ContainsFunc(w.felt,
			regexp.MustCompile(pattern).MatchString)
	})
	if t.Failed() {
		t.Logf("felt:\n%s", strings.Join(w.all(), "\n"))
	}
}
