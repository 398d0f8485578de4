//go:build unix

package e2e

import (
	"context"
	"sync"
	"testing"
	"time"
)

// outage is a fault of the cluster. It waits until all trials are where it is to find them, and strikes all
// of them at once. A nil outage is none.
type outage struct {
	trials         int
	started, ready sync.WaitGroup
	struck, mended chan struct{}
	struckAt       time.Time // when it began to strike; to be read when it has struck
	strikeErr      error     // so is this
	mendErr        error     // and this when it is mended
}

// clusterFault is what an outage does.
type clusterFault struct {
	strike func(context.Context, *suite) error
	mend   func(context.Context, *suite) error
}

func newOutage() *outage { return &outage{struck: make(chan struct{}), mended: make(chan struct{})} }

// expect makes it wait for one more trial.
func (o *outage) expect() {
	if o != nil {
		o.trials++
		o.started.Add(1)
		o.ready.Add(1)
	}
}

// progress returns what a trial calls when its session has started, and when it is in its phase; more calls
// do nothing.
func (o *outage) progress() (started, ready func()) {
	if o == nil {
		return func() {}, func() {}
	}
	return sync.OnceFunc(o.started.Done), sync.OnceFunc(o.ready.Done)
}

// run strikes when all trials are ready, and mends. A test that runs none of them leaves the cluster alone.
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

// limited gives each part a time of its own: what is struck is to be mended, even late.
func limited(do func(context.Context, *suite) error, s *suite) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return do(ctx, s)
}

// waitUntilAllStarted waits for the other trials: some phases do not last.
func (o *outage) waitUntilAllStarted() {
	if o != nil {
		o.started.Wait()
	}
}

// waitUntilStruck returns when the outage began; without one it is now.
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
