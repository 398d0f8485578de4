package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/kubectl/pkg/util/term"
)

const (
	frameTime = 100 * time.Millisecond
	// patience is how long a start may take before a line is worth printing: without a terminal a
	// line stays, and most sessions start at once.
	patience = time.Second
)

// progress is the one line that says what a session waits for. On a terminal it moves and goes
// away; elsewhere each change is a line, from patience on.
type progress struct {
	out    io.Writer
	moving bool

	mu      sync.Mutex
	what    string
	printed map[string]bool // reasons alternate while the kubelet retries
	stop    chan struct{}   // nil: nothing is shown
	stopped chan struct{}
}

func newProgress(out io.Writer) *progress {
	return &progress{out: out, printed: map[string]bool{},
		moving: printers.IsTerminal(out) && os.Getenv("TERM") != "dumb"}
}

func (p *progress) show(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what = what
	if p.stop != nil {
		return
	}
	p.stop, p.stopped = make(chan struct{}), make(chan struct{})
	go p.run(p.stop, p.stopped)
}

// clear returns when the line is gone and nothing more will be drawn.
func (p *progress) clear() {
	p.mu.Lock()
	stop, stopped := p.stop, p.stopped
	p.stop = nil
	p.mu.Unlock()
	if stop != nil {
		close(stop)
		<-stopped
	}
}

func (p *progress) run(stop, stopped chan struct{}) {
	defer close(stopped)
	ticker := time.NewTicker(frameTime)
	defer ticker.Stop()
	for frame, since := 0, time.Now(); ; frame++ {
		select {
		case <-stop:
			if p.moving && frame > 0 {
				fmt.Fprint(p.out, "\r\x1b[K")
			}
			return
		case <-ticker.C:
			p.draw(frame, time.Since(since))
		}
	}
}

func (p *progress) draw(frame int, waited time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.moving:
		line := fmt.Sprintf("%c waiting %s: %s", `|/-\`[frame%4], waited.Truncate(time.Second), p.what)
		fmt.Fprint(p.out, "\r\x1b[K"+cut(line, width(p.out)))
	case waited >= patience && !p.printed[p.what]:
		p.printed[p.what] = true
		fmt.Fprintln(p.out, "waiting: "+p.what)
	}
}

func width(out io.Writer) int {
	if size := (term.TTY{Out: out}).GetSize(); size != nil && size.Width > 0 {
		return int(size.Width)
	}
	return 80
}

// cut keeps a line within a terminal's width: a wrapped line could not be taken back.
func cut(line string, width int) string {
	runes := []rune(line)
	for i, r := range runes {
		if r == '\n' || r == '\t' {
			runes[i] = ' '
		}
	}
	if len(runes) >= width {
		runes = runes[:max(width-1, 0)]
	}
	return string(runes)
}
