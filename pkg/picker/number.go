package picker

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// mostNumbered is how many items a numbered list shows.
const mostNumbered = 20

// pickByNumber lists the items and asks for one, line by line. A name, or a part of one, narrows the list.
func pickByNumber(ctx context.Context, keys *keyboard, out io.Writer, l List) (int, error) {
	l = l.printable()
	all := make([]int, len(l.Items))
	for n := range all {
		all[n] = n
	}
	listed := all
	fmt.Fprintf(out, "%s %s:\n", l.Prompt, l.Place)
	for {
		l.number(out, listed)
		fmt.Fprint(out, "Number or name: ")
		line, err := keys.line(ctx)
		if err != nil {
			return 0, err
		}
		if n, err := strconv.Atoi(line); err == nil && n >= 1 && n <= min(len(listed), mostNumbered) {
			return listed[n-1], nil
		}
		switch named := l.named(line, all); {
		case line == "":
			listed = all
		case len(named) == 1:
			return named[0], nil
		case len(named) == 0:
			fmt.Fprintf(out, "There is no %s.\n", printable(line))
		default:
			listed = named
		}
	}
}

// number prints items with numbers.
func (l List) number(out io.Writer, listed []int) {
	for n, index := range listed[:min(len(listed), mostNumbered)] {
		texts := slices.Concat([]string{l.Items[index].Name}, l.Items[index].Details)
		fmt.Fprintf(out, "%3d) %s\n", n+1, strings.Join(texts, "  "))
	}
	if more := len(listed) - mostNumbered; more > 0 {
		fmt.Fprintf(out, "     and %d more: a part of a name lists fewer\n", more)
	}
}

// named returns the item that has a name or, if none has, those whose names contain it.
func (l List) named(name string, all []int) []int {
	var containing []int
	for _, index := range all {
		switch text := l.Items[index].Name; {
		case text == name:
			return []int{index}
		case strings.Contains(text, name):
			containing = append(containing, index)
		}
	}
	return containing
}

// line reads a line, without its end.
func (k *keyboard) line(ctx context.Context) (string, error) {
	var line strings.Builder
	for {
		k.ask()
		select {
		case r := <-k.came:
			k.asked = false
			switch {
			case r.err != nil:
				return "", k.over(ctx, r.err)
			case r.char == '\n':
				return strings.TrimSpace(line.String()), nil
			}
			line.WriteByte(r.char)
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}
