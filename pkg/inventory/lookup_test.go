package inventory

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

func TestLookup(t *testing.T) {
	controlled := func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "api", Controller: new(true)}}
	}
	both := []runtime.Object{clone("x7k2p", leased), theLease("x7k2p")}
	const leasedClone = "shop api-eshell-x7k2p clone deployment/api api-eshell-x7k2p app eshell-x7k2p Running 1h0m0s ann incident 12"
	tests := []struct {
		name, called string
		objects      []runtime.Object
		want         string // empty: there is none
	}{
		{"a clone", "api-eshell-x7k2p", both, leasedClone},
		{"a clone by its lease", "eshell-x7k2p", both, leasedClone},
		{"a clone without a lease", "api-eshell-x7k2p", []runtime.Object{clone("x7k2p")},
			"shop api-eshell-x7k2p clone deployment/api api-eshell-x7k2p app  Running 8h1m0s ann incident 12"},
		{"a debug session", "eshell-x7k2p", []runtime.Object{theLease("x7k2p", debug)},
			"shop eshell-x7k2p debug deployment/api api-7d4b9 eshell-x7k2p eshell-x7k2p Running 1h0m0s ann incident 12"},
		{"a clone that is gone", "eshell-x7k2p", []runtime.Object{theLease("x7k2p")},
			"shop eshell-x7k2p clone deployment/api   eshell-x7k2p Deleted 1h0m0s ann incident 12"},
		{"a clone that is gone, by its name", "api-eshell-x7k2p", []runtime.Object{theLease("x7k2p")}, ""},
		{"somebody else's pod", "api-eshell-x7k2p", []runtime.Object{clone("x7k2p", controlled)}, ""},
		{"a pod that ends like a session", "other-x7k2p", both, ""},
		{"nothing", "api-eshell-x7k2p", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := cluster(tt.objects...)
			found, err := Lookup(t.Context(), client, "shop", tt.called)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if s, err := found.Find(tt.called); err == nil {
				got = line(s)
			}
			if got != tt.want || found.User != "ann" {
				t.Errorf("got\n%s, of %s; want\n%s", got, found.User, tt.want)
			}
			for _, action := range client.Actions() {
				if action.GetVerb() == "list" {
					t.Errorf("it lists %s", action.GetResource().Resource)
				}
			}
		})
	}
}

// Who may read only one of the two finds what that one tells.
func TestLookupForbidden(t *testing.T) {
	client := cluster(clone("x7k2p", leased), theLease("x7k2p"))
	failing(client, "get", "pods", forbidden("pods"))
	found, err := Lookup(t.Context(), client, "shop", "api-eshell-x7k2p")
	if err != nil || len(found.Sessions) != 1 || found.Sessions[0].State != Unknown || found.Unread == nil {
		t.Errorf("%+v, %v", found, err)
	}
	failing(client, "get", "jobs", forbidden("jobs"))
	if _, err := Lookup(t.Context(), client, "shop", "api-eshell-x7k2p"); err == nil ||
		!strings.HasPrefix(err.Error(), "session api-eshell-x7k2p: pods is forbidden") {
		t.Errorf("neither may be read: %v", err)
	}
	client = cluster()
	client.PrependReactor("get", "jobs",
		func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("away") })
	if _, err := Lookup(t.Context(), client, "shop", "api-eshell-x7k2p"); err == nil {
		t.Error("a server that does not answer is taken for a no")
	}
}
