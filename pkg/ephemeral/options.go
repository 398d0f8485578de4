package ephemeral

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Option is an option of one call that writes. Options that contradict the call are refused before it is
// sent, with an *InvalidError.
type Option func(*settings)

type settings struct {
	metav1.PatchOptions
	timeout *time.Duration
}

// DryRun makes the server judge the call, and store nothing.
func DryRun() Option {
	return func(s *settings) { s.PatchOptions.DryRun = []string{metav1.DryRunAll} }
}

// FieldManager sets the name under which the server records who owns the changed fields. Server-side apply
// needs one: https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers
func FieldManager(name string) Option {
	return func(s *settings) { s.PatchOptions.FieldManager = name }
}

// FieldValidation sets what the server does about fields that it does not know:
// metav1.FieldValidationIgnore, FieldValidationWarn (the server's default) or FieldValidationStrict.
func FieldValidation(mode string) Option {
	return func(s *settings) { s.PatchOptions.FieldValidation = mode }
}

// Force takes over the fields that belong to other field managers. Only server-side apply has it.
func Force() Option {
	return func(s *settings) { s.PatchOptions.Force = new(true) }
}

// Timeout bounds the call, with all of its retries. Without it, the context alone does.
func Timeout(limit time.Duration) Option {
	return func(s *settings) { s.timeout = &limit }
}

// configure returns the settings of a call that sends this kind of patch, and the call's context.
func configure(ctx context.Context, kind types.PatchType, options []Option) (context.Context,
	context.CancelFunc, settings, error) {
	var s settings
	for _, option := range options {
		option(&s)
	}
	invalid := validation.ValidatePatchOptions(&s.PatchOptions, kind)
	if s.timeout != nil && *s.timeout <= 0 {
		invalid = append(invalid, field.Invalid(field.NewPath("timeout"), s.timeout.String(),
			"must be greater than 0"))
	}
	switch {
	case len(invalid) > 0:
		return ctx, func() {}, s, &InvalidError{"", invalid}
	case s.timeout != nil:
		ctx, cancel := context.WithTimeout(ctx, *s.timeout)
		return ctx, cancel, s, nil
	}
	return ctx, func() {}, s, nil
}

func (s settings) update() metav1.UpdateOptions {
	return metav1.UpdateOptions{DryRun: s.PatchOptions.DryRun, FieldManager: s.PatchOptions.FieldManager,
		FieldValidation: s.PatchOptions.FieldValidation}
}
