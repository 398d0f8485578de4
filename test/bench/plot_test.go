//go:build unix

package main

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// sampled returns a report of two commands, the first of which takes twice as long as the second.
func sampled(rtts ...float64) *report {
	r := &report{RTTsMs: rtts, Repeat: 2, Subjects: []subjectReport{{Name: "clone", Label: "a & b"},
		{Name: "run", Label: "run"}, {Name: "copy-to"}, {Name: "debug"}, {Name: "target"}}}
	for repetition := range 2 {
		for _, rtt := range rtts {
			long := 1000 + 4*rtt + float64(repetition)*100
			r.add("clone", sample{RTTMs: rtt, Repetition: repetition, ToPromptMs: long, ToReturnMs: long})
			r.add("run", sample{RTTMs: rtt, Repetition: repetition, ToPromptMs: long / 2,
				ToReturnMs: long * 2})
		}
	}
	r.summarize()
	return r
}

func TestSummary(t *testing.T) {
	r := sampled(0, 100)
	if got := r.subject("clone"); got.Times[1].ToPromptMs != (spread{1450, 1425, 1475}) ||
		got.SlopeRoundTrips != 4 {
		t.Errorf("clone: %+v", got)
	}
	want := []ratioReport{
		{"clone", "run", toPrompt, 0, spread{2, 2, 2}}, {"clone", "run", toPrompt, 100, spread{2, 2, 2}},
		{"clone", "run", toReturn, 0, spread{.5, .5, .5}},
		{"clone", "run", toReturn, 100, spread{.5, .5, .5}},
	}
	if !slices.Equal(r.Ratios, want) {
		t.Errorf("ratios %+v, want %+v", r.Ratios, want)
	}
}

// TestPlotIsXML: also of a single round-trip time, and of commands of which every session has failed.
func TestPlotIsXML(t *testing.T) {
	for _, r := range []*report{sampled(0, 50, 300), sampled(0)} {
		drawing := r.plot()
		decoder := xml.NewDecoder(strings.NewReader(drawing))
		for {
			_, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v:\n%s", err, drawing)
			}
		}
		if strings.Contains(drawing, "NaN") || strings.Contains(drawing, "Inf") {
			t.Errorf("a point is nowhere:\n%s", drawing)
		}
	}
}

func TestSpreadOut(t *testing.T) {
	labels := []label{{text: "c", y: 101, at: 101}, {text: "a", y: 99, at: 99}, {text: "b", y: 100, at: 100},
		{text: "d", y: 200, at: 200}, {text: "e", y: 200, at: 200}}
	spreadOut(labels, 0, 200)
	for i, want := range []string{"a", "b", "c", "d", "e"} {
		if labels[i].text != want {
			t.Errorf("label %d is %s, want %s", i, labels[i].text, want)
		}
		if i > 0 && labels[i].at-labels[i-1].at < labelHeight-0.5 {
			t.Errorf("%s at %.1f overlaps what is at %.1f", want, labels[i].at, labels[i-1].at)
		}
		if labels[i].at > 200.5 {
			t.Errorf("%s is at %.1f, below the panel", want, labels[i].at)
		}
	}
	if got := labels[1].at; got < 99 || got > 101 {
		t.Errorf("the crowd's middle is at %.1f", got)
	}
}

func TestRoundNumbers(t *testing.T) {
	tests := []struct {
		least, most float64
		want        []float64
	}{
		{0.3, 4, []float64{0.2, 0.5, 1, 2, 5}},
		{1, 1, []float64{1, 2}},
		{0.07, 31, []float64{0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50}},
	}
	for _, tt := range tests {
		if got := roundNumbers(tt.least, tt.most); !slices.Equal(got, tt.want) {
			t.Errorf("%v to %v: %v, want %v", tt.least, tt.most, got, tt.want)
		}
	}
}
