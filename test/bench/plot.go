//go:build unix

package main

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// Measures of the drawing, in pixels.
const (
	plotWidth   = 990
	plotHeight  = 470
	panelTop    = 64
	panelHeight = 330
	panelWidth  = 245 // without its labels
	labelHeight = 15
)

// style is the look of the drawing, on a light and on a dark page. Ours are blue and green, and dashed if
// they attach; peers have warm colours.
const style = `
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 14px; font-weight: 600 } .small { font-size: 11px; fill: #59636e }
.grid { stroke: #d1d9e0 } .lead { stroke: #afb8c1 }
.line { fill: none; stroke-width: 2 } .dash { stroke-dasharray: 6 4 } .dots { stroke-dasharray: 2 3 }
.clone, .clone-attach { stroke: #0550ae } .debug, .debug-attach, .debug-deploy { stroke: #0e7a6b }
.copy-to { stroke: #bc4c00 } .target { stroke: #a40e26 } .run { stroke: #9a6700 } .exec { stroke: #6e7781 }
.dot { stroke: none } .dot.clone, .dot.clone-attach { fill: #0550ae }
.dot.debug, .dot.debug-attach, .dot.debug-deploy { fill: #0e7a6b } .dot.copy-to { fill: #bc4c00 }
.dot.target { fill: #a40e26 } .dot.run { fill: #9a6700 } .dot.exec { fill: #6e7781 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #3d444d } .lead { stroke: #656c76 }
.clone, .clone-attach { stroke: #58a6ff } .debug, .debug-attach, .debug-deploy { stroke: #3fc9b0 }
.copy-to { stroke: #f0883e } .target { stroke: #ff7b72 } .run { stroke: #e3b341 } .exec { stroke: #9198a1 }
.dot { stroke: none } .dot.clone, .dot.clone-attach { fill: #58a6ff }
.dot.debug, .dot.debug-attach, .dot.debug-deploy { fill: #3fc9b0 } .dot.copy-to { fill: #f0883e }
.dot.target { fill: #ff7b72 } .dot.run { fill: #e3b341 } .dot.exec { fill: #9198a1 }
}
`

// panel draws one of the times over the round-trip time.
type panel struct {
	*strings.Builder
	report *report
	what   string
	left   float64
	x, y   axis
}

// plot returns the drawing, as SVG.
func (r *report) plot() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">`+"\n",
		plotWidth, plotHeight)
	fmt.Fprintln(&b, "<title>kubectl eshell and its peers: time to prompt and time to return</title>")
	fmt.Fprintf(&b, "<style>%s</style>\n", style)
	for i, what := range []string{toPrompt, toReturn} {
		p := &panel{Builder: &b, report: r, what: what, left: 44 + float64(i)*plotWidth/2,
			y: r.timeAxis(what)}
		p.x = axis{from: 0, to: max(1, slices.Max(r.RTTsMs)), start: p.left + 8, end: p.left + panelWidth - 8}
		p.draw()
	}
	fmt.Fprintf(&b, `<text class="small" x="44" y="%d">Medians of %d sessions; whiskers are quartiles. `+
		"Kubernetes %s, %s.</text>\n</svg>\n", plotHeight-14, r.Repeat, html.EscapeString(r.Kubernetes),
		r.Date.Format("2006-01-02"))
	return b.String()
}

func (p *panel) draw() {
	p.text("title", p.left, 24, "start", map[string]string{toPrompt: "Time to prompt",
		toReturn: "Time to return, after exit"}[p.what])
	p.text("small", p.left, 42, "start", "seconds"+map[bool]string{true: ", logarithmic"}[p.y.log])
	for _, tick := range p.y.ticks {
		y := p.y.at(tick)
		fmt.Fprintf(p, `<path class="grid" d="M%.1f %.1fH%.1f"/>`+"\n", p.left, y, p.left+panelWidth)
		p.text("small", p.left-6, y+4, "end", fmt.Sprint(tick))
	}
	for _, rtt := range p.report.RTTsMs {
		p.text("small", p.x.at(rtt), panelTop+panelHeight+18, "middle", fmt.Sprint(rtt))
	}
	p.text("small", p.left+panelWidth/2, panelTop+panelHeight+36, "middle", "round-trip time, ms")
	var labels []label
	for i, s := range p.report.Subjects {
		if len(s.Times) == 0 {
			continue
		}
		// Side by side, so that whiskers do not hide each other.
		aside := 1.6 * (float64(i) - float64(len(p.report.Subjects)-1)/2)
		x, y := p.line(s, aside)
		labels = append(labels, label{name: s.Name, text: s.Label, x: x, y: y, at: y})
	}
	p.label(labels)
}

// line draws one command, and returns where the line ends.
func (p *panel) line(s subjectReport, aside float64) (x, y float64) {
	var points []string
	for _, t := range s.Times {
		v := t.of(p.what)
		x, y = p.x.at(t.RTTMs)+aside, p.y.at(v.Median/1000)
		points = append(points, fmt.Sprintf("%.1f,%.1f", x, y))
		fmt.Fprintf(p, `<path class="%s" d="M%.1f %.1fV%.1f"/>`+"\n", s.Name, x, p.y.at(v.Q1/1000),
			p.y.at(v.Q3/1000))
		fmt.Fprintf(p, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="2.5"/>`+"\n", s.Name, x, y)
	}
	fmt.Fprintf(p, `<polyline class="line %s%s" points="%s"/>`+"\n", s.Name, dashes(s.Name),
		strings.Join(points, " "))
	return x, y
}

// dashes tells apart commands of one colour.
func dashes(name string) string {
	switch {
	case strings.HasSuffix(name, "-attach"):
		return " dash"
	case strings.HasSuffix(name, "-deploy"):
		return " dots"
	default:
		return ""
	}
}

func (p *panel) text(class string, x, y float64, anchor, text string) {
	fmt.Fprintf(p, `<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", class, x, y, anchor,
		html.EscapeString(text))
}

// label is the name of a line at its end.
type label struct {
	name, text string
	x, y       float64 // where the line ends
	at         float64 // where the label is
}

// label writes the labels to the right of the lines, each with a stroke to its line.
func (p *panel) label(labels []label) {
	spreadOut(labels, panelTop, panelTop+panelHeight)
	x := p.left + panelWidth + 14
	for _, l := range labels {
		fmt.Fprintf(p, `<path class="lead" fill="none" d="M%.1f %.1fL%.1f %.1f"/>`+"\n", l.x+4, l.y, x, l.at)
		fmt.Fprintf(p, `<path class="line %s%s" d="M%.1f %.1fh20"/>`+"\n", l.name, dashes(l.name), x+2, l.at)
		p.text("", x+27, l.at+4, "start", l.text)
	}
}

// spreadOut moves labels apart, and keeps their order and the limits.
func spreadOut(labels []label, top, bottom float64) {
	slices.SortStableFunc(labels, func(a, b label) int { return cmp.Compare(a.y, b.y) })
	// Each pass moves what overlaps apart by half of the overlap, so that a crowd stays around its middle.
	for range 200 {
		for i := range labels {
			labels[i].at = min(max(labels[i].at, top), bottom)
			if i == 0 {
				continue
			}
			if overlap := labels[i-1].at + labelHeight - labels[i].at; overlap > 0 {
				labels[i-1].at -= overlap / 2
				labels[i].at += overlap / 2
			}
		}
	}
}

// axis maps values to pixels.
type axis struct {
	from, to   float64
	start, end float64 // pixels
	log        bool
	ticks      []float64
}

func (a axis) at(value float64) float64 {
	if a.log {
		a.from, a.to, value = math.Log(a.from), math.Log(a.to), math.Log(max(value, a.from))
	}
	return a.start + (value-a.from)/(a.to-a.from)*(a.end-a.start)
}

// timeAxis returns the axis for times in seconds. It ends at a round number above all of them. Times to
// prompt grow by a number of round trips, which is a straight line. Times to return have nothing in common:
// an axis that is not logarithmic would show the longest alone.
func (r *report) timeAxis(what string) axis {
	a := axis{start: panelTop + panelHeight, end: panelTop}
	least, most := math.Inf(1), 0.001
	for _, s := range r.Subjects {
		for _, t := range s.Times {
			least, most = min(least, t.of(what).Q1/1000), max(most, t.of(what).Q3/1000)
		}
	}
	least = max(0.001, min(least, most))
	if a.log = what == toReturn; a.log {
		a.ticks = roundNumbers(least, most)
		a.from, a.to = a.ticks[0], a.ticks[len(a.ticks)-1]
		return a
	}
	step := roundNumbers(most/6, most/6)[1]
	for i := 0; len(a.ticks) == 0 || a.to < most; i++ {
		a.to = math.Round(float64(i)*step*1000) / 1000
		a.ticks = append(a.ticks, a.to)
	}
	return a
}

// roundNumbers are those of 1, 2, 5, 10, … from the last one that is not above least to the first above most.
func roundNumbers(least, most float64) (all []float64) {
	for exponent := math.Floor(math.Log10(least)); ; exponent++ {
		for _, digit := range []float64{1, 2, 5} {
			number := math.Round(digit*math.Pow(10, exponent)*1e6) / 1e6
			if number <= least {
				all = nil // a later one is nearer
			}
			all = append(all, number)
			if number > most {
				return all
			}
		}
	}
}
