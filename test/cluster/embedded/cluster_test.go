package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDefaultFollowsTheEnvironment(t *testing.T) {
	t.Setenv("ESHELL_CLUSTER_DIR", "/elsewhere")
	t.Setenv("ESHELL_K8S_VERSION", "1.33.13")
	c := Default()
	if c.Version != "1.33.13" || c.Kubeconfig() != filepath.FromSlash("/elsewhere/run/admin.kubeconfig") {
		t.Errorf("Default() = %+v, kubeconfig %s", c, c.Kubeconfig())
	}
}

// Nothing may listen where other machines, or another cluster on this one, would meet it.
func TestAddressesAreOurOwn(t *testing.T) {
	c := &Cluster{Dir: "/state", Version: DefaultVersion}
	for _, s := range c.specs() {
		line := strings.Join(s.argv, " ")
		for _, alien := range []string{"0.0.0.0", ":6443", ":2379", ":2380", "10.244.", "10.96."} {
			if strings.Contains(line, alien) {
				t.Errorf("%s uses %s: %s", s.name, alien, line)
			}
		}
	}
}

func TestConfigFilesAreFilledIn(t *testing.T) {
	c := &Cluster{Dir: "/state", Version: DefaultVersion}
	for path, content := range c.configFiles(host{runc: "/usr/sbin/runc", cniDir: "/usr/lib/cni"}) {
		if strings.Contains(content, "%!") {
			t.Errorf("%s: %s", path, content)
		}
		if strings.HasSuffix(path, "conflist") && !json.Valid([]byte(content)) {
			t.Errorf("%s is no JSON: %s", path, content)
		}
	}
}

func TestUnknownComponent(t *testing.T) {
	c := &Cluster{Dir: t.TempDir(), Version: DefaultVersion}
	if err := c.Component("apisrever").Kill(); err == nil || !strings.Contains(err.Error(),
		`no component "apisrever"`) {
		t.Errorf("Kill = %v", err)
	}
	if _, err := c.Logs("apisrever"); err == nil || !strings.Contains(err.Error(),
		`no component "apisrever"`) {
		t.Errorf("Logs = %v", err)
	}
}

func TestStatusUp(t *testing.T) {
	for name, test := range map[string]struct {
		status Status
		want   bool
	}{
		"nothing": {Status{}, false},
		"all run": {Status{Components: []ComponentStatus{{"etcd", Running}, {"kubelet", Running}}}, true},
		"one stopped": {Status{Components: []ComponentStatus{{"etcd", Running}, {"kubelet", Stopped}}},
			false},
		"one exited": {Status{Components: []ComponentStatus{{"etcd", Exited}}}, false},
	} {
		if got := test.status.Up(); got != test.want {
			t.Errorf("%s: Up() = %v", name, got)
		}
	}
}

func TestAwait(t *testing.T) {
	notYet := errors.New("not yet")
	tries := 0
	third := func(context.Context) error {
		if tries++; tries < 3 {
			return notYet
		}
		return nil
	}
	if err := await(t.Context(), "it", third, nil); err != nil || tries != 3 {
		t.Errorf("await = %v after %d tries", err, tries)
	}
	never := func(context.Context) error { return notYet }
	dead := errors.New("it died")
	if err := await(t.Context(), "it", never, func(context.Context) error { return dead }); !errors.Is(err,
		dead) {
		t.Errorf("await a dead one = %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := await(short, "it", never, nil); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err,
		notYet) {
		t.Errorf("await too long = %v", err)
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for content, want := range map[string]string{"": "", "a\n": "a", "a\nb\n": "a\nb", "a\nb\nc\n": "b\nc",
		"\n\n\nz": "\nz"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := string(tail(path, 2)); got != want {
			t.Errorf("tail(%q) = %q, want %q", content, got, want)
		}
	}
}

func TestEmptyRegistry(t *testing.T) {
	for path, want := range map[string]int{"/v2/": http.StatusOK,
		"/v2/none/manifests/1": http.StatusNotFound} {
		response := httptest.NewRecorder()
		emptyRegistry(response, httptest.NewRequest(http.MethodGet, path, nil))
		if response.Code != want {
			t.Errorf("GET %s: %d, want %d", path, response.Code, want)
		}
	}
}
