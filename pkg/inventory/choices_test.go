package inventory

import (
	"errors"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

func TestChoices(t *testing.T) {
	bobs := says(owned.UserAnnotation, "bob")
	later := func(j *batchv1.Job) { j.CreationTimestamp = metav1.NewTime(then.Add(time.Minute)) }
	tests := []struct {
		name       string
		objects    []runtime.Object
		pods, jobs error
		want       string
		asked      string
	}{
		{"one user's, the latest first", []runtime.Object{theLease("aaaaa"), theLease("bbbbb", debug, uid("b"), later)},
			nil, nil, "eshell-bbbbb Running, api-eshell-aaaaa Unknown", "list jobs"},
		{"the caller's own first", []runtime.Object{theLease("aaaaa"), theLease("bbbbb", uid("b"), later, bobs)},
			nil, nil, "api-eshell-aaaaa Unknown, api-eshell-bbbbb Unknown",
			"list jobs, create selfsubjectreviews"},
		{"a name that is none", []runtime.Object{theLease("aaaaa", says(owned.PodAnnotation, "$(reboot)"))},
			nil, nil, "eshell-aaaaa Unknown", "list jobs"},
		{"somebody's Job", []runtime.Object{theLease("aaaaa", func(j *batchv1.Job) { j.Name = "sum" })},
			nil, nil, "", "list jobs"},
		{"no jobs", []runtime.Object{clone("aaaaa")}, nil, forbidden("jobs"), "api-eshell-aaaaa Running",
			"list jobs, list pods"},
		{"neither", nil, forbidden("pods"), forbidden("jobs"), "pods is forbidden: no", "list jobs, list pods"},
		{"a failure", nil, nil, errors.New("no answer"), "no answer", "list jobs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := cluster(tt.objects...)
			if tt.pods != nil {
				failing(client, "list", "pods", tt.pods)
			}
			if tt.jobs != nil {
				failing(client, "list", "jobs", tt.jobs)
			}
			found, err := Choices(t.Context(), client, "shop")
			var got, asked []string
			for _, s := range found {
				got = append(got, s.Name+" "+string(s.State))
			}
			if err != nil {
				got = append(got, err.Error())
			}
			for _, action := range client.Actions() {
				asked = append(asked, action.GetVerb()+" "+action.GetResource().Resource)
			}
			if strings.Join(got, ", ") != tt.want || strings.Join(asked, ", ") != tt.asked {
				t.Errorf("%q after %q; want %q after %q", got, asked, tt.want, tt.asked)
			}
		})
	}
}
