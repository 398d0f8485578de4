package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
)

// way is one way that a session goes, and what its user sees of it.
type way struct {
	name    string
	command func(context.Context, remotecommand.StreamOptions) int // nil: it says hello and ends with 7
	events  func(*scene)                                           // what happens on the way
	want    outcome
	but     map[string]outcome // for one mode and via: "debug attach"
}

// outcome is how a session ends. WHERE stands for what it runs in, and IT for the container.
type outcome struct {
	status int
	err    string
	output string
	says   string // one line each
}

// combination is a mode and a way to run the command in it.
type combination struct {
	mode plan.Mode
	via  agent.Via
}

func (c combination) String() string { return string(c.mode) + " " + string(c.via) }

func combinations() []combination {
	return []combination{
		{plan.ModeClone, agent.ViaExec}, {plan.ModeClone, agent.ViaAttach},
		{plan.ModeDebug, agent.ViaExec}, {plan.ModeDebug, agent.ViaAttach},
	}
}

const (
	signalled     = "ended by a signal"
	deleting      = "WHERE is being deleted"
	hasEnded      = "WHERE has ended"
	statusAwaited = "waiting for the exit status of WHERE\n"
)

func ways() []way {
	interrupt := func(after time.Duration) func(*scene) {
		return func(s *scene) { time.AfterFunc(after, func() { s.interrupt(errors.New(signalled)) }) }
	}
	return []way{
		{name: "normal end", want: outcome{status: 7, output: "hello\n", says: deleting},
			but: debug(outcome{status: 7, output: "hello\n", says: hasEnded})},
		{name: "refused create", events: func(s *scene) { s.node.refuse = forbidden() },
			want: outcome{err: `create pod/api-eshell-x7k2p in namespace shop: pods "x" is forbidden: no`},
			but:  debug(outcome{err: `add a debug container to pod/api-7d4b9: pods "x" is forbidden: no`})},
		{name: "unanswered create", events: func(s *scene) { s.node.unanswered = true },
			want: outcome{err: "create pod/api-eshell-x7k2p in namespace shop: " + errReset.Error(),
				says: deleting},
			but: debug(outcome{err: "add a debug container to pod/api-7d4b9: " + errReset.Error(),
				says: hasEnded})},
		{name: "start that fails",
			events: func(s *scene) { s.node.starts = waiting("CreateContainerError", "no such device") },
			want: outcome{err: "WHERE did not start: container IT: CreateContainerError: no such device",
				says: deleting},
			but: debug(outcome{err: "WHERE did not start: container IT: CreateContainerError: no such device",
				says: "WHERE never ran; the pod keeps its entry"})},
		{name: "start that takes too long",
			events: func(s *scene) { s.node.starts = waiting("ContainerCreating", "") },
			want:   outcome{err: "WHERE did not start within 1m0s: it still waits for image IMAGE to be pulled and started", says: deleting},
			but: debug(outcome{err: "WHERE did not start within 1m0s: it still waits for image IMAGE to be pulled and started",
				says: "warning: WHERE could not be stopped: if it runs or still starts, it ends by itself within 2m20s"})},
		{name: "interrupted while waiting", events: interrupt(startTime / 2),
			want: outcome{err: signalled, says: deleting},
			but:  debug(outcome{err: signalled, says: hasEnded})},
		{name: "interrupted while attached", command: untilKilled, events: interrupt(time.Minute),
			want: outcome{err: signalled, output: "hello\n", says: deleting},
			but:  debug(outcome{err: signalled, output: "hello\n", says: hasEnded})},
		{name: "lost connection", command: untilKilled,
			events: func(s *scene) { time.AfterFunc(time.Minute, s.node.loseConnections) },
			want: outcome{err: "the connection to WHERE was lost: " + errBroken.Error(), output: "hello\n",
				says: deleting},
			but: map[string]outcome{
				"clone attach": {err: "the connection to WHERE was lost: " + errBroken.Error(),
					output: "hello\n", says: statusAwaited + deleting},
				"debug exec": {err: "the connection to WHERE was lost: " + errBroken.Error(),
					output: "hello\n", says: hasEnded},
				"debug attach": {err: "the connection to WHERE was lost: " + errBroken.Error(),
					output: "hello\n", says: statusAwaited + hasEnded},
			}},
		{name: "lost lease", command: untilKilled,
			events: func(s *scene) { time.AfterFunc(time.Minute, s.loseLease) },
			want:   outcome{err: "WHERE ended with its lease: job/eshell-x7k2p: it was deleted by somebody else, or not renewed in time", output: "hello\n", says: deleting},
			but: debug(outcome{err: "WHERE ended with its lease: job/eshell-x7k2p: it was deleted by somebody else, or not renewed in time",
				output: "hello\n", says: hasEnded})},
		{name: "pod deleted", command: untilKilled,
			events: func(s *scene) { time.AfterFunc(time.Minute, s.deletePod) },
			want: outcome{err: "WHERE ended during the session: it was deleted by somebody else",
				output: "hello\n", says: deleting},
			but: debug(outcome{err: "WHERE ended during the session: it was deleted by somebody else",
				output: "hello\n", says: hasEnded})},
		{name: "TTL", command: untilKilled, events: func(s *scene) { s.extend(10 * time.Minute) },
			want: outcome{err: "WHERE has reached the end of its time (--ttl)", output: "hello\n",
				says: warnings + deleting},
			but: debug(outcome{err: "WHERE has reached the end of its time (--ttl)", output: "hello\n",
				says: warnings + hasEnded})},
	}
}

const warnings = "warning: WHERE ends in 5m (--ttl); for more: kubectl eshell extend NAME 1h -n shop\n" +
	"warning: WHERE ends in 60s (--ttl); for more: kubectl eshell extend NAME 1h -n shop\n"

func debug(o outcome) map[string]outcome {
	return map[string]outcome{"debug exec": o, "debug attach": o}
}

func forbidden() error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New("no"))
}

// untilKilled is a command that runs until it is killed.
func untilKilled(ctx context.Context, streams remotecommand.StreamOptions) int {
	fmt.Fprintln(streams.Stdout, "hello")
	<-ctx.Done()
	return 137
}

func killed(_ context.Context, streams remotecommand.StreamOptions) int {
	fmt.Fprintln(streams.Stdout, "hello")
	return 137
}

func helloThenSeven(_ context.Context, streams remotecommand.StreamOptions) int {
	fmt.Fprintln(streams.Stdout, "hello")
	return 7
}

// TestRun: each way that a session goes, in both modes and by both ways to run a command: its exit status or
// error, its output, what its user is told, and that nothing is left of it.
func TestRun(t *testing.T) {
	for _, w := range ways() {
		for _, c := range combinations() {
			t.Run(w.name+"/"+c.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newScene(t, c, func(o *plan.Options) { o.Command = []string{"report"} })
					s.node.command = w.command
					if w.command == nil {
						s.node.command = helloThenSeven
					}
					if w.events != nil {
						w.events(s)
					}
					status, err := session.Run(s.ctx, s.config, s.plan)
					want, special := w.but[c.String()]
					if !special {
						want = w.want
					}
					s.check(outcome{status: status, err: errorText(err), output: s.stdout.String(),
						says: s.told.String()}, want)
					s.checkNothingLeft()
				})
			})
		}
	}
}

// TestDesign: docs/design.md quotes the function that is a session's life.
func TestDesign(t *testing.T) {
	source, err := os.ReadFile("session.go")
	if err != nil {
		t.Fatal(err)
	}
	design, err := os.ReadFile("../../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(source), "\nfunc Run(")
	body, _, _ := strings.Cut(after, "\n}\n")
	quote := "```go\nfunc Run(" + strings.ReplaceAll(body, "\t", "    ") + "\n}\n```\n"
	if !strings.Contains(string(design), quote) {
		t.Errorf("docs/design.md does not quote\n%s", quote)
	}
}

// TestReattach: by attach on a terminal the command outlives a lost connection, to which the session returns.
func TestReattach(t *testing.T) {
	for _, mode := range []plan.Mode{plan.ModeClone, plan.ModeDebug} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, combination{mode, agent.ViaAttach}, func(o *plan.Options) { o.TTY = true })
				keyboard, keys := io.Pipe() // on which nobody types
				defer keys.Close()
				s.config.Stdin = keyboard
				s.node.command = func(_ context.Context, streams remotecommand.StreamOptions) int {
					fmt.Fprintln(streams.Stdout, "before")
					<-s.node.lost
					<-time.After(10 * time.Second)
					fmt.Fprintln(s.node.reattached(), "after")
					return 7
				}
				time.AfterFunc(time.Minute, s.node.loseConnections)
				status, err := session.Run(s.ctx, s.config, s.plan)
				told := "reattached to WHERE: the connection was lost for 9s; what was shown meanwhile: kubectl logs POD -c IT -n shop\n"
				end := deleting
				if mode == plan.ModeDebug {
					end = hasEnded
				}
				s.check(outcome{status: status, err: errorText(err), output: s.stdout.String(),
					says: s.told.String()},
					outcome{status: 7, output: "before\nafter\n", says: told + end})
				s.checkNothingLeft()
			})
		})
	}
}

// TestDetached: the session is left running, its name is on stdout, and its lease lives without its client.
func TestDetached(t *testing.T) {
	for _, mode := range []plan.Mode{plan.ModeClone, plan.ModeDebug} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, combination{mode, ""}, func(o *plan.Options) { o.Detach = true })
				err := session.Start(s.ctx, s.config, s.plan)
				s.check(outcome{err: errorText(err), output: s.stdout.String(), says: s.told.String()},
					outcome{output: "NAME\n"})
				if unrenewed, most := s.lease.Left(); unrenewed != most || !s.node.isRunning() {
					t.Errorf("it runs: %t, for %s without a renewal, and for %s at most", s.node.isRunning(),
						unrenewed, most)
				}
				if stay := mode == plan.ModeDebug; stay != slices.Contains(s.node.heard, "stay") {
					t.Errorf("it was told %q", s.node.heard)
				}
			})
		})
	}
}

// TestDetachedThatDoesNotStay: a session that was not left running in time leaves nothing.
func TestDetachedThatDoesNotStay(t *testing.T) {
	for _, mode := range []plan.Mode{plan.ModeClone, plan.ModeDebug} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, combination{mode, ""}, func(o *plan.Options) { o.Detach = true })
				time.AfterFunc(startTime/2, func() { s.interrupt(errors.New(signalled)) })
				err, end := session.Start(s.ctx, s.config, s.plan), deleting
				if mode == plan.ModeDebug {
					end = hasEnded
				}
				s.check(outcome{err: errorText(err), output: s.stdout.String(), says: s.told.String()},
					outcome{err: signalled, says: end})
				s.checkNothingLeft()
			})
		})
	}
}

// TestJoin: one more command in a session that somebody else keeps; the session goes on.
func TestJoin(t *testing.T) {
	tests := []struct {
		name    string
		command func(context.Context, remotecommand.StreamOptions) int
		events  func(*scene)
		want    outcome
		kills   bool
		ends    bool // the session, not only what has joined it
		takes   time.Duration
	}{
		{name: "normal end", command: helloThenSeven, want: outcome{status: 7, output: "hello\n"}},
		{name: "interrupted", command: untilKilled, want: outcome{err: signalled, output: "hello\n"},
			kills: true,
			events: func(s *scene) {
				time.AfterFunc(time.Minute,
					func() { s.interrupt(errors.New(signalled)) })
			}},
		{name: "lost connection", command: untilKilled, kills: true,
			events: func(s *scene) { time.AfterFunc(time.Minute, s.node.loseConnections) },
			want: outcome{err: "the connection to WHERE was lost: " + errBroken.Error(),
				output: "hello\n"}},
		{name: "idle", command: untilKilled, kills: true,
			events: func(s *scene) { s.config.Idle = idleTime },
			want: outcome{err: "the command in " + idled, output: "hello\n",
				says: strings.Replace(strings.TrimSuffix(idleWarning, "\n"), "WHERE", "the command in WHERE", 1)}},
		{name: "lost lease", command: untilKilled,
			events: func(s *scene) { time.AfterFunc(time.Minute+time.Second, s.loseLease) },
			want: outcome{err: "WHERE ended during the session: it was deleted by somebody else",
				output: "hello\n"}, ends: true},
		{name: "ended, and shown late", command: untilKilled, ends: true,
			events: func(s *scene) { time.AfterFunc(time.Minute, s.node.terminateUnseen) },
			want: outcome{err: "WHERE ended during the session: Error, exit status 137",
				output: "hello\n"}},
		{name: "killed by itself", command: killed, takes: 2 * time.Second,
			want: outcome{status: 137, output: "hello\n"}},
		{name: "ended before", events: func(s *scene) { s.loseLease(); s.config.Lease = nil }, ends: true,
			command: helloThenSeven,
			want: outcome{err: session.ErrNotBegun.Error() +
				": WHERE ended during the session: it was deleted by somebody else"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, combination{plan.ModeClone, ""}, func(o *plan.Options) { o.Detach = true })
				if err := session.Start(s.ctx, s.config, s.plan); err != nil {
					t.Fatal(err)
				}
				s.forget()
				s.node.command = tt.command
				if tt.events != nil {
					tt.events(s)
				}
				at := plan.Place{Mode: plan.ModeClone, Namespace: s.plan.Namespace, Pod: s.plan.PodName,
					Container: s.plan.Container}
				joined := plan.Join(at,
					plan.Options{Session: sessionID, HeartbeatTimeout: time.Minute,
						Command: []string{"report"}})
				began := time.Now()
				status, err := session.Join(s.ctx, s.config, joined)
				if took := time.Since(began); tt.takes != 0 && took != tt.takes {
					t.Errorf("it took %s, want %s", took, tt.takes)
				}
				s.check(outcome{status: status, err: errorText(err), output: s.stdout.String(),
					says: s.told.String()}, tt.want)
				if s.node.killed != tt.kills {
					t.Errorf("killed: %t, want %t", s.node.killed, tt.kills)
				}
				if s.node.isRunning() == tt.ends {
					t.Errorf("the session runs: %t", s.node.isRunning())
				}
			})
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
