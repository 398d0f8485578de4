//go:build unix

package main

import (
	"context"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
)

// diagramName is that of the drawing of a session and its lease. What it says is in docs/design.md: "The
// agent" and "The lease".
const diagramName = "session"

const (
	diagramWidth  = 880
	diagramHeight = 684
	rowHeight     = 19 // of text
)

// diagramStyle has the look of the drawing. Colours are those of its theme.
const diagramStyle = `
text { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; fill: TEXT }
.head { font-size: 17px; font-weight: 600 } .title { font-weight: 600 }
.event { font-size: 13px } .part { font-size: 13px; fill: FAINT }
.zone { fill: ZONE; stroke: LINE } .box { fill: PAGE; stroke: LINE }
.accent { fill: ACCENTED; stroke: ACCENT }
.arrow { fill: none; stroke: FAINT; stroke-width: 1.5 } .tip { fill: FAINT }
.lease { fill: none; stroke: ACCENT; stroke-width: 1.5 } .leasetip { fill: ACCENT }
`

func diagramColours(theme string) *strings.Replacer {
	if theme == dark {
		return strings.NewReplacer("TEXT", "#e6edf3", "FAINT", "#a4abb5", "ZONE", "#161b22",
			"LINE", "#3d444d", "PAGE", "#0d1117", "ACCENTED", "#0c2d6b", "ACCENT", "#58a6ff")
	}
	return strings.NewReplacer("TEXT", "#1f2328", "FAINT", "#59636e", "ZONE", "#f6f8fa", "LINE", "#d1d9e0",
		"PAGE", "#ffffff", "ACCENTED", "#ddf4ff", "ACCENT", "#0969da")
}

// diagram returns the drawing, as SVG.
func diagram(theme string) string {
	d := &drawing{}
	d.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">`, diagramWidth,
		diagramHeight)
	d.add("<title>A session and its lease</title>")
	d.add("<style>%s</style>", diagramColours(theme).Replace(diagramStyle))
	d.add(`<rect width="%d" height="%d" rx="6" fill="%s"/>`, diagramWidth, diagramHeight,
		diagramColours(theme).Replace("PAGE"))
	d.session()
	d.ends()
	d.add("</svg>")
	return d.String()
}

// drawing is an SVG that is being written.
type drawing struct{ strings.Builder }

// session draws who talks to whom while a session runs.
func (d *drawing) session() {
	d.text("head", 20, 36, "A session, and the lease that it cannot outlive")
	d.zone(20, 60, 158, 254, "Your machine")
	d.box("box", 32, 96, 134, 206, "kubectl eshell", "your terminal")
	d.zone(330, 60, 230, 254, "API server")
	d.zone(640, 60, 220, 254, "Node, with its kubelet")
	d.box("box", 652, 96, 196, 206, "Pod: the clone")
	d.box("box", 664, 128, 172, 54, "Shell", "ends with its container")
	d.box("box", 664, 194, 172, 54, "Holder", "ends without its client")
	d.box("accent", 342, 222, 206, 80, "Job: the lease", "runs nothing, ends 2 min", "after its last renewal")
	d.stream(155, "exec: keys, output,", "exit status")
	d.add(`<path class="tip" d="M168 155l8 -4.5v9z"/>`) // it goes both ways
	d.stream(210, "attach: a sign", "of life every 15 s")
	d.text("part", 190, 258, "renewed every 40 s")
	d.arrow("lease", 170, 266, 338)
	d.text("part", 572, 278, "owns")
	d.arrow("lease", 548, 286, 648)
}

// stream draws a connection from the client to a process in the pod. It goes through the API server.
func (d *drawing) stream(y int, label, more string) {
	d.text("part", 190, y-8, label)
	d.text("part", 190, y+17, more)
	d.arrow("arrow", 170, y, 660)
}

// ends draws what ends a session: each row is a chain of events.
func (d *drawing) ends() {
	d.text("head", 20, 356, "What ends it")
	deletes := []string{"The client deletes", "the pod and", "the Job"}
	for n, chain := range [][][]string{
		{{"You exit"}, {"The exit status", "arrives with", "the stream"}, deletes},
		{{"The client is", "gone: killed,", "or offline"},
			{"Its stream ends, or", "no sign of life", "for 2 min"}, {"The holder exits"},
			{"The container ends,", "with the shell and", "all that it started"}},
		{{"So nobody", "renews the lease"},
			{"2 min after the last", "renewal, the Job’s", "deadline passes"},
			{"The job controller", "fails the Job"}, {"The TTL controller", "deletes the Job"},
			{"The garbage", "collector deletes", "the pod it owned"}},
		{{"8 hours are over", "(--ttl)"}, {"No renewal goes", "beyond that"}, deletes},
	} {
		d.chain(372+n*77, chain)
	}
}

// chain draws a row of boxes, each of which leads to the next one.
func (d *drawing) chain(y int, events [][]string) {
	const width, height, gap = 148, 65, 25
	for n, event := range events {
		x := 20 + n*(width+gap)
		class := "box"
		if n == 0 {
			class = "accent"
		} else {
			d.arrow("arrow", x-gap, y+height/2, x-3)
		}
		d.add(`<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="6"/>`, class, x, y, width, height)
		for row, words := range event {
			d.text("event", x+10, y+height/2+5-(len(event)-1)*9+row*18, words)
		}
	}
}

// zone draws a place in which boxes are.
func (d *drawing) zone(x, y, width, height int, name string) {
	d.add(`<rect class="zone" x="%d" y="%d" width="%d" height="%d" rx="8"/>`, x, y, width, height)
	d.text("part", x+12, y+24, name)
}

// box draws a thing with its name and what there is to say about it.
func (d *drawing) box(class string, x, y, width, height int, name string, more ...string) {
	d.add(`<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="6"/>`, class, x, y, width, height)
	d.text("title", x+10, y+22, name)
	for n, words := range more {
		d.text("part", x+10, y+22+rowHeight*(n+1), words)
	}
}

// arrow draws a horizontal arrow.
func (d *drawing) arrow(class string, from, y, to int) {
	tip := map[string]string{"arrow": "tip", "lease": "leasetip"}[class]
	d.add(`<path class="%s" d="M%d %dH%d"/>`, class, from, y, to-5)
	d.add(`<path class="%s" d="M%d %dl-8 -4.5v9z"/>`, tip, to, y)
}

func (d *drawing) text(class string, x, y int, words string) {
	d.add(`<text class="%s" x="%d" y="%d">%s</text>`, class, x, y, html.EscapeString(words))
}

func (d *drawing) add(format string, values ...any) { fmt.Fprintf(d, format+"\n", values...) }

// writeDiagram writes the drawing for a light and for a dark page, and a still of each to look at.
func writeDiagram(ctx context.Context) error {
	for _, theme := range []string{light, dark} {
		content, path := []byte(diagram(theme)), pictureOf(diagramName, theme)
		still := filepath.Join(stillsDir, diagramName+"-"+theme+".svg")
		for _, path := range []string{path, still} {
			if err := os.WriteFile(path, content, 0o644); err != nil {
				return err
			}
		}
		if err := checkStill(ctx, still); err != nil {
			return err
		}
	}
	return nil
}
