//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// report is everything that was measured, as bench.json has it.
type report struct {
	Date        time.Time       `json:"date"`
	CommandLine string          `json:"commandLine"`
	Kubernetes  string          `json:"kubernetes"`
	Machine     machine         `json:"machine"`
	Repeat      int             `json:"repeat"`
	RTTsMs      []float64       `json:"rttsMs"`
	Programs    []program       `json:"programs"`
	Ratios      []ratioReport   `json:"ratios"`
	Subjects    []subjectReport `json:"subjects"`
	Failures    []string        `json:"failures,omitempty"`
}

// subjectReport is about one command.
type subjectReport struct {
	Name    string   `json:"name"`
	Label   string   `json:"label"`
	Command []string `json:"command"`
	Times   []times  `json:"times"`
	// SlopeRoundTrips is by how much the time to prompt grows with the round-trip time.
	SlopeRoundTrips float64  `json:"slopeRoundTrips"`
	CPUMs           spread   `json:"cpuMs"`
	PeakBytes       spread   `json:"peakBytes"`
	Traffic         traffic  `json:"traffic"`
	Samples         []sample `json:"samples"`
}

// times are those of a command for one round-trip time.
type times struct {
	RTTMs      float64 `json:"rttMs"`
	ToPromptMs spread  `json:"toPromptMs"`
	ToReturnMs spread  `json:"toReturnMs"`
}

// of returns the times by their name.
func (t times) of(what string) spread {
	if what == toReturn {
		return t.ToReturnMs
	}
	return t.ToPromptMs
}

// sample is one session.
type sample struct {
	RTTMs      float64 `json:"rttMs"`
	Repetition int     `json:"repetition"`
	ToPromptMs float64 `json:"toPromptMs"`
	ToReturnMs float64 `json:"toReturnMs"`
	CPUMs      float64 `json:"cpuMs"`
	PeakBytes  int64   `json:"peakBytes"`
	After      string  `json:"after"` // what the command has left
}

func (s sample) of(what string) float64 {
	if what == toReturn {
		return s.ToReturnMs
	}
	return s.ToPromptMs
}

// traffic is what a session has sent and been sent, from its start to its end. Round trips are counted on
// requests and connections: keys and what they show are not among them.
type traffic struct {
	Requests           []string `json:"requests"`
	Connections        int      `json:"connections"`
	BytesToClient      int64    `json:"bytesToClient"`
	BytesToServer      int64    `json:"bytesToServer"`
	RoundTripsToPrompt int      `json:"roundTripsToPrompt"`
	RoundTrips         int      `json:"roundTrips"`
}

// ratioReport compares two commands for one round-trip time: below one, the first is faster.
type ratioReport struct {
	Of    string  `json:"of"`
	To    string  `json:"to"`
	What  string  `json:"what"`
	RTTMs float64 `json:"rttMs"`
	Ratio spread  `json:"ratio"`
}

func (b *bench) newReport(ctx context.Context) (*report, error) {
	r := &report{Date: time.Now().UTC().Truncate(time.Second), Kubernetes: b.version, Machine: thisMachine(),
		Repeat: b.repeat}
	for _, rtt := range b.rtts {
		r.RTTsMs = append(r.RTTsMs, ms(rtt))
	}
	for _, s := range b.subjects {
		r.Subjects = append(r.Subjects, subjectReport{Name: s.name, Label: s.label,
			Command: append([]string{"kubectl"}, s.args...)})
	}
	plugin, err := b.examine(ctx, "kubectl-eshell", "--version")
	if err != nil {
		return nil, err
	}
	kubectl, err := b.examine(ctx, "kubectl", "version", "--client", "-o", "json")
	r.Programs = []program{plugin, kubectl}
	return r, err
}

func (r *report) subject(name string) *subjectReport {
	i := slices.IndexFunc(r.Subjects, func(s subjectReport) bool { return s.Name == name })
	return &r.Subjects[i]
}

func (r *report) add(name string, s sample) {
	subject := r.subject(name)
	subject.Samples = append(subject.Samples, s)
}

// summarize works out all that follows from the samples.
func (r *report) summarize() {
	for i := range r.Subjects {
		r.Subjects[i].summarize(r.RTTsMs)
	}
	r.Ratios = nil
	for _, compared := range ratios() {
		for _, rtt := range r.RTTsMs {
			if values := r.compare(compared, rtt); len(values) > 0 {
				r.Ratios = append(r.Ratios, ratioReport{Of: compared.of, To: compared.to, What: compared.what,
					RTTMs: rtt, Ratio: spreadOf(values)})
			}
		}
	}
}

func (s *subjectReport) summarize(rtts []float64) {
	s.Times = nil
	var x, y, cpu, peak []float64
	for _, rtt := range rtts {
		var prompts, returns []float64
		for _, one := range s.Samples {
			if one.RTTMs == rtt {
				prompts, returns = append(prompts, one.ToPromptMs), append(returns, one.ToReturnMs)
				cpu, peak = append(cpu, one.CPUMs), append(peak, float64(one.PeakBytes))
			}
		}
		if len(prompts) > 0 { // else all of them have failed
			t := times{RTTMs: rtt, ToPromptMs: spreadOf(prompts), ToReturnMs: spreadOf(returns)}
			s.Times = append(s.Times, t)
			x, y = append(x, rtt), append(y, t.ToPromptMs.Median)
		}
	}
	s.SlopeRoundTrips, s.CPUMs, s.PeakBytes = slope(x, y), spreadOf(cpu), spreadOf(peak)
}

// compare divides the times of sessions of the same repetition: those had the machine in the same state.
func (r *report) compare(c ratio, rtt float64) (values []float64) {
	for _, a := range r.subject(c.of).Samples {
		for _, b := range r.subject(c.to).Samples {
			if a.RTTMs == rtt && b.RTTMs == rtt && a.Repetition == b.Repetition {
				values = append(values, a.of(c.what)/b.of(c.what))
			}
		}
	}
	return values
}

const (
	dataFile = "bench.json"
	plotFile = "bench.svg"
)

func readReport(folder string) (*report, error) {
	text, err := os.ReadFile(filepath.Join(folder, dataFile))
	if err != nil {
		return nil, err
	}
	r := &report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(folder, dataFile), err)
	}
	r.summarize()
	return r, nil
}

// write prints the tables, and writes the data and the plot.
func (r *report) write(folder string) error {
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, dataFile), append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, plotFile), []byte(r.plot()), 0o644)
}
