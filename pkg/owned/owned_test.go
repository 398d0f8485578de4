package owned

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestPodName(t *testing.T) {
	long := strings.Repeat("a", 49)
	tests := []struct{ source, want string }{
		{"api", "api-eshell-x7k2p"},
		{"api.v2.example", "api-v2-example-eshell-x7k2p"},
		{long + "bcd", long + "b-eshell-x7k2p"},
		{long + "-cd", long + "-eshell-x7k2p"}, // a cut must not leave two dashes in a row
		{strings.Repeat("a", 253), strings.Repeat("a", 50) + "-eshell-x7k2p"},
	}
	for _, tt := range tests {
		got := PodName(tt.source, "x7k2p")
		if got != tt.want {
			t.Errorf("PodName(%q) = %q, want %q", tt.source, got, tt.want)
		}
		if errs := validation.IsDNS1123Label(got); errs != nil {
			t.Errorf("PodName(%q) = %q: %v", tt.source, got, errs)
		}
	}
}

func TestLabelsAreValid(t *testing.T) {
	for key, value := range Labels("x7k2p") {
		if errs := append(validation.IsQualifiedName(key),
			validation.IsValidLabelValue(value)...); errs != nil {
			t.Errorf("label %s=%s: %v", key, value, errs)
		}
	}
	for key := range Annotations("Deployment", "api") {
		if errs := validation.IsQualifiedName(key); errs != nil {
			t.Errorf("annotation %s: %v", key, errs)
		}
	}
}
