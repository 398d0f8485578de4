//go:build unix

package e2e

import (
	"context"
	"sync"
	"testing"
	"time"
)

// outage is a fault of the cluster. It waits until every trial is where the fault is to strike it, and
// strikes all of them at once. A nil outage is no outage.
type outage struct {
	trials         int
	started, ready sync.WaitGroup
	struck, mended chan struct{}
	struckAt       time.Time // when it began to strike; read it only after struck is closed
	strikeErr      error     // read it only after struck is closed
	mendErr        error     // read it only after mended is closed
}

// clusterFault is what an outage does.
type clusterFault struct {
	strike func(context.Context, *suite) error
	mend   func(context.Context, *suite) error
}

func newOutage() *outage { return &outage{struck: make(chan struct{}), mended: make(chan struct{})} }

// expect makes the outage wait for one more trial.
func (o *outage) expect() {
	if o != nil {
		o.trials++
		o.started.Add(1)
		o.ready.Add(1)
	}
}

// progress returns the functions that a trial calls when its session has started, and when it is in its
// phase. Further calls do nothing.
func (o *outage) progress() (started, ready func()) {
	if o == nil {
		return func() {}, func() {}
	}
	return sync.OnceFunc(o.started.Done), sync.OnceFunc(o.ready.Done)
}

// run strikes when all trials are ready, and then mends the cluster. If no trials are run, it leaves the
// cluster alone.
func (o *outage) run(s *suite, f *clusterFault) {
	o.ready.Wait()
	if o.trials > 0 {
		o.struckAt = time.Now()
		o.strikeErr = limited(f.strike, s)
		close(o.struck)
		o.mendErr = limited(f.mend, s)
		s.machine.forget()
	}
	close(o.mended)
}

// limited gives each part a time limit of its own: what was struck must be mended, even if late.
func limited(do func(context.Context, *suite) error, s *suite) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return do(ctx, s)
}

// waitUntilAllStarted waits until the other trials have started, because some phases do not last.
func (o *outage) waitUntilAllStarted() {
	if o != nil {
		o.started.Wait()
	}
}

// waitUntilStruck waits for the outage and returns when it began. Without an outage it returns the current
// time.
func (o *outage) waitUntilStruck(t *testing.T) time.Time {
	t.Helper()
	if o == nil {
		return time.Now()
	}
	<-o.struck
	if o.strikeErr != nil {
		t.Fatal(o.strikeErr)
	}
	return o.struckAt
}

func (o *outage) waitUntilMended(t *testing.T) {
	t.Helper()
	if o == nil {
		return
	}
	<-o.mended
	if o.mendErr != nil {
		t.Fatal(o.mendErr)
	}
}
