package workload

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

// tableType asks for a Table: of each object what kubectl shows of it, instead of the object.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
const tableType = "application/json;as=Table;v=v1;g=meta.k8s.io"

// errNoTable is the error for an answer that is not a Table with the columns that were asked for. Its caller
// lists the objects themselves.
var errNoTable = errors.New("not a table")

// table is a Table of the objects of a resource in a namespace, and the columns to read.
type table struct {
	group, version      string // a version that is empty is v1
	namespace, resource string
	selector            string // of labels; empty for all objects
	columns             []string
}

// listTable reads a Table from the API server's cache. It calls take with the cells of the columns, for each
// row, as long as take returns true.
func listTable(ctx context.Context, client rest.Interface, t table, take func(cells []string) bool) error {
	path := "/api/v1"
	if t.group != "" {
		path = "/apis/" + t.group + "/" + cmp.Or(t.version, "v1")
	}
	request := client.Get().AbsPath(path).Namespace(t.namespace).Resource(t.resource).
		SetHeader("Accept", tableType).Param("includeObject", "None").Param("resourceVersion", "0")
	if t.selector != "" {
		request = request.Param("labelSelector", t.selector)
	}
	answer, err := request.Stream(ctx)
	if apierrors.IsNotAcceptable(err) {
		return errNoTable
	}
	if err != nil {
		return err
	}
	defer answer.Close()
	if err := readTable(json.NewDecoder(answer), t.columns, take); err != nil {
		return fmt.Errorf("%w: %w", errNoTable, err)
	}
	return nil
}

// readTable reads row by row: a Table of thousands of rows takes no more memory than one of a few.
func readTable(d *json.Decoder, columns []string, take func(cells []string) bool) error {
	var kind string
	var defined []struct{ Name string }
	if err := expect(d, json.Delim('{')); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		switch key {
		case "kind":
			err = d.Decode(&kind)
		case "columnDefinitions":
			err = d.Decode(&defined)
		case "rows":
			if kind != "Table" {
				return fmt.Errorf("its kind is %q", kind)
			}
			var names []string
			for _, column := range defined {
				names = append(names, column.Name)
			}
			return readRows(d, names, columns, take)
		default:
			err = d.Decode(new(json.RawMessage))
		}
		if err != nil {
			return err
		}
	}
	return errors.New("it has no rows")
}

func readRows(d *json.Decoder, defined, columns []string, take func(cells []string) bool) error {
	var places []int
	for _, column := range columns {
		place := slices.Index(defined, column)
		if place < 0 {
			return fmt.Errorf("it has no column %s", column)
		}
		places = append(places, place)
	}
	if err := expect(d, json.Delim('[')); err != nil {
		return err
	}
	cells := make([]string, len(columns))
	var row struct{ Cells []any } // one for all rows, which reuse its memory
	for d.More() {
		row.Cells = row.Cells[:0]
		if err := d.Decode(&row); err != nil {
			return err
		}
		if len(row.Cells) != len(defined) {
			return fmt.Errorf("a row has %d cells in %d columns", len(row.Cells), len(defined))
		}
		for i, place := range places {
			switch cell := row.Cells[place].(type) {
			case string:
				cells[i] = cell
			case float64: // a number
				cells[i] = strconv.FormatFloat(cell, 'f', -1, 64)
			default:
				return fmt.Errorf("column %s has a %T", columns[i], cell)
			}
		}
		if !take(cells) {
			return nil
		}
	}
	return expect(d, json.Delim(']')) // an answer that was cut off does not have it
}

func expect(d *json.Decoder, delim json.Delim) error {
	token, err := d.Token()
	if err == nil && token != delim {
		err = fmt.Errorf("%v where %v was expected", token, delim)
	}
	return err
}
