package workload

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// tables answers requests for Tables: with those of the objects, or as answer says for a resource.
type tables struct {
	objects []runtime.Object
	answer  map[string]string // "406" is a status

	mu    sync.Mutex
	asked []*http.Request
}

func (s *tables) RoundTrip(request *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked = append(s.asked, request)
	s.mu.Unlock()
	resource := path.Base(request.URL.Path)
	body, other := s.answer[resource]
	if !other {
		body = s.table(resource)
	}
	status := http.StatusOK
	if n, err := fmt.Sscanf(body, "%d", &status); n == 1 && err == nil {
		body = fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"message":"no"}`,
			status)
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: request}, nil
}

// client is a cluster's client for Tables.
func (s *tables) client(t *testing.T) rest.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "http://shop.example", Transport: s, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return client.CoreV1().RESTClient()
}

// table prints what the API server does: pkg/printers/internalversion/printers.go in Kubernetes.
func (s *tables) table(resource string) string {
	columns, rows := "Name Selector", []map[string]any{}
	if resource == "jobs" {
		columns = "Name Status Completions Containers Selector"
	}
	for _, object := range s.objects {
		switch o := object.(type) {
		case *appsv1.ReplicaSet:
			if resource == "replicasets" {
				rows = append(rows, row(o.Name, metav1.FormatLabelSelector(o.Spec.Selector)))
			}
		case *batchv1.Job:
			if resource == "jobs" {
				var containers []string
				for _, c := range o.Spec.Template.Spec.Containers {
					containers = append(containers, c.Name)
				}
				rows = append(rows, row(o.Name, statusOf(o), "0/1", strings.Join(containers, ","),
					metav1.FormatLabelSelector(o.Spec.Selector)))
			}
		}
	}
	var defined []map[string]string
	for _, column := range strings.Fields(columns) {
		defined = append(defined, map[string]string{"name": column, "type": "string"})
	}
	text, err := json.Marshal(metav1Table{"Table", "meta.k8s.io/v1", map[string]any{}, defined, rows})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// metav1Table is a metav1.Table, in the order in which a server writes it.
type metav1Table struct {
	Kind              string              `json:"kind"`
	APIVersion        string              `json:"apiVersion"`
	Metadata          map[string]any      `json:"metadata"`
	ColumnDefinitions []map[string]string `json:"columnDefinitions"`
	Rows              []map[string]any    `json:"rows"`
}

func row(cells ...any) map[string]any { return map[string]any{"cells": cells, "object": nil} }

func statusOf(job *batchv1.Job) string {
	for _, c := range job.Status.Conditions {
		if c.Status == corev1.ConditionTrue {
			return string(c.Type)
		}
	}
	return "Running"
}

// reached has a condition.
func reached(j *batchv1.Job, condition batchv1.JobConditionType) *batchv1.Job {
	j.Status.Conditions = append(j.Status.Conditions, batchv1.JobCondition{Type: condition,
		Status: corev1.ConditionTrue})
	return j
}

// generated has the selector that a server generates.
func generated(j *batchv1.Job) *batchv1.Job {
	j.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{
		batchv1.ControllerUidLabel: "uid-of-" + j.Name}}
	return j
}

// aLease is a Job like a session's.
func aLease(name string) *batchv1.Job {
	j := generated(job(name))
	j.Labels = owned.Labels("x7k2p")
	j.Spec.Template.Spec.Containers = []corev1.Container{{Name: "never-runs"}}
	return j
}

// sets are ReplicaSets whose labels say that they are of a Deployment and whose selectors do not.
func sets(count int) (objects []runtime.Object) {
	for n := range count {
		objects = append(objects, marked(replicaSet(fmt.Sprintf("copy-%d", n), "")))
	}
	return objects
}

const (
	setsTable  = "table replicasets"
	setsLikely = "list replicasets !pod-template-hash"
	jobsTable  = "table jobs"
	jobsLikely = "list jobs app.kubernetes.io/managed-by!=kubectl-eshell status.successful=0"
)

// What is asked for, and that whatever does not answer with a usable Table is asked for the objects.
func TestScarce(t *testing.T) {
	columns := `"columnDefinitions":[{"name":"Name"},{"name":"Selector"}]`
	whole := []string{setsTable, setsLikely, "list replicasets", jobsTable, jobsLikely}
	few := []string{setsTable, setsLikely, jobsTable, jobsLikely}
	bare := replicaSet("bare", "")
	tests := []struct {
		name    string
		objects []runtime.Object
		answer  string // to the request for the Table of ReplicaSets; empty: the Table
		asked   []string
		want    string // what selects
	}{
		{"nothing that matters", []runtime.Object{replicaSet("api-1", "1"), generated(job("j"))}, "", few,
			""},
		{"a bare replica set", []runtime.Object{bare, replicaSet("api-1", "1")}, "", few,
			"replicaset/bare app=api"},
		{"a label that it does not require", sets(1), "", append([]string{"get replicasets copy-0"}, few...),
			"replicaset/copy-0 app=api"},
		{"many of these", sets(mostGets + 1), "", whole, "11 selectors"},
		{"a job's own selector", []runtime.Object{manual(job("j"))}, "", few,
			"job/j batch.kubernetes.io/job-name=j"},
		{"that of a job that has finished", []runtime.Object{reached(manual(job("j")), batchv1.JobFailed)},
			"", few, ""},
		{"a lease", []runtime.Object{aLease("eshell-x7k2p")}, "", few, ""},
		{"a job like a lease, with its own selector",
			[]runtime.Object{manual(reached(job("j"), batchv1.JobSuspended))}, "", few,
			"job/j batch.kubernetes.io/job-name=j"},

		{"no tables", []runtime.Object{bare}, "406", whole, "replicaset/bare app=api"},
		{"a list", []runtime.Object{bare}, `{"kind":"ReplicaSetList","items":[]}`, whole,
			"replicaset/bare app=api"},
		{"rows of something else", []runtime.Object{bare}, `{"kind":"List",` + columns + `,"rows":[]}`,
			whole, "replicaset/bare app=api"},
		{"no column", []runtime.Object{bare},
			`{"kind":"Table","columnDefinitions":[{"name":"Name"}],"rows":[]}`, whole,
			"replicaset/bare app=api"},
		{"a row that is too short", []runtime.Object{bare},
			`{"kind":"Table",` + columns + `,"rows":[{"cells":["bare"]}]}`, whole, "replicaset/bare app=api"},
		{"a cell that is neither text nor a number", []runtime.Object{bare},
			`{"kind":"Table",` + columns + `,"rows":[{"cells":["bare",null]}]}`, whole,
			"replicaset/bare app=api"},
		{"a row without cells", []runtime.Object{bare}, `{"kind":"Table",` + columns +
			`,"rows":[{"cells":["api-1","pod-template-hash=1"]},{}]}`, whole, "replicaset/bare app=api"},
		{"an unclear selector", sets(1), `{"kind":"Table",` + columns +
			`,"rows":[{"cells":["copy-0","<none>"]}]}`, append([]string{"get replicasets copy-0"}, few...),
			"replicaset/copy-0 app=api"},
		{"cut off", []runtime.Object{bare}, `{"kind":"Table",` + columns + `,"rows":[`, whole,
			"replicaset/bare app=api"},
		{"not JSON", []runtime.Object{bare}, `<html>`, whole, "replicaset/bare app=api"},
		{"forbidden", []runtime.Object{bare}, "403", few,
			"unknown: replicasets.apps cannot be listed: no"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, server := cluster(t, everything, tt.objects...), &tables{objects: tt.objects}
			if tt.answer != "" {
				server.answer = map[string]string{"replicasets": tt.answer}
			}
			near := listSelectors(t.Context(), Cluster{Client: client, Tables: server.client(t)}, "shop")
			got := around(&Workload{NamespaceState: near.NamespaceState})
			if len(near.Selectors) > 5 {
				got = fmt.Sprint(len(near.Selectors), " selectors")
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			asked, want := askedOf(client.Actions(), server.asked), slices.Sorted(slices.Values(tt.asked))
			if !slices.Equal(asked, want) {
				t.Errorf("asked %q\nwant  %q", asked, want)
			}
		})
	}
}

// askedOf are the requests for ReplicaSets and Jobs, in words.
func askedOf(actions []clienttesting.Action, tables []*http.Request) (asked []string) {
	for _, action := range actions {
		words := requested(action)
		if get, ok := action.(clienttesting.GetAction); ok {
			words += " " + get.GetName()
		}
		if list, ok := action.(clienttesting.ListAction); ok {
			words = strings.TrimSpace(words + " " + list.GetListRestrictions().Fields.String())
		}
		if strings.Contains(words, " replicasets") || strings.Contains(words, " jobs") {
			asked = append(asked, words)
		}
	}
	for _, r := range tables {
		words := "table " + path.Base(r.URL.Path)
		query := r.URL.Query()
		if r.Header.Get("Accept") != "application/json;as=Table;v=v1;g=meta.k8s.io" ||
			query.Get("includeObject") != "None" || query.Get("resourceVersion") != "0" {
			words += fmt.Sprint(" with ", r.Header, query)
		}
		asked = append(asked, words)
	}
	slices.Sort(asked)
	return asked
}

// TestTables: the API server's own Tables can be read.
func TestTables(t *testing.T) {
	for resource, s := range map[string]scarce{"replicasets": scarceReplicaSets(), "jobs": scarceJobs()} {
		text, err := os.ReadFile("testdata/" + resource + ".json")
		if err != nil {
			t.Fatal(err)
		}
		server := &tables{answer: map[string]string{resource: string(text)}}
		names, err := s.mattering(t.Context(), server.client(t), "shop")
		want := map[string][]string{"replicasets": {"bare"}, "jobs": {"running", "suspended"}}[resource]
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("%s: %q, %v; want %q", resource, names, err, want)
		}
	}
}

// TestRequires: the text of a selector says that it requires a label only if it does.
func TestRequires(t *testing.T) {
	const hash = appsv1.DefaultDeploymentUniqueLabelKey
	random := rand.New(rand.NewPCG(1, 2))
	word := func() string { return []string{"in", "a", "x/" + hash, hash, hash + "-x"}[random.IntN(5)] }
	value := func() string { return []string{"", "in", "notin", "1", hash}[random.IntN(5)] }
	operators := []metav1.LabelSelectorOperator{"In", "NotIn", "Exists", "DoesNotExist"}
	for range 20000 {
		selector := &metav1.LabelSelector{MatchLabels: map[string]string{}}
		for range random.IntN(3) {
			selector.MatchLabels[word()] = value()
		}
		for range random.IntN(3) {
			r := metav1.LabelSelectorRequirement{Key: word(), Operator: operators[random.IntN(4)]}
			if strings.HasSuffix(string(r.Operator), "In") {
				r.Values = []string{value(), value()}
			}
			selector.MatchExpressions = append(selector.MatchExpressions, r)
		}
		text := metav1.FormatLabelSelector(selector)
		if _, has := selector.MatchLabels[hash]; requires(text, hash) != has {
			t.Fatalf("%q requires %s: %t, want %t", text, hash, !has, has)
		}
	}
	bad := metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: hash, Operator: "Is"}}}
	for _, unclear := range []*metav1.LabelSelector{nil, {}, &bad} {
		if text := metav1.FormatLabelSelector(unclear); requires(text, hash) {
			t.Errorf("%s requires %s", text, hash)
		}
	}
}

// TestScarceEqual: what Tables leave out makes no difference.
func TestScarceEqual(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var objects []runtime.Object
		for n := range random.IntN(30) {
			objects = append(objects, randomObject(random, fmt.Sprintf("o-%d", n)))
		}
		client, server := cluster(t, everything, objects...), &tables{objects: objects}
		// A list comes from another server's cache, which might not have an object yet.
		for _, resource := range []string{"replicasets", "jobs"} {
			late := func(a clienttesting.Action) (bool, runtime.Object, error) {
				restricted := a.(clienttesting.ListAction).GetListRestrictions()
				return !restricted.Labels.Empty() && random.IntN(8) == 0, emptyList(resource), nil
			}
			client.PrependReactor("list", resource, late)
		}
		near := func(tables rest.Interface) []string {
			found := listSelectors(t.Context(), Cluster{Client: client, Tables: tables}, "shop")
			words := strings.Split(around(&Workload{NamespaceState: found.NamespaceState}), ", ")
			for _, w := range found.claimants {
				words = append(words, "claims: "+w.kind+w.meta.Name)
			}
			for _, w := range found.workloads {
				words = append(words, "serves: "+w.kind+w.meta.Name)
			}
			slices.Sort(words)
			return words
		}
		if all, few := near(nil), near(server.client(t)); !slices.Equal(all, few) {
			t.Fatalf("all: %q\nfew: %q", all, few)
		}
	}
}

func emptyList(resource string) runtime.Object {
	if resource == "jobs" {
		return &batchv1.JobList{}
	}
	return &appsv1.ReplicaSetList{}
}

func randomObject(random *rand.Rand, name string) runtime.Object {
	var changes []func(*corev1.PodTemplateSpec)
	if random.IntN(3) == 0 {
		changes = append(changes, mounting("data"))
	}
	if random.IntN(3) == 0 {
		changes = append(changes, func(t *corev1.PodTemplateSpec) {
			t.Spec.Affinity = apart(deployment()).Spec.Template.Spec.Affinity
		})
	}
	if random.IntN(2) == 0 {
		set := replicaSet(name, []string{"", "1"}[random.IntN(2)])
		set.Spec.Template.Spec = template(changes...).Spec
		if random.IntN(4) == 0 {
			set = marked(set)
		}
		return set
	}
	j := generated(job(name, changes...))
	if random.IntN(4) == 0 {
		j = manual(job(name, changes...))
	}
	conditions := []batchv1.JobConditionType{batchv1.JobComplete, batchv1.JobFailed, batchv1.JobSuspended,
		batchv1.JobFailureTarget}
	if n := random.IntN(6); n < len(conditions) {
		j = reached(j, conditions[n])
	}
	return j
}
