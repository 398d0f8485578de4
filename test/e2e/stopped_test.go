//go:build unix

package e2e

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/embedded"
	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/phaseproxy"
)

// opening is how long a stream of these sessions may take to open. Their start is limited to that too.
const opening = 45 * time.Second

// TestRuntimeStopped: a container runtime that has stopped answers no request for a stream, and the API
// server and the kubelet live. Signals, Ctrl-C and the limit end a session all the same: its deletes are
// sent. It runs by itself, since nothing starts meanwhile.
func TestRuntimeStopped(t *testing.T) {
	if !env.embedded {
		t.Skip("the container runtime of an existing cluster is not ours to stop")
	}
	s := &suite{namespaceFixture: namespaceFixture{env.namespace}, world: env,
		observer: observe(t, env.namespace)}
	var trials []*trial
	var watches []*phaseproxy.Proxy
	clone, debug := mode{tty: true}, mode{debug: true, tty: true}
	for _, struck := range []struct {
		fault
		modes []mode
	}{
		{sent("SIGTERM", syscall.SIGTERM), []mode{clone, debug, {attach: true}}},
		{fault{name: "Ctrl-C", strike: types("\x03"), status: ends(128 + int(syscall.SIGINT))},
			[]mode{clone, {attach: true, tty: true}}},
		{fault{name: "closed terminal", strike: func(x *trial) { x.term.hangUp() },
			status: ends(128 + int(syscall.SIGHUP))}, []mode{clone}},
		{fault{name: "nothing", strike: func(*trial) {}, status: ends(failedHere)}, []mode{clone, debug}},
	} {
		for _, m := range struck.modes {
			x := &trial{suite: s, t: t, world: env, fault: &struck.fault, phase: attaching, mode: m,
				id: fmt.Sprintf("stopped-%d", len(trials))}
			x.connect()
			watches = append(watches, x.hold(phaseproxy.Watching))
			words := []string{"eshell", "deploy/bash"}
			if m.debug { // a shell would join the container of the one before
				words = []string{"eshell", "pod/target", "--mode=debug", "--new"}
			}
			x.term = x.world.open(t, nil, append(words, "--via="+pick(m.attach, "attach", "exec"),
				fmt.Sprintf("--tty=%t", m.tty), "--lease="+lease.String(), "--start-timeout="+opening.String())...)
			trials = append(trials, x)
		}
	}
	// A stream has only so long to open: no client asks for one before all containers run.
	for _, x := range trials {
		x.session = x.term.session()
		x.starts()
	}
	for i, x := range trials {
		watches[i].Release()
		x.held()
	}
	runtime := embedded.Default().Component("containerd")
	t.Cleanup(func() { // the others need it
		if err := runtime.Continue(); err != nil {
			t.Error(err)
		}
		kubectl(t, "wait", "node", "--all", "--for=condition=Ready", inTime)
		kubectl(t, "wait", "-n", env.namespace, "--for=condition=Available", "deployment/api", inTime)
	})
	if err := runtime.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, x := range trials {
		x.phases.Release()
		x.fault.strike(x)
	}
	for _, x := range trials {
		want, got := x.fault.status(x.phase, x.mode), x.term.statusWithin(opening+2*cleanUp+patience)
		if got != want {
			screen, _ := x.term.shown()
			t.Errorf("%s, %s: exit status %d, want %d; the terminal showed:\n%s", x.fault.name, x.mode, got,
				want, screen)
		}
		x.term.restored()
		if !x.mode.debug {
			x.isBeingDeleted()
		}
	}
	if err := runtime.Continue(); err != nil {
		t.Fatal(err)
	}
	for _, x := range trials {
		if err := x.session.leaves(t.Context(), env.namespace, expiry+patience); err != nil {
			t.Errorf("%s, %s: %v", x.fault.name, x.mode, err)
		}
	}
}

// starts waits until the session's container runs.
func (x *trial) starts() {
	x.t.Helper()
	if !x.observer.until(patience, func(s snapshot) bool { return !s.startedAt(x.session).IsZero() }) {
		x.t.Fatalf("%s, %s: the container has not started", x.fault.name, x.mode)
	}
}

// isBeingDeleted asserts that the clone's delete has been sent: it cannot go while the runtime is stopped.
func (x *trial) isBeingDeleted() {
	x.t.Helper()
	pod, err := client(x.t).CoreV1().Pods(env.namespace).Get(context.Background(), x.session.pod,
		metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		x.t.Error(err)
	case pod.DeletionTimestamp == nil:
		x.t.Errorf("%s: pod/%s is not being deleted", x.fault.name, pod.Name)
	}
}
