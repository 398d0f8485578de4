//go:build unix

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/ephemeral"
)

// leaks are trials that leak on purpose: what they leave has to be seen when its time is over. Otherwise the
// other trials would prove nothing.
func (s *suite) leaks(t *testing.T) {
	killed := &fault{name: "leak", strike: signal(syscall.SIGKILL), ruins: true,
		status: func(phase, mode) int { return 128 + int(syscall.SIGKILL) }}
	// Somebody renews the lease of a client that is gone.
	s.leak(t, killed, mode{tty: true}, "pod/", func(x *trial) {
		kubectl(x.t, "patch", "-n", x.namespace, x.session.lease(), "--type=merge", "-p",
			`{"spec":{"activeDeadlineSeconds":86400}}`)
	})
	// A debug container has nothing that ends it.
	s.leak(t, killed, mode{debug: true, tty: true}, "container leaks:", func(x *trial) {
		client := ephemeral.New(x.observer.client, x.namespace)
		pod, err := client.Get(x.t.Context(), x.session.pod)
		if err != nil {
			x.t.Fatal(err)
		}
		x.session.container = "leaks"
		container := plainContainer(x.session.container)
		container.Env = []corev1.EnvVar{{Name: caseVariable, Value: x.id}}
		if _, err := client.Add(x.t.Context(), pod.Pod, container); err != nil {
			x.t.Fatal(err)
		}
	})
}

// leak has a session leak in a way, and asserts that what is left of it is seen.
func (s *suite) leak(t *testing.T, f *fault, m mode, object string, sabotage func(*trial)) {
	t.Run(fmt.Sprintf("%s/%s", f.name, m), func(t *testing.T) {
		t.Parallel()
		x := s.trial(t, f, attached, m)
		x.connect()
		x.start()
		t.Cleanup(func() {
			kubectl(t, "delete", "pod", x.session.pod, "-n", x.namespace, "--ignore-not-found",
				"--wait=false")
			kubectl(t, "delete", x.session.lease(), "-n", x.namespace, "--ignore-not-found", "--wait=false")
		})
		x.fault.strike(x)
		x.struck = time.Now()
		sabotage(x)
		left := strings.Join(x.remains(), "\n")
		s, _ := x.observer.newest()
		if late := time.Since(x.deadline(s)); late > 5*interval+x.machine.needs(x.struck) {
			t.Errorf("the leak was seen %s too late", late)
		}
		if !strings.Contains(left, object) {
			t.Errorf("the observer does not see the leak of %s; it sees:\n%s", object, left)
		}
	})
}
