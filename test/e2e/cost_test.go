//go:build unix

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/access"
	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/countproxy"
)

// roundTrip is what a round trip takes in these tests: longer than a busy machine delays one request.
const roundTrip = 100 * time.Millisecond

// lists are what selects pods in a namespace.
const lists = "GET services, GET poddisruptionbudgets, GET networkpolicies, GET deployments, " +
	"GET statefulsets, GET daemonsets, GET replicationcontrollers, 2 GET replicasets, 2 GET jobs, "

// rights are who the caller is and what they are allowed to do.
const rights = "5 POST selfsubjectaccessreviews, POST selfsubjectreviews, "

// TestCost: what each command costs the API server, and what a slow network makes its user wait for.
func TestCost(t *testing.T) {
	t.Parallel()
	here := newRealm(t, "cost", decoySource)
	kubectl(t, "wait", "-n", here.namespace, "--for=condition=Ready", "pod/joined", inTime)
	detached := here.run(t, "kubectl-eshell deploy/source --detach --ttl=1h")
	if detached.status != 0 {
		t.Fatal(detached.stderr)
	}
	name := strings.TrimSpace(detached.stdout)
	page, err := os.ReadFile("../../docs/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	const created, streams, deleted = "POST jobs, POST pods, WATCH pods, PATCH jobs, ",
		"GET pods/attach, GET pods/exec, ", "DELETE pods, DELETE jobs"
	tests := []struct {
		line       string
		first      bool // the user's name on the server is not known from an earlier session
		requests   string
		conns      int
		trips      int  // at most, one after the other; a connection counts for two
		kilos      int  // received, at most
		documented bool // in docs/scale.md
	}{
		{"deploy/source -- true", true, "POST selfsubjectreviews, " + rights + "GET deployments, " + lists +
			created + streams + deleted, 3, 8, 160, false},
		{"deploy/source -- true", false, rights + "GET deployments, " + lists + created + streams + deleted, 3, 7, 160, true},
		{"deploy/source --via=attach -- sh -c exit", false,
			rights + "GET deployments, " + lists + created + "GET pods/attach, " + deleted, 2, 7, 160, false},
		{"pod/joined --mode=debug -- true", false, rights + "GET pods, POST jobs, PATCH pods/ephemeralcontainers, " +
			"WATCH pods, PATCH jobs, " + streams + "DELETE jobs", 3, 7, 96, true},
		{"deploy/source --dry-run=client", false, rights + "3 POST selfsubjectaccessreviews, GET deployments, " +
			strings.TrimSuffix(lists, ", "), 1, 3, 24, true},
		{"list", false, "GET pods, GET jobs, POST selfsubjectreviews", 1, 3, 48, true},
		{"check", false, fmt.Sprintf("%d POST selfsubjectaccessreviews, GET namespaces, POST selfsubjectreviews",
			len(access.Permissions(access.Capabilities(access.Scope{})))), 1, 3, 48, true},
		{"attach " + name + " -- true", false,
			"GET pods, GET jobs, POST selfsubjectreviews, GET pods/exec, GET jobs", 3, 5, 32, false},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			proxy := counting(t)
			through := env
			through.kubeconfig = kubeconfigVia(t, proxy)
			args := append([]string{"-n", here.namespace, "--cache-dir", t.TempDir()}, strings.Fields(tt.line)...)
			session := func() {
				t.Helper()
				defer env.startOne()()
				cmd := exec.Command(filepath.Join(env.bin, "kubectl-eshell"), args...)
				cmd.Env = through.env()
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			session()
			if !tt.first {
				proxy.Reset()
				session()
			}
			got, _ := proxy.Bytes()
			asked := inWords(proxy.Requests())
			if strings.HasPrefix(tt.line, "attach") { // the relay's stream may come too late for so short a command
				asked = strings.Replace(asked, "GET pods/exec\nGET pods/exec\n", "GET pods/exec\n", 1)
			}
			if asked != sorted(tt.requests) {
				t.Errorf("requests:\n%s\nwant\n%s", asked, sorted(tt.requests))
			}
			if proxy.Connections() != tt.conns || proxy.RoundTrips() > tt.trips || got > int64(tt.kilos)<<10 {
				t.Errorf("%d connections, %d round trips, %d bytes; want %d, %d, %d KiB at most",
					proxy.Connections(), proxy.RoundTrips(), got, tt.conns, tt.trips, tt.kilos)
			}
			if tt.documented {
				row := fmt.Sprintf("| %d | %d | %d |\n", len(proxy.Requests()), tt.conns, tt.kilos)
				if !regexp.MustCompile(regexp.QuoteMeta("| `kubectl eshell "+tt.line+"`") + "[^|]* " +
					regexp.QuoteMeta(row)).Match(page) {
					t.Errorf("docs/scale.md does not say so: %s", row)
				}
			}
			t.Logf("%d requests on %d connections in %d round trips, %d bytes", len(proxy.Requests()),
				proxy.Connections(), proxy.RoundTrips(), got)
		})
	}
}

// TestCompletionCost: the Tab key makes one request.
func TestCompletionCost(t *testing.T) {
	t.Parallel()
	here := newRealm(t, "tab-cost", decoySource)
	kubectl(t, "wait", "-n", here.namespace, "--for=condition=Ready", "pod/joined", inTime)
	if detached := here.run(t, "kubectl-eshell pod/joined --mode=debug --detach --ttl=1h"); detached.status != 0 {
		t.Fatal(detached.stderr)
	}
	page, err := os.ReadFile("../../docs/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	own := withCompletion(t)
	proxy := counting(t)
	proxy.SetLatency(0)
	own.kubeconfig = kubeconfigVia(t, proxy)
	for _, tt := range []struct{ line, offered, requests string }{
		{"deploy/", "deploy/source", "GET deployments"},
		{"pod ", "joined", "GET pods"},
		{"joi", "joined", "GET pods"},
		{"deploy/source -c ", "app", "GET deployments"},
		{"deploy/source --revision ", "1", "GET deployments, GET replicasets"},
		{"attach ", "eshell-", "GET jobs"},
		{"-n ", "default", "GET namespaces"},
	} {
		t.Run(tt.line, func(t *testing.T) {
			words := strings.Split(tt.line, " ")
			if words[0] == "attach" {
				words = slices.Insert(words, 1, "--namespace="+here.namespace)
			} else {
				words = slices.Insert(words, 0, "--namespace="+here.namespace)
			}
			out, asked := "", ""
			for range tabs { // a busy machine may be too late
				proxy.Reset()
				cmd := exec.Command(filepath.Join(own.bin, "kubectl_complete-eshell"), words...)
				cmd.Env = own.env()
				answer, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, answer)
				}
				if out, asked = string(answer), inWords(proxy.Requests()); out != ":4\n" && out != ":36\n" {
					break
				}
			}
			got, _ := proxy.Bytes()
			n := len(proxy.Requests())
			if !strings.HasPrefix(out, tt.offered) && !strings.Contains(out, "\n"+tt.offered) ||
				asked != sorted(tt.requests) || proxy.Connections() != 1 || got > 16<<10 {
				t.Errorf("%q after\n%s\non %d connections, %d bytes; want %s after\n%s", out, asked,
					proxy.Connections(), got, tt.offered, sorted(tt.requests))
			}
			row := fmt.Sprintf("| `kubectl eshell %s` Tab | %d | 1 | 16 |\n", strings.TrimSpace(tt.line), n)
			if !strings.Contains(string(page), row) {
				t.Errorf("docs/scale.md does not say so: %s", row)
			}
			t.Logf("%d requests, %d bytes", n, got)
		})
	}
}

func counting(t *testing.T) *countproxy.Proxy {
	t.Helper()
	server, err := env.config()
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := countproxy.New(server, roundTrip)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	return proxy
}

// asksFor finds the resource and subresource in a path.
var asksFor = regexp.MustCompile(`^/apis?/.*?v1(?:/namespaces/[^/]+)?/([a-z]+)(?:/[^/]+)?(/[a-z]+)?$`)

// inWords lists requests by verb and resource.
func inWords(requests []countproxy.Request) string {
	var all []string
	for _, r := range requests {
		verb, path := r.Method, r.Path
		if r.Watch {
			verb = "WATCH"
		}
		if found := asksFor.FindStringSubmatch(path); found != nil {
			path = found[1] + found[2]
		}
		all = append(all, verb+" "+path)
	}
	return sorted(strings.Join(all, ", "))
}

// sorted sorts a list in which "5 POST jobs" stands for five of them.
func sorted(list string) string {
	var all []string
	for _, request := range strings.Split(list, ", ") {
		times, rest, counted := strings.Cut(request, " ")
		n, err := strconv.Atoi(times)
		if !counted || err != nil {
			n, rest = 1, request
		}
		all = append(all, slices.Repeat([]string{rest}, n)...)
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// TestStartUp: the plugin is no larger than kubectl, and does less when it starts. Instructions cannot be
// counted on every machine, and time depends on what else it does: what is counted is the memory that the
// packages allocate before main, which Go reports.
func TestStartUp(t *testing.T) {
	t.Parallel()
	if os.Getenv(withRaceDetector) != "" {
		t.Skip("the race detector has a start of its own")
	}
	binary := filepath.Join(released(t), "kubectl-eshell")
	kubectl := filepath.Join(env.bin, "kubectl")
	own, theirs := allocated(t, binary, "--version"), allocated(t, kubectl, "version", "--client")
	if own > theirs {
		t.Errorf("it allocates %d bytes before main, kubectl %d", own, theirs)
	}
	ownSize, theirSize := size(t, binary), size(t, kubectl)
	if ownSize > theirSize {
		t.Errorf("it has %d bytes, kubectl %d", ownSize, theirSize)
	}
	t.Logf("%d of kubectl's %d bytes are allocated before main; size %d of %d", own, theirs, ownSize, theirSize)
}

// release builds the plugin as a release does, without cgo, and returns the folder that holds it.
var release = sync.OnceValues(func() (folder string, err error) {
	folder = filepath.Join(filepath.Dir(env.bin), "release")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", folder+"/",
		"../../cmd/kubectl-eshell")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return folder, nil
})

func released(t *testing.T) (folder string) {
	t.Helper()
	folder, err := release()
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// initTrace is a line of GODEBUG=inittrace=1: init NAME @0.1 ms, 0.2 ms clock, 345 bytes, 6 allocs
var initTrace = regexp.MustCompile(`(?m)^init .* (\d+) bytes, \d+ allocs$`)

func allocated(t *testing.T, program string, args ...string) (bytes int) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(env.env(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := initTrace.FindAllSubmatch(out, -1)
	if len(lines) < 10 {
		t.Fatalf("%s reports %d packages", program, len(lines))
	}
	for _, line := range lines {
		n := 0
		if _, err := fmt.Sscan(string(line[1]), &n); err != nil {
			t.Fatal(err)
		}
		bytes += n
	}
	return bytes
}

func size(t *testing.T, program string) int64 {
	t.Helper()
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
