package policy

import (
	"errors"
	"fmt"
	"regexp"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// RefusedError is the server's answer to a request that one of the policies refuses. The objects in the
// cluster can have other names than in the files, so the policy's own sentence tells. Or it is the answer to
// a request that a policy, of whomever, cannot judge, because it or its parameters are wrong.
type RefusedError struct {
	Policy   string // one of Names; empty: a policy that cannot judge
	Object   string // the name of the ValidatingAdmissionPolicy
	Binding  string // the name of its binding
	Sentence string // what the policy asks for, or why it cannot judge
	Err      error  // with the server's words
}

// Error says what the policy asks for, and by which name an administrator finds it.
func (e *RefusedError) Error() string {
	if e.Policy == "" {
		return fmt.Sprintf("the policy %s of this cluster refuses it, because it cannot be evaluated: %s",
			e.Object, e.Sentence)
	}
	return fmt.Sprintf("the policy %s of this cluster refuses it: %s", e.Object, e.Sentence)
}

// Unwrap returns the server's answer.
func (e *RefusedError) Unwrap() error { return e.Err }

const denied = `(?s)ValidatingAdmissionPolicy '([^']+)' with binding '([^']+)' denied request: `

var refusal = regexp.MustCompile(denied + `eshell policy ([a-z]+): (.+)`)

// unjudged matches the API server's own words about a policy that it cannot evaluate:
// https://github.com/kubernetes/kubernetes/tree/master/staging/src/k8s.io/apiserver/pkg/admission/plugin/policy
var unjudged = regexp.MustCompile(denied + `(?:failed to configure binding|.+ resulted in error): (.+)`)

// Refusal returns the refusal in an error's chain, or nil if none of the policies has refused the request and
// each could be evaluated.
func Refusal(err error) *RefusedError {
	answer, is := errors.AsType[*apierrors.StatusError](err)
	if !is {
		return nil
	}
	text := answer.Error()
	if found := refusal.FindStringSubmatch(text); found != nil {
		return &RefusedError{Object: found[1], Binding: found[2], Policy: found[3], Sentence: found[4],
			Err: answer}
	}
	if found := unjudged.FindStringSubmatch(text); found != nil {
		return &RefusedError{Object: found[1], Binding: found[2], Sentence: found[3], Err: answer}
	}
	return nil
}
