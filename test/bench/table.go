//go:build unix

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// print writes the tables: what each command takes, what it asks for, and how they compare.
func (r *report) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "Kubernetes %s, %d repetitions, medians with quartiles\n", r.Kubernetes, r.Repeat)
	r.printTimes(table, "time to prompt, s", toPrompt)
	r.printTimes(table, "time to return, s", toReturn)
	r.printCosts(table)
	r.printRatios(table)
	fmt.Fprint(table, "\nprogram\tversion\tstart, ms of CPU\tMB\n")
	for _, p := range r.Programs {
		fmt.Fprintf(table, "%s\t%s\t%s\t%.1f\n", p.Command, p.Version, p.StartCPUMs.text("%.0f", 1),
			float64(p.Bytes)/1e6)
	}
	for _, failure := range r.Failures {
		fmt.Fprintf(table, "\nfailed: %s\n", failure)
	}
	return table.Flush()
}

func (r *report) printTimes(w io.Writer, title, what string) {
	r.printHead(w, title)
	for _, s := range r.Subjects {
		cells := []string{s.Name}
		for _, rtt := range r.RTTsMs {
			cell := "-"
			for _, t := range s.Times {
				if t.RTTMs == rtt {
					cell = t.of(what).text("%.2f", 1000)
				}
			}
			cells = append(cells, cell)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
}

// printHead begins a table with a column for each round-trip time.
func (r *report) printHead(w io.Writer, title string) {
	cells := []string{title}
	for _, rtt := range r.RTTsMs {
		cells = append(cells, fmt.Sprintf("rtt %.0f ms", rtt))
	}
	fmt.Fprintln(w, "\n"+strings.Join(cells, "\t"))
}

func (r *report) printCosts(w io.Writer) {
	fmt.Fprintln(w, "\ncosts\tround trips: slope\tto prompt\tin all\trequests\tconnections\tKB to client\t"+
		"KB to server\tCPU, ms\tpeak, MB\tafter")
	for _, s := range r.Subjects {
		t := s.Traffic
		fmt.Fprintf(w, "%s\t%.1f\t%d\t%d\t%d\t%d\t%.1f\t%.1f\t%s\t%s\t%s\n", s.Name, s.SlopeRoundTrips,
			t.RoundTripsToPrompt, t.RoundTrips, len(t.Requests), t.Connections, float64(t.BytesToClient)/1e3,
			float64(t.BytesToServer)/1e3, s.CPUMs.text("%.0f", 1), s.PeakBytes.text("%.0f", 1e6), s.after())
	}
}

// after says what the command has left, and how often if that differs.
func (s subjectReport) after() string {
	var outcomes []string
	count := map[string]int{}
	for _, one := range s.Samples {
		if count[one.After]++; count[one.After] == 1 {
			outcomes = append(outcomes, one.After)
		}
	}
	if len(outcomes) == 1 {
		return outcomes[0]
	}
	for i, what := range outcomes {
		outcomes[i] = fmt.Sprintf("%s (%d)", what, count[what])
	}
	return strings.Join(outcomes, ", ")
}

func (r *report) printRatios(w io.Writer) {
	r.printHead(w, "ratio")
	for _, compared := range ratios() {
		cells := []string{fmt.Sprintf("%s of %s / %s", compared.what, compared.of, compared.to)}
		for _, rtt := range r.RTTsMs {
			cell := "-"
			for _, got := range r.Ratios {
				if (ratio{got.Of, got.To, got.What}) == compared && got.RTTMs == rtt {
					cell = got.Ratio.text("%.2f", 1)
				}
			}
			cells = append(cells, cell)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
}

// text is the median and the quartiles in a unit: 1.20 (1.10-1.40)
func (s spread) text(format string, unit float64) string {
	return fmt.Sprintf(format+" ("+format+"-"+format+")", s.Median/unit, s.Q1/unit, s.Q3/unit)
}
