//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"time"

	"github.com/creack/pty"
)

const (
	prompt = "\x1b[1;32m$\x1b[0m "
	// patience bounds the wait for what a line brings.
	patience = time.Minute
)

var (
	escapes  = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)
	keyPress = regexp.MustCompile(`(?s)\x1b\[[A-Z]|.`)
)

// person types at a terminal, and reads what it shows.
type person struct {
	cmd      *exec.Cmd
	terminal *os.File // its other end
	exited   chan struct{}
	hand     *rand.Rand

	mu    sync.Mutex
	shown bytes.Buffer
	news  chan struct{} // closed and replaced with each output
}

// sitDown starts a command on a terminal. The end of ctx kills it.
func sitDown(ctx context.Context, env []string, rows, columns uint16, words ...string) (*person, error) {
	p := &person{cmd: exec.CommandContext(ctx, words[0], words[1:]...), exited: make(chan struct{}),
		hand: rand.New(rand.NewPCG(1, 2)), news: make(chan struct{})}
	p.cmd.Env = env
	var err error
	if p.terminal, err = pty.StartWithSize(p.cmd, &pty.Winsize{Rows: rows, Cols: columns}); err != nil {
		return nil, fmt.Errorf("start %s: %w", words[0], err)
	}
	go p.watch()
	go func() {
		_ = p.cmd.Wait() // the status is in ProcessState
		close(p.exited)
	}()
	return p, nil
}

func (p *person) watch() {
	buffer := make([]byte, 4096)
	for {
		n, err := p.terminal.Read(buffer)
		p.mu.Lock()
		p.shown.Write(buffer[:n])
		close(p.news)
		p.news = make(chan struct{})
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// seen returns how many bytes the terminal has shown.
func (p *person) seen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown.Len()
}

// since returns what the terminal has shown after so many bytes, without what controls it.
func (p *person) since(before int) (string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return escapes.ReplaceAllString(string(p.shown.Bytes()[before:]), ""), p.news
}

// await waits until what was shown after so many bytes matches.
func (p *person) await(ctx context.Context, before int, until *regexp.Regexp) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		text, news := p.since(before)
		if until.MatchString(text) {
			return nil
		}
		select {
		case <-news:
		case <-p.exited:
			return fmt.Errorf("%s has ended (%s); it has shown:\n%s", p.cmd.Path, p.cmd.ProcessState, text)
		case <-ctx.Done():
			return fmt.Errorf("%w: nothing matches %s in:\n%s", ctx.Err(), until, text)
		}
	}
}

// press types keys, about as fast as a person who knows them.
func (p *person) press(ctx context.Context, keys string) error {
	for _, key := range keyPress.FindAllString(keys, -1) {
		if err := pause(ctx, time.Duration(25+p.hand.IntN(45))*time.Millisecond); err != nil {
			return err
		}
		if _, err := p.terminal.WriteString(key); err != nil {
			return err
		}
	}
	return nil
}

// leave ends the shell by the end of its input.
func (p *person) leave(ctx context.Context) error {
	if _, err := p.terminal.WriteString("\x04"); err != nil {
		return err
	}
	select {
	case <-p.exited:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("%s: %s", p.cmd.Path, p.cmd.ProcessState)
	}
	return nil
}

// pause is for the pace of a picture alone: nothing depends on it.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
