package workload

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// decodeStrictly decodes an object, and refuses unknown fields. An error names the field by its path and
// repeats no value.
func decodeStrictly(content map[string]any, into any) error {
	err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(content, into, true)
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		for _, problem := range strict.Errors() {
			if !unknownField.MatchString(problem.Error()) {
				return fmt.Errorf("strict decoding error: unknown field whose name is no field's")
			}
		}
		return err
	}
	return misfit(content, into, err)
}

var unknownField = regexp.MustCompile(`^unknown field "[\w.\[\]/-]{1,253}"$`)

// decodeLeniently decodes an object that may have fields that the API's type does not have.
func decodeLeniently(content map[string]any, into any) error {
	return misfit(content, into, runtime.DefaultUnstructuredConverter.FromUnstructured(content, into))
}

// misfit returns an error that names the first field that does not fit into an object, if err says that one
// does not. The key of a map is not a field: it may be a secret, as a value may be.
func misfit(content map[string]any, into any, err error) error {
	if err == nil {
		return nil
	}
	path, value := firstMisfit(content, func(object any) bool {
		fresh := reflect.New(reflect.TypeOf(into).Elem()).Interface()
		content, isObject := object.(map[string]any)
		return isObject && runtime.DefaultUnstructuredConverter.FromUnstructured(content, fresh) == nil
	})
	return fmt.Errorf("%s: the value, %s, has the wrong type or format", strings.TrimPrefix(path, "."),
		typeOf(value))
}

// firstMisfit returns the first part of a value that does not fit even without the other parts, and its path.
func firstMisfit(value any, fits func(any) bool) (path string, part any) {
	switch value := value.(type) {
	case map[string]any:
		if !fits(map[string]any{}) {
			break // it is not to be an object
		}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			alone := func(part any) bool { return fits(map[string]any{key: part}) }
			if alone(value[key]) {
				continue
			}
			step := "." + key
			if !fits(map[string]any{"no field's name": value[key]}) {
				step = "[*]"
			}
			path, part := firstMisfit(value[key], alone)
			return step + path, part
		}
	case []any:
		if !fits([]any{}) {
			break
		}
		alone := func(part any) bool { return fits([]any{part}) }
		if i := slices.IndexFunc(value, func(part any) bool { return !alone(part) }); i >= 0 {
			path, part := firstMisfit(value[i], alone)
			return fmt.Sprintf("[%d]%s", i, path), part
		}
	}
	return "", value
}

func typeOf(value any) string {
	switch value.(type) {
	case nil:
		return "a null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return "a number"
}

// syntaxProblem returns what is wrong with a document, without any of its words. Those that the parser always
// uses are kept, with the line that they name.
func syntaxProblem(err error) string {
	said := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "error converting YAML to JSON: "), "yaml: ")
	if parserMessage.MatchString(said) {
		return said
	}
	for _, known := range [][2]string{
		{"anchor", "an alias (*) or an anchor (&) cannot be resolved"},
		{"map key", "a key is not a string"},
		{"cannot decode", "a value does not fit its tag (!!)"},
	} {
		if strings.Contains(said, known[0]) {
			return known[1]
		}
	}
	return "it is neither YAML nor JSON"
}

// parserMessage matches messages of go.yaml.in/yaml and encoding/json that are constant.
var parserMessage = regexp.MustCompile(`^(line [0-9]+: )?(` +
	`(mapping|block|simple|control)[a-z -]* (is|are) (not allowed|expected|required)[a-z ]*|` +
	`(found|exceeded|did not find|could not find|invalid leading|invalid trailing) ` +
	`[A-Za-z0-9 -]*('[^']' or )*('[^']')?[a-z ]*|` +
	`map merge requires map or sequence of maps as the value|` +
	`!!binary value contains invalid base64 data|unexpected EOF)$`)
