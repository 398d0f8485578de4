//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// recording is a picture of a session.
type recording struct {
	name string
	// rows and columns are as few as the lines of eshell allow, so that they can be read on a phone.
	rows, columns uint16
	lines         []line
	// still is the first text of the moment that is worth a still; without it that is the end.
	still string
	// shows is what the still has to show.
	shows []string
}

// line is what a person types.
type line struct {
	keys  string
	until string // a regular expression of what is shown then
	think time.Duration
	when  func(*shop, context.Context) error // what has to be true before
}

// What a line leads to: the prompt of the person's own shell, or of one in a container.
const (
	ours   = `(^|[\r\n])\$ $`
	theirs = `(^|[\r\n])bash-[0-9.]+# $`
)

const (
	enter = "\r"
	down  = "\x1b[B"
)

func recordings() []recording {
	return []recording{clone(), debug(), explain(), picker()}
}

// How long a person thinks: about what to type, and about what is shown.
const (
	short = 400 * time.Millisecond
	long  = 1000 * time.Millisecond
)

func clone() recording {
	return recording{name: "clone", rows: 18, columns: 84,
		shows: []string{"$ kubectl eshell deploy/api", ": a clone of deployment/api, container app",
			"RAILS_ENV=production", "/uploads/invoices/1042.pdf", "is being deleted", "Running"},
		lines: []line{
			{keys: "kubectl eshell deploy/api" + enter, until: theirs, think: short},
			{keys: "env | grep RAILS" + enter, until: theirs, think: long},
			{keys: "ls /uploads/invoices/*" + enter, until: theirs, think: short},
			{keys: "exit" + enter, until: ours, think: long},
			{keys: "kubectl get pods" + enter, until: ours, think: short, when: (*shop).sessionsGone},
		}}
}

func debug() recording {
	return recording{name: "debug", rows: 15, columns: 84,
		shows: []string{"$ kubectl eshell pod/web-0 --mode debug", "beside container web", "httpd",
			"this is being served", "has ended"},
		lines: []line{
			{keys: "kubectl eshell pod/web-0 --mode debug" + enter, until: theirs, think: short},
			{keys: "ps -o pid,comm" + enter, until: theirs, think: long},
			{keys: "cat /proc/1/root/www/index.html" + enter, until: theirs, think: long},
			{keys: "exit" + enter, until: ours, think: long},
		}}
}

func explain() recording {
	return recording{name: "explain", rows: 18, columns: 90,
		shows: []string{"$ kubectl eshell deploy/api --explain", "keeps:", "service account api", "changed:",
			"left out:", "container worker", "service/api and deployment/api select by it", "ports"},
		lines: []line{
			// What follows is more than a small picture can show.
			{keys: "kubectl eshell deploy/api --explain | head -15" + enter, until: ours, think: short},
		}}
}

func picker() recording {
	return recording{name: "picker", rows: 13, columns: 84,
		still: "type to filter",
		shows: []string{"$ kubectl eshell", "Workload:", "> deploy", "mailer", "cronjob/report"},
		lines: []line{
			{keys: "kubectl eshell" + enter, until: `Workload: .*sts/web|statefulset/web`, think: short},
			{keys: down, until: `> deploy(ment)?/mailer`, think: long},
			{keys: "api", until: `Workload: api[^:]*> deploy(ment)?/api`, think: short},
			{keys: enter, until: `Container: .*worker`, think: short},
			{keys: enter, until: theirs, think: long},
			{keys: "exit" + enter, until: ours, think: short},
		}}
}

// make records a session, and writes its picture for a light and for a dark page.
func (r recording) make(ctx context.Context, s *shop) error {
	path := filepath.Join(stillsDir, r.name+".cast")
	length, err := r.play(ctx, s, path)
	if err != nil {
		return err
	}
	c, err := readCast(path)
	if err != nil {
		return err
	}
	c.cut(length)
	c.tighten()
	if err := c.write(path); err != nil {
		return err
	}
	at, err := c.momentOf(r.still)
	if err != nil {
		return err
	}
	for _, theme := range []string{light, dark} {
		if err := r.render(ctx, path, theme, at); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "%s: %.1f s\n", r.name, c.duration())
	return nil
}

// play types the lines at a terminal that asciinema records. It returns how many bytes were shown.
func (r recording) play(ctx context.Context, s *shop, path string) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p, err := sitDown(ctx, s.env, r.rows, r.columns,
		"asciinema", "rec", "--overwrite", "-q", "-c", "sh", path)
	if err != nil {
		return 0, err
	}
	defer p.terminal.Close()
	if err := p.await(ctx, 0, regexp.MustCompile(ours)); err != nil {
		return 0, err
	}
	for _, l := range r.lines {
		if l.when != nil {
			if err := l.when(s, ctx); err != nil {
				return 0, err
			}
		}
		if err := pause(ctx, l.think); err != nil {
			return 0, err
		}
		before := p.seen()
		if err := p.press(ctx, l.keys); err != nil {
			return 0, err
		}
		if err := p.await(ctx, before, regexp.MustCompile("(?s)"+l.until)); err != nil {
			return 0, err
		}
	}
	length := p.seen()
	return length, p.leave(ctx)
}
