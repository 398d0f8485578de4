package run

import (
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// TestRefusedLease: a session without a lease goes on, unless one of our policies refuses the lease for
// what a flag says: it would refuse the rest too. A session that joins another one needs none.
func TestRefusedLease(t *testing.T) {
	forbidden := func(words string) *pendingLease {
		return &pendingLease{terms: lease.Terms{Namespace: "shop", Session: "x7k2p"}, err: apierrors.NewForbidden(
			schema.GroupResource{Group: "batch", Resource: "jobs"}, "eshell-x7k2p", errors.New(words))}
	}
	ours := forbidden("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: eshell policy reason: why? (--reason)")
	if err := ours.refusal(&plan.Plan{}); err == nil ||
		!strings.HasPrefix(err.Error(), "create job/eshell-x7k2p in namespace shop: ") {
		t.Errorf("our policy: %v", err)
	}
	if err := ours.refusal(&plan.Plan{Joins: true}); err != nil {
		t.Errorf("a plan that joins: %v", err)
	}
	suspended := forbidden("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: " +
		"eshell policy ttl: this lease would not end in its own time")
	for _, goesOn := range []*pendingLease{{}, forbidden("exceeded quota"), suspended} {
		if err := goesOn.refusal(&plan.Plan{}); err != nil {
			t.Error(err)
		}
	}
}
