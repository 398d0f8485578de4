package session_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

const (
	idleTime    = 3 * time.Minute
	idleWarning = "warning: WHERE ends in 60s unless a key is typed: nothing was typed or shown for 2m (--idle)\n"
	idled       = "WHERE ended: it was idle for 3m (--idle)"
)

// minutes are some of them.
func minutes(m float64) time.Duration { return time.Duration(m * float64(time.Minute)) }

// at prints at each of some times after its start, in minutes, and runs until it is killed.
func at(times ...float64) func(context.Context, remotecommand.StreamOptions) int {
	return func(ctx context.Context, streams remotecommand.StreamOptions) int {
		for _, m := range times {
			time.AfterFunc(minutes(m), func() { fmt.Fprint(streams.Stdout, ".") })
		}
		<-ctx.Done()
		return 137
	}
}

// TestIdle: a session in which nothing is typed or shown for so long is ended, a minute after a warning. What
// keeps it alive in the cluster is neither typed nor shown.
func TestIdle(t *testing.T) {
	for _, tt := range []struct {
		name          string
		command       func(context.Context, remotecommand.StreamOptions) int
		typed         []float64 // after so many minutes
		after         float64   // how many minutes it lives
		output, warns string
	}{
		{name: "nothing happens", command: untilKilled, after: 3, output: "hello\n", warns: idleWarning},
		{name: "output", command: at(1.5, 3, 4.5), after: 7.5, output: "...", warns: idleWarning},
		{name: "output after the warning", command: at(2.5, 5), after: 8, output: "..", warns: idleWarning +
			idleWarning + idleWarning},
		{name: "keys", command: at(), typed: []float64{1, 3.5}, after: 6.5, warns: idleWarning + idleWarning},
	} {
		for _, c := range combinations() {
			t.Run(tt.name+"/"+c.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newScene(t, c, func(o *plan.Options) { o.Command, o.Stdin = []string{"report"}, true })
					keyboard, keys := io.Pipe()
					defer keys.Close()
					s.config.Stdin, s.config.Idle = keyboard, idleTime
					began := time.Now()
					s.node.command = func(ctx context.Context, streams remotecommand.StreamOptions) int {
						began = time.Now()
						go func() { _, _ = io.Copy(io.Discard, streams.Stdin) }()
						for _, m := range tt.typed {
							time.AfterFunc(minutes(m), func() { _, _ = io.WriteString(keys, "x") })
						}
						return tt.command(ctx, streams)
					}
					status, err := session.Run(s.ctx, s.config, s.plan)
					end := deleting
					if c.mode == plan.ModeDebug {
						end = hasEnded
					}
					s.check(outcome{status: status, err: errorText(err), output: s.stdout.String(),
						says: s.told.String()}, outcome{err: idled, output: tt.output, says: tt.warns + end})
					if lived := time.Since(began).Round(time.Second); lived != minutes(tt.after) {
						t.Errorf("it lived for %s, want %s", lived, minutes(tt.after))
					}
					if next := hint.Of(err); next != "for a longer time: --idle 6m; without an end: --idle 0" {
						t.Errorf("hint %q", next)
					}
					s.checkNothingLeft()
				})
			})
		}
	}
}

// TestNotIdle: without a limit a session may be idle, and one that has ended is not idle.
func TestNotIdle(t *testing.T) {
	for _, idle := range []time.Duration{0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, combination{plan.ModeClone, ""}, func(*plan.Options) {})
			s.config.Idle = idle
			s.node.command = func(context.Context, remotecommand.StreamOptions) int {
				<-time.After(time.Hour / 2)
				return 7
			}
			status, err := session.Run(s.ctx, s.config, s.plan)
			s.check(outcome{status: status, err: errorText(err), says: s.told.String()},
				outcome{status: 7, says: deleting})
		})
	}
}

// TestIdleForALittle: where a minute is more than half of the time, the warning comes at half of it.
func TestIdleForALittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, combination{plan.ModeClone, ""}, func(*plan.Options) {})
		s.config.Idle = 20 * time.Second
		s.node.command = untilKilled
		status, err := session.Run(s.ctx, s.config, s.plan)
		want := outcome{err: "WHERE ended: it was idle for 20s (--idle)", output: "hello\n",
			says: "warning: WHERE ends in 10s unless a key is typed: nothing was typed or shown for 10s (--idle)\n" +
				deleting}
		s.check(outcome{status: status, err: errorText(err), output: s.stdout.String(),
			says: s.told.String()}, want)
	})
}

// held is a proxy that holds a stream back until somebody approves it.
type held struct {
	stream.Client
	until time.Duration
}

func (h held) Exec(ctx context.Context, c stream.Container, words []string,
	streams remotecommand.StreamOptions) error {
	<-time.After(h.until)
	return h.Client.Exec(ctx, c, words, streams)
}

// TestIdleWhenOpen: a session whose stream is not open yet is not idle: nobody can type anything.
func TestIdleWhenOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, combination{plan.ModeClone, ""}, func(*plan.Options) {})
		s.config.Streams = held{s.config.Streams, idleTime + time.Minute}
		s.config.Idle, s.config.StartTimeout = idleTime, time.Hour
		began := time.Now()
		s.node.command = func(ctx context.Context, streams remotecommand.StreamOptions) int {
			began = time.Now()
			return untilKilled(ctx, streams)
		}
		status, err := session.Run(s.ctx, s.config, s.plan)
		s.check(outcome{status: status, err: errorText(err), output: s.stdout.String(),
			says: s.told.String()}, outcome{err: idled, output: "hello\n", says: idleWarning + deleting})
		if lived := time.Since(began).Round(time.Second); lived != idleTime {
			t.Errorf("the command lived for %s", lived)
		}
	})
}
