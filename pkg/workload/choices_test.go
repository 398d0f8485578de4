package workload

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// tableText is a Table as an API server writes it.
func tableText(columns string, rows ...string) string {
	var defined []string
	for column := range strings.SplitSeq(columns, ",") {
		defined = append(defined, fmt.Sprintf(`{"name":%q}`, column))
	}
	for n, row := range rows {
		rows[n] = `{"cells":[` + row + `],"object":null}`
	}
	return `{"kind":"Table","apiVersion":"meta.k8s.io/v1","columnDefinitions":[` + strings.Join(defined, ",") +
		`],"rows":[` + strings.Join(rows, ",") + `]}`
}

func TestChoices(t *testing.T) {
	deployments := tableText("Name,Ready,Up-to-date,Available,Age,Containers,Images,Selector",
		`"api","2/3",3,2,"3d","app,proxy","shop/api:v1,shop/proxy:v2","app=api"`,
		`"web","1/1",1,1,"5m","web","shop/web:v1","app=web"`)
	for _, tt := range []struct {
		typ, prefix, resource, table string
		want                         []Choice
	}{
		{"deploy", "", "deployments", deployments, []Choice{
			{"Deployment", "deploy", "api", "2/3 ready", []string{"shop/api:v1", "shop/proxy:v2"}, "3d"},
			{"Deployment", "deploy", "web", "1/1 ready", []string{"shop/web:v1"}, "5m"}}},
		{"deployments.apps", "w", "deployments", deployments, []Choice{
			{"Deployment", "deploy", "web", "1/1 ready", []string{"shop/web:v1"}, "5m"}}},
		{"po", "", "pods", tableText("Name,Ready,Status,Restarts,Age,IP",
			`"api-1","0/1","CrashLoopBackOff","4 (2m ago)","9m","<none>"`),
			[]Choice{{"Pod", "pod", "api-1", "CrashLoopBackOff 0/1", nil, "9m"}}},
		{"ds", "", "daemonsets", tableText("Name,Desired,Current,Ready,Age,Images", `"log",3,3,2,"1y","log:1"`),
			[]Choice{{"DaemonSet", "ds", "log", "2/3 ready", []string{"log:1"}, "1y"}}},
		{"job", "", "jobs", tableText("Name,Status,Completions,Age,Images",
			`"sum","Running","0/4","1h","sum:1"`),
			[]Choice{{"Job", "job", "sum", "0/4 complete", []string{"sum:1"}, "1h"}}},
		{"cj", "", "cronjobs", tableText("Name,Schedule,Suspend,Age,Images",
			`"a","0 3 * * *","False","1h","a:1"`, `"b","@daily","True","2h","b:1"`), []Choice{
			{"CronJob", "cronjob", "a", "0 3 * * *", []string{"a:1"}, "1h"},
			{"CronJob", "cronjob", "b", "@daily (suspended)", []string{"b:1"}, "2h"}}},
		{"svc", "", "services", tableText("Name,Type,Port(s),Age", `"api","ClusterIP","80/TCP","1h"`),
			[]Choice{{"Service", "svc", "api", "ClusterIP 80/TCP", nil, "1h"}}},
	} {
		server := &tables{answer: map[string]string{tt.resource: tt.table}}
		got, err := Cluster{Tables: server.client(t)}.Choices(t.Context(), "shop", tt.typ, tt.prefix)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s/%s: %+v, %v; want %+v", tt.typ, tt.prefix, got, err, tt.want)
		}
		if asked := server.asked[0].URL; len(server.asked) != 1 ||
			asked.Query().Get("labelSelector") != "!"+owned.SessionLabel ||
			asked.Query().Get("includeObject") != "None" {
			t.Errorf("%s: %d requests, the first for %s", tt.typ, len(server.asked), asked)
		}
	}
}

// A server without Tables has names.
func TestChoicesWithoutTables(t *testing.T) {
	ours := pod("api-eshell-x7k2p")
	ours.Labels = owned.Labels("x7k2p")
	client := fake.NewClientset([]runtime.Object{pod("api-1"), pod("api-2"), pod("web-1"), ours}...)
	for _, answer := range []string{"406", "{}", tableText("Name", `"api-1"`)} {
		server := &tables{answer: map[string]string{"pods": answer}}
		got, err := Cluster{Client: client, Tables: server.client(t)}.Choices(t.Context(), "shop", "pod", "api")
		want := []Choice{{Kind: "Pod", Type: "pod", Name: "api-1"}, {Kind: "Pod", Type: "pod", Name: "api-2"}}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", answer, got, err)
		}
	}
}

// Of ten thousand pods the first are read.
func TestChoicesAreLimited(t *testing.T) {
	rows := make([]string, 10_000)
	for n := range rows {
		rows[n] = fmt.Sprintf(`"api-%05d","1/1","Running","1d"`, n)
	}
	text := tableText("Name,Ready,Status,Age", rows...)
	cut := strings.TrimSuffix(text, "]}") // as if it went on for ever
	server := &tables{answer: map[string]string{"pods": cut}}
	got, err := Cluster{Tables: server.client(t)}.Choices(t.Context(), "shop", "pod", "")
	if err != nil || len(got) != mostChoices || got[0].Name != "api-00000" {
		t.Errorf("%d choices, %v", len(got), err)
	}
}

// Of a custom resource the names are known, whatever other columns it has.
func TestCustomChoices(t *testing.T) {
	server := &tables{answer: map[string]string{"rollouts": tableText("Name,Desired", `"api",2`, `"web",1`)}}
	c := customCluster(t, nil)
	c.Tables = server.client(t)
	got, err := c.Choices(t.Context(), "shop", "rollout", "a")
	if want := []Choice{{Kind: "Rollout", Type: "rollout", Name: "api"}}; err != nil ||
		!reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if asked := server.asked[0].URL.Path; len(server.asked) != 1 ||
		asked != "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts" {
		t.Errorf("%d requests, the first for %s", len(server.asked), asked)
	}
	for _, typ := range []string{"node", "nosuchtype"} {
		if got, err := c.Choices(t.Context(), "shop", typ, ""); err == nil {
			t.Errorf("%s: %+v", typ, got)
		}
	}
}

// Every kind has a short type, and every short type is that of a kind.
func TestShortTypes(t *testing.T) {
	found := map[string]bool{}
	for _, typ := range ShortTypes() {
		k, known := kindNamed(typ)
		if !known || k.short() != typ || found[k.name] {
			t.Errorf("%s is the type of %q, whose short type is %s", typ, k.name, k.short())
		}
		found[k.name] = true
	}
	if len(found) != len(kinds()) {
		t.Errorf("%d short types of %d kinds", len(found), len(kinds()))
	}
}
