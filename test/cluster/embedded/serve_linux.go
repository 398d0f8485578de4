package embedded

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Serve is the supervisor: process 1 of the cluster's namespaces. It starts components
// when told over its socket, and its death is the death of all of them. It never returns
// without an error.
func Serve(dir string) error {
	version, err := os.ReadFile(versionFile(dir))
	if err != nil {
		return err
	}
	c := &Cluster{Dir: dir, Version: string(version)}
	if err := c.isolate(); err != nil {
		return err
	}
	if err := closeInherited(); err != nil {
		return err
	}
	s := &supervisor{cluster: c, processes: map[string]*process{}}
	go s.reap()
	registry, err := net.Listen("tcp", loopback(registryPort))
	if err != nil {
		return err
	}
	go func() { log.Print("registry: ", http.Serve(registry, http.HandlerFunc(emptyRegistry))) }()
	control, err := net.Listen("unix", c.run("control.sock"))
	if err != nil {
		return err
	}
	return http.Serve(control, s.handler())
}

// supervisor holds the components' processes.
type supervisor struct {
	cluster   *Cluster
	mu        sync.Mutex
	processes map[string]*process // by component, also when they have ended
}

type process struct {
	pid  int
	done chan struct{} // closed when it has been reaped
}

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// awaitStop returns when the process no longer runs: each of its threads stops when it
// next looks, and the kernel tells only a parent that waits for it.
func (p *process) awaitStop() {
	for processState(p.pid) == Running {
		select {
		case <-p.done:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func (s *supervisor) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(s.status())
	})
	mux.HandleFunc("POST /components/{name}/{action}", func(w http.ResponseWriter, r *http.Request) {
		if err := s.act(r.PathValue("name"), r.PathValue("action")); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
	return mux
}

func (s *supervisor) act(name, action string) error {
	log.Printf("%s %s", action, name)
	switch action {
	case "start":
		return s.start(name)
	case "stop":
		p, err := s.signal(name, syscall.SIGSTOP)
		if err == nil {
			p.awaitStop()
		}
		return err
	case "continue":
		_, err := s.signal(name, syscall.SIGCONT)
		return err
	case "kill":
		p, err := s.signal(name, syscall.SIGKILL)
		if err == nil {
			<-p.done
		}
		return err
	default:
		return fmt.Errorf("no action %q", action)
	}
}

func (s *supervisor) signal(name string, sig syscall.Signal) (*process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.processes[name]
	if p == nil || p.exited() {
		return nil, fmt.Errorf("%s isn't running", name)
	}
	return p, syscall.Kill(p.pid, sig)
}

// start holds the lock until the process is known, so that reap can't meet a stranger.
func (s *supervisor) start(name string) error {
	spec, known := s.cluster.spec(name)
	if !known {
		return fmt.Errorf("no component %q", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.processes[name]; p != nil && !p.exited() {
		return fmt.Errorf("%s runs already", name)
	}
	output, err := os.OpenFile(s.cluster.log(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer output.Close()
	pid, err := syscall.ForkExec(spec.argv[0], spec.argv, &syscall.ProcAttr{
		Dir: s.cluster.Dir, Env: s.cluster.environment(), Files: []uintptr{0, output.Fd(), output.Fd()},
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", spec.argv[0], err)
	}
	s.processes[name] = &process{pid: pid, done: make(chan struct{})}
	return nil
}

// environment is all that the components get: a proxy or a credential of the caller
// would lead them to other machines.
func (c *Cluster) environment() []string {
	return []string{"PATH=" + c.BinDir() + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + c.data("home")}
}

// reap collects our own processes and the orphans that come to process 1, such as containerd's shims.
func (s *supervisor) reap() {
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	for range died {
		for s.reapOne() {
		}
	}
}

func (s *supervisor) reapOne() bool {
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
	if err == syscall.EINTR {
		return true
	}
	if err != nil || pid <= 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, p := range s.processes {
		if p.pid == pid && !p.exited() {
			log.Printf("%s ended: exit status %d, signal %v", name, status.ExitStatus(), status.Signal())
			close(p.done)
		}
	}
	return true
}

func (s *supervisor) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := Status{Version: s.cluster.Version}
	for _, spec := range s.cluster.specs() {
		state := Exited
		if p := s.processes[spec.name]; p != nil && !p.exited() {
			state = processState(p.pid)
		}
		status.Components = append(status.Components, ComponentStatus{spec.name, state})
	}
	return status
}

// processState reads the letter behind the name in parentheses, which may itself hold anything.
func processState(pid int) State {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Exited
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	switch {
	case strings.HasPrefix(rest, "T"):
		return Stopped
	case strings.HasPrefix(rest, "Z"):
		return Exited
	default:
		return Running
	}
}
