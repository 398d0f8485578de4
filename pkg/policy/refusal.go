package policy

import (
	"errors"
	"fmt"
	"regexp"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// RefusedError is the server's answer to a request that one of the policies refuses. The objects in the
// cluster can have other names than in the files, so the policy's own sentence tells.
type RefusedError struct {
	Policy   string // one of Names
	Object   string // the name of the ValidatingAdmissionPolicy
	Sentence string // what the policy asks for
	Err      error  // with the server's words
}

// Error says what the policy asks for, and by which name an administrator finds it.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the policy %s of this cluster refuses it: %s", e.Object, e.Sentence)
}

// Unwrap returns the server's answer.
func (e *RefusedError) Unwrap() error { return e.Err }

var refusal = regexp.MustCompile(`(?s)ValidatingAdmissionPolicy '([^']+)' with binding '[^']+' ` +
	`denied request: eshell policy ([a-z]+): (.+)`)

// Refusal returns the refusal in an error's chain, or nil if none of the policies has refused the request.
func Refusal(err error) *RefusedError {
	answer, is := errors.AsType[*apierrors.StatusError](err)
	if !is {
		return nil
	}
	found := refusal.FindStringSubmatch(answer.Error())
	if found == nil {
		return nil
	}
	return &RefusedError{Object: found[1], Policy: found[2], Sentence: found[3], Err: answer}
}
