package accessproxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

// fake is a debug container that its client believes to run. It is added when somebody has approved it: until
// then its streams wait.
type fake struct {
	client kubernetes.Interface

	mu      sync.Mutex
	patch   func() error  // adds the container
	pod     *corev1.Pod   // as its client sees it
	isFaked chan struct{} // closed when there is such a pod
}

// addTime is how long a container may take to be added and to start.
const addTime = time.Minute

// roundTrip answers what concerns the container. Of other requests it knows nothing.
func (f *fake) roundTrip(p *Proxy, r *http.Request) (answer *http.Response, known bool, err error) {
	_, isWatch := r.URL.Query()["watch"]
	switch {
	case r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/ephemeralcontainers"):
		answer, err = f.add(p, r)
		return answer, true, err
	case isWatch && path.Base(r.URL.Path) == "pods":
		answer, err = f.watch(p, r)
		return answer, true, err
	case strings.HasSuffix(r.URL.Path, "/exec") || strings.HasSuffix(r.URL.Path, "/attach"):
		if err := p.wait(); err != nil {
			return nil, true, err
		}
		return nil, false, f.addNow(r.Context())
	}
	return nil, false, nil
}

// add answers the request for a container with the pod as it would be.
func (f *fake) add(p *Proxy, r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	send := func(query string) (*http.Response, error) {
		real := r.Clone(context.WithoutCancel(r.Context()))
		real.Body, real.URL.RawQuery = io.NopCloser(bytes.NewReader(body)), query
		real.Header.Set("Accept", "application/json")
		return p.base.RoundTrip(real)
	}
	answer, err := send("dryRun=" + metav1.DryRunAll)
	if err != nil || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	defer answer.Body.Close()
	var asked, pod corev1.Pod
	text, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, json.Unmarshal(text, &pod), json.Unmarshal(body, &asked)); err != nil {
		return nil, err
	}
	added := asked.Spec.EphemeralContainers[0]
	runs := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
	pod.Status.EphemeralContainerStatuses = append(pod.Status.EphemeralContainerStatuses,
		corev1.ContainerStatus{Name: added.Name, State: runs})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pod = &pod
	f.patch = sync.OnceValue(func() error {
		answer, err := send("")
		if err == nil {
			answer.Body.Close()
		}
		if err == nil && answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("add the container: %s", answer.Status)
		}
		return err
	})
	close(f.isFaked)
	answer.Body = io.NopCloser(bytes.NewReader(text))
	return answer, nil
}

// watch answers a watch of pods, which has one event more: the container runs.
func (f *fake) watch(p *Proxy, r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Accept", "application/json")
	r.Header.Del("Accept-Encoding")
	answer, err := p.base.RoundTrip(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	server, shown := answer.Body, &events{}
	reader, writer := io.Pipe()
	shown.Writer = writer
	go func() {
		select {
		case <-f.isFaked:
			shown.write(always, map[string]any{"type": "MODIFIED", "object": f.pod})
		case <-r.Context().Done():
		}
	}()
	go func() {
		lines := bufio.NewReader(server)
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				writer.CloseWithError(err)
				return
			}
			shown.write(func() bool { return !f.hides(p) }, json.RawMessage(line))
		}
	}()
	answer.Body = struct {
		io.Reader
		io.Closer
	}{reader, closers{server, reader}}
	answer.ContentLength = -1
	return answer, nil
}

// hides reports whether the real pod is not to be seen: it does not have the container yet.
func (f *fake) hides(p *Proxy) bool {
	select {
	case <-p.approved:
		return false
	default:
	}
	select {
	case <-f.isFaked:
		return true
	default:
		return false
	}
}

// events are those of a watch, from more than one source.
type events struct {
	io.Writer
	mu sync.Mutex
}

// write writes an event, if it is to be seen when its turn comes: no real pod may follow a faked one.
func (e *events) write(isSeen func() bool, event any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if isSeen() {
		_ = json.NewEncoder(e.Writer).Encode(event) // it fails when the client has gone
	}
}

func always() bool { return true }

type closers []io.Closer

// Close closes all.
func (c closers) Close() error {
	for _, one := range c {
		_ = one.Close()
	}
	return nil
}

// addNow adds the container, if that was asked for, and waits until it runs.
func (f *fake) addNow(ctx context.Context) error {
	f.mu.Lock()
	patch, pod := f.patch, f.pod
	f.mu.Unlock()
	if patch == nil {
		return nil
	}
	if err := patch(); err != nil {
		return err
	}
	name := pod.Status.EphemeralContainerStatuses[len(pod.Status.EphemeralContainerStatuses)-1].Name
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, addTime, true,
		func(ctx context.Context) (bool, error) {
			real, err := f.client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			for _, status := range real.Status.EphemeralContainerStatuses {
				if status.Name == name && status.State.Running != nil {
					return true, nil
				}
			}
			return false, nil
		})
}
