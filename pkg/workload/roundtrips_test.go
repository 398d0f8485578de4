package workload

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// slowServer answers everything after a second, by path; what it does not have is not found.
type slowServer struct {
	objects map[string]any
	asked   atomic.Int32
}

func (s *slowServer) RoundTrip(request *http.Request) (*http.Response, error) {
	<-time.After(time.Second)
	s.asked.Add(1)
	status, object := http.StatusOK, s.objects[request.URL.Path]
	if object == nil {
		status, object = http.StatusNotFound,
			metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
				Reason: metav1.StatusReasonNotFound}
	}
	body, err := json.Marshal(object)
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(body)), Request: request}, err
}

// What is asked at once takes the time of one answer.
func TestRoundTrips(t *testing.T) {
	plain, claiming, api := deployment(), deployment(mounting("a", "b")),
		service("api", map[string]string{"app": "api"})
	plain.APIVersion, plain.Kind = "apps/v1", "Deployment"
	claiming.TypeMeta = plain.TypeMeta
	api.APIVersion, api.Kind = "v1", "Service"
	pods := &corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"},
		Items: []corev1.Pod{*pod("api-1")}}
	tests := []struct {
		name       string
		deployment any
		query      Query
		trips      int // one after the other
		requests   int32
	}{
		{"a clone", plain, query("Deployment"), 1, 1 + 6 + 11},
		{"with claims", claiming, query("Deployment"), 2, 1 + 6 + 11 + 2 + 1},
		{"with claims and running images", claiming, query("Deployment", pinned), 2, 1 + 6 + 11 + 2 + 1},
		{"of a service without a workload", plain, query("Service"), 2, 1 + 6 + 11 + 1},
		{"a live pod", plain, query("Deployment", live), 2, 1 + 6 + 1},
		{"a manifest", nil, query("", unnamed, manifest(deploymentYAML)), 1, 6 + 11},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &slowServer{objects: map[string]any{
					"/apis/apps/v1/namespaces/shop/deployments/api": tt.deployment,
					"/api/v1/namespaces/shop/services/api":          api,
					"/api/v1/namespaces/shop/pods":                  pods,
				}}
				client, err := kubernetes.NewForConfig(&rest.Config{Host: "http://shop.example",
					Transport: server, QPS: -1})
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				if _, err := Resolve(t.Context(),
					Cluster{Client: client, Tables: client.CoreV1().RESTClient()}, tt.query); err != nil {
					t.Fatal(err)
				}
				trips := int(time.Since(start) / time.Second)
				if requests := server.asked.Load(); trips != tt.trips || requests != tt.requests {
					t.Errorf("%d round trips, %d requests; want %d and %d", trips, requests, tt.trips,
						tt.requests)
				}
			})
		})
	}
}
