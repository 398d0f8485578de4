package embedded

import (
	"fmt"
	"io"
	"os"
	"time"
)

// meter tells how far a long build is: a terminal sees one line that changes, a log gets
// a line now and then, so that nobody takes silence for a hang.
type meter struct {
	w           io.Writer
	terminal    bool
	count, from int
	start       time.Time
}

func newMeter(w io.Writer, total int) *meter {
	m := &meter{w: w, from: total, start: time.Now()}
	if file, ok := w.(*os.File); ok {
		info, err := file.Stat()
		m.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return m
}

// next counts one program.
func (m *meter) next() { m.count++ }

// during runs step and shows what it is while it lasts.
func (m *meter) during(what string, step func() error) error {
	interval := 15 * time.Second
	if m.terminal {
		interval = time.Second
	}
	done := make(chan error, 1)
	go func() { done <- step() }()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		m.show(what)
		select {
		case err := <-done:
			if m.terminal {
				fmt.Fprint(m.w, "\r\x1b[K")
			}
			return err
		case <-ticker.C:
		}
	}
}

func (m *meter) show(what string) {
	format := "%s (%d of %d, %s)\n"
	if m.terminal {
		format = "\r\x1b[K%s (%d of %d, %s)"
	}
	fmt.Fprintf(m.w, format, what, max(m.count, 1), m.from, time.Since(m.start).Round(time.Second))
}
