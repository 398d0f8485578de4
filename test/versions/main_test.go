package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Lines of "go test -json", as they are but for times and what nobody reads.
const (
	newest = `
{"Time":"2026-11-26T12:00:00Z","Action":"start","Package":"e2e"}
{"Action":"output","Package":"e2e","Output":"kubernetes 1.36.3 is up already\n"}
{"Action":"attr","Package":"e2e","Test":"TestServer","Key":"kubernetes","Value":"1.36.3"}
{"Action":"attr","Package":"e2e","Test":"TestServer/same","Key":"same","Value":"as everywhere"}
{"Action":"attr","Package":"e2e","Test":"TestServer/opening","Key":"opening","Value":"opens after"}
{"Action":"pass","Package":"e2e","Test":"TestServer/same"}
{"Action":"pass","Package":"e2e","Test":"TestServer/opening"}
{"Action":"pass","Package":"e2e","Test":"TestServer"}
{"Action":"pass","Package":"e2e","Test":"TestScripts/clone"}
{"Action":"pass","Package":"e2e","Test":"TestScripts"}
{"Action":"pass","Package":"e2e","Elapsed":61.2}`
	broken = `
{"Time":"2026-11-27T12:00:00Z","Action":"start","Package":"e2e"}
{"Action":"attr","Package":"e2e","Test":"TestServer","Key":"kubernetes","Value":"1.33.13"}
{"Action":"attr","Package":"e2e","Test":"TestServer/same","Key":"same","Value":"as everywhere"}
{"Action":"attr","Package":"e2e","Test":"TestServer/opening","Key":"opening","Value":"opens before"}
{"Action":"pass","Package":"e2e","Test":"TestServer/same"}
{"Action":"output","Package":"e2e","Test":"TestServer/opening","Output":"    server_test.go:9: no\n"}
{"Action":"fail","Package":"e2e","Test":"TestServer/opening"}
{"Action":"fail","Package":"e2e","Test":"TestServer"}
{"Action":"output","Package":"e2e","Test":"TestScripts/clone","Output":"=== RUN   TestScripts/clone\n"}
{"Action":"output","Package":"e2e","Test":"TestScripts/clone","Output":"    script_test.go:7: too old\n"}
{"Action":"skip","Package":"e2e","Test":"TestScripts/clone"}
{"Action":"run","Package":"e2e","Test":"TestShell"}
{"Action":"fail","Package":"e2e","Elapsed":9.8}`
	unbuilt = `
{"Time":"2026-11-27T13:00:00Z","Action":"start","Package":"e2e"}
{"Action":"output","Package":"e2e","Output":"fetching k8s.io/kubernetes (1 of 5, 0s)\n"}
{"Action":"output","Package":"e2e","Output":"e2e: fetch kubernetes: 403\n"}
{"Action":"output","Package":"e2e","Output":"FAIL\n"}
{"Action":"fail","Package":"e2e","Elapsed":2}`
)

func TestPage(t *testing.T) {
	page, err := write(t, map[string]string{"1.36.3": newest, "1.33.13": broken, "1.9.0": unbuilt})
	wantErr := "kubernetes 1.33.13: failed: TestServer/opening, TestShell\n" +
		"kubernetes 1.9.0: did not run: fetch kubernetes: 403"
	if err == nil || err.Error() != wantErr {
		t.Errorf("error %v, want\n%s", err, wantErr)
	}
	want := `| Kubernetes | date | what ran | result | what differs between versions |
|---|---|---|---|---|
| 1.36.3 | 2026-11-26 | 3 cases in 1m1s | passed | opens after |
| 1.33.13 | 2026-11-27 | 3 cases in 10s | failed: TestServer/opening, TestShell | ` +
		`opens before; left out: TestScripts/clone: too old |
| 1.9.0 | 2026-11-27 | nothing | did not run: fetch kubernetes: 403 |  |

## What ran

Cases that passed, of those that ran:

| test | 1.36.3 | 1.33.13 | 1.9.0 |
|---|---|---|---|
| TestScripts/clone | 1 | – | – |
| TestServer | 2 | 1 of 2 | – |
| TestShell | – | 0 of 1 | – |
`
	if got := strings.TrimPrefix(page, heading); got != want {
		t.Errorf("the page is\n%swant\n%s", got, want)
	}
}

// What is not a version's own result is no result.
func TestNotItsOwn(t *testing.T) {
	for name, results := range map[string]string{
		"the tests ran on Kubernetes 1.36.3":                   newest,
		"the tests do not say on which Kubernetes they ran":    `{"Action":"pass","Package":"e2e"}`,
		"invalid character 'e' looking for beginning of value": "e2e: killed",
	} {
		page, err := write(t, map[string]string{"1.35.4": results})
		if err == nil || !strings.HasSuffix(err.Error(), "1.35.4.json: "+name) || page != "" {
			t.Errorf("error %v, want %s; the page is %q", err, name, page)
		}
	}
}

// write writes the page of the results, by version. No page is an empty one.
func write(t *testing.T, results map[string]string) (string, error) {
	t.Helper()
	folder := t.TempDir()
	var paths []string
	for version, text := range results {
		path := filepath.Join(folder, version+".json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	page := filepath.Join(folder, "page.md")
	failed := run(page, paths)
	text, err := os.ReadFile(page)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text), failed
}
