//go:build unix

package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/faultproxy"
)

// endsWith asserts that the session says why it ended, with the status of eshell's own failures.
func (term *terminal) endsWith(session started, says string) {
	term.t.Helper()
	term.expect(`\nerror: ` + says)
	term.ended(125, session)
}

// where names a session as its messages do.
func (s started) where() string {
	if s.container == "" {
		return "pod/" + s.pod
	}
	return "container " + s.container + " in pod/" + s.pod
}

// TestRenewed: a session outlives its lease's length by far, and the lease says what it is.
func TestRenewed(t *testing.T) {
	t.Parallel()
	for _, place := range places("lease") {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			term := open(t, append(place.args, "--lease=20s", "--reason=incident 12", "--", "bash", "-c",
				"sleep 45; exit 7")...)
			session := term.session()
			mode, _, _ := strings.Cut(place.name, " ")
			session.told(t)
			says := session.taken(t).Annotations
			for annotation, want := range map[string]string{"mode": mode, "reason": "incident 12",
				"user": user(t), "container": "app" + session.container, "ttl-seconds": "28800"} {
				if got := says[annotated+annotation]; got != strings.Replace(want, "appeshell", "eshell", 1) {
					t.Errorf("annotation %s is %q, want %q", annotation, got, want)
				}
			}
			if got := term.statusWithin(patience + 45*time.Second); got != 7 {
				screen, _ := term.shown()
				t.Errorf("exit status %d, want 7; the terminal showed:\n%s", got, screen)
			}
			session.gone(t)
		})
	}
}

// user is who the server takes the tests for.
func user(t *testing.T) string {
	t.Helper()
	reviews := client(t).AuthenticationV1().SelfSubjectReviews()
	answer, err := reviews.Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status.UserInfo.Username
}

// TestLeaseDeleted: who deletes a lease ends its session.
func TestLeaseDeleted(t *testing.T) {
	t.Parallel()
	for _, place := range places("lease") {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			term := open(t, append(place.args, "--lease=20s")...)
			session := term.session()
			term.expect(prompt)
			kubectl(t, "delete", session.lease())
			term.endsWith(session,
				session.where()+` ended with its lease: `+session.lease()+
					`: it was deleted by somebody else, or not renewed in time\r\n`)
		})
	}
}

// TestTTL: a session ends when its time is over, and its user has been warned in a line
// of its own.
func TestTTL(t *testing.T) {
	t.Parallel()
	for _, place := range places("lease") {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			term := open(t, append(place.args, "--ttl=40s")...)
			session := term.session()
			term.expect(prompt)
			term.endsWith(session, session.where()+` has reached the end of its time \(--ttl\)\r\n`)
		})
	}
	for ttl, left := range map[string]string{"330s": `(5m|4m5\ds)`,
		"90s": `(60|5\d)s`} { // as long as is left after a round trip
		t.Run("warned, "+ttl, func(t *testing.T) {
			t.Parallel()
			term := open(t, "eshell", "deploy/bash", "--ttl", ttl)
			session := term.session()
			term.expect(prompt)
			term.expect(`\r\n\x1b\[Kwarning: ` + session.where() + ` ends in ` + left +
				` \(--ttl\); for more: kubectl eshell extend \S+ 1h -n \S+\r\n`)
			term.typed("exit\n")
			term.ended(0, session)
		})
	}
	t.Run("without a terminal", func(t *testing.T) {
		t.Parallel()
		term := open(t, "eshell", "deploy/bash", "--tty=false", "--ttl=30s", "--", "sleep", "600")
		session := term.session()
		term.endsWith(session, session.where()+` has reached the end of its time \(--ttl\)\r\n`)
	})
	t.Run("without a lease", func(t *testing.T) {
		t.Parallel()
		term := open(t, "eshell", "deploy/bash", "--ttl=30s", "--as=clone-only")
		session := term.session()
		term.expect(`\n  no lease: after kill -9 the ended pod stays until it is deleted: jobs.batch is forbidden: User "clone-only" cannot create`)
		term.endsWith(session, session.where()+` has reached the end of its time \(--ttl\)\r\n`)
	})
}

// TestFixedLease: who may create Jobs but not patch them has a lease as long as the session may live.
func TestFixedLease(t *testing.T) {
	t.Parallel()
	term := open(t, "eshell", "deploy/bash", "--ttl=1h", "--as=no-patch")
	session := term.session()
	term.expect(prompt)
	if got := deadline(session.taken(t)); got != 3601 {
		t.Errorf("the lease's deadline is %d, want 3601", got)
	}
	term.typed("exit\n")
	term.ended(0, session)
	if screen, _ := term.shown(); strings.Contains(screen, "lease") {
		t.Errorf("the terminal showed:\n%s", screen)
	}
}

// TestNoRoomForALease: a quota on Jobs costs the lease, not the session.
func TestNoRoomForALease(t *testing.T) {
	t.Parallel()
	here := newRealm(t, "no-jobs", application)
	kubectl(t, "create", "quota", "none", "-n", here.namespace, "--hard=count/jobs.batch=0")
	here.counted(t, "none")
	end := here.run(t, "kubectl-eshell deploy/app -- true")
	if end.status != 0 || strings.Count(end.stderr, "lease") != 1 || !strings.Contains(end.stderr,
		"exceeded quota: none") {
		t.Errorf("exit status %d, stderr is\n%s", end.status, end.stderr)
	}
}

// TestWait: with --wait the pod is gone when the session has ended.
func TestWait(t *testing.T) {
	t.Parallel()
	term := open(t, "eshell", "deploy/bash", "--wait", "--", "true")
	session := term.session()
	if got := term.status(); got != 0 {
		t.Errorf("exit status %d", got)
	}
	if left := kubectl(t, "get", "pod", session.pod, "--ignore-not-found", "-o", "name"); left != "" {
		t.Errorf("%s is left", left)
	}
}

// TestLastLine: over a slow network the clean-up says what it waits for. It leaves alone what the command has
// printed last, without the end of a line.
func TestLastLine(t *testing.T) {
	t.Parallel()
	server, proxy := newProxy(t)
	proxy.Delay(150 * time.Millisecond) // an answer takes twice that
	term := open(t, "eshell", "--server", "https://"+proxy.Addr(), "--tls-server-name", server.Hostname(),
		"deploy/bash", "-i=false", "--", "printf", "hel%s", "lo") // by a terminal, eshell itself ends the line
	session := term.session()
	term.expect(`hello {80}\r\r\x1b\[K. waiting 0s: the server to delete pod/` + session.pod)
	term.ended(0, session)
}

// throughProxy starts kubectl with args on a terminal, behind a network that can be made to fail.
func throughProxy(t *testing.T, args ...string) (*terminal, *faultproxy.Proxy) {
	t.Helper()
	server, proxy := newProxy(t)
	args = append([]string{"eshell", "--server", "https://" + proxy.Addr(), "--tls-server-name",
		server.Hostname()}, args...)
	return open(t, args...), proxy
}

// newProxy is a network of the test's own, and the API server behind it.
func newProxy(t *testing.T) (server *url.URL, proxy *faultproxy.Proxy) {
	t.Helper()
	config, err := env.config()
	if err != nil {
		t.Fatal(err)
	}
	server, err = url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err = faultproxy.New(server.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	return server, proxy
}

// TestNetworkStalls: for less than the lease a session survives it, and says so.
func TestNetworkStalls(t *testing.T) {
	t.Parallel()
	for _, place := range places("lease") {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			term, proxy := throughProxy(t, append(place.args[1:], "--lease=40s")...)
			session := term.session()
			term.expect(prompt)
			proxy.Stall()
			term.expect(`\r\n\x1b\[Kwarning: the lease could not be renewed; ` + session.where() +
				` ends in \d+s unless it can: the API server does not answer\r\n`)
			proxy.Resume()
			term.expect(`\r\n\x1b\[Kthe lease is renewed again\r\n`)
			term.typed("echo still-$((40+2)); exit 7\n")
			term.expect(`still-42\r\n`)
			term.ended(7, session)
		})
	}
}

// TestReattach: a shell that was attached to is the same one after its connection was lost, and shows its
// prompt again by itself.
func TestReattach(t *testing.T) {
	t.Parallel()
	for _, place := range places("lease") {
		if !strings.Contains(place.name, "attach") {
			continue
		}
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			term, proxy := throughProxy(t, append(place.args[1:], "--lease=20s")...)
			session := term.session()
			term.expect(prompt)
			term.typed("before=still-here\n")
			for n := range 2 {
				term.typed(fmt.Sprintf("echo drop $((%d+40))\n", n))
				dropped := fmt.Sprintf(`(?s)drop %d\r\n.*`, n+40)
				term.expect(dropped + prompt)
				proxy.Drop()
				term.expect(dropped + `\r\n\x1b\[Kreattached to ` + session.where() +
					`: the connection was lost for \d+s; ` +
					`what was shown meanwhile: kubectl logs \S+ -c \S+ -n \S+\r\n.*` + prompt)
			}
			term.typed("while [ \"$(stty size)\" != '24 80' ]; do :; done; echo back to $(stty size); echo $before; exit 7\n")
			term.expect(`back to 24 80\r\nstill-here\r\n`)
			term.ended(7, session)
		})
	}
}
