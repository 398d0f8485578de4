//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

const (
	light = "light"
	dark  = "dark"
	// renderTime bounds one start of svg-term or rsvg-convert.
	renderTime = time.Minute
	// stillWidth is that of a still, in pixels.
	stillWidth = 1200
)

// pictureOf returns the path of a picture for a theme, from the root of the repository.
func pictureOf(name, theme string) string {
	if theme == dark {
		name += "-dark"
	}
	return filepath.Join(picturesDir, name+".svg")
}

// render turns a recording into a picture, and checks it and a still of it.
func (r recording) render(ctx context.Context, cast, theme string, at int) error {
	still := filepath.Join(stillsDir, r.name+"-"+theme+".svg")
	path := pictureOf(r.name, theme)
	if err := svgTerm(ctx, cast, path, theme); err != nil {
		return err
	}
	if err := svgTerm(ctx, cast, still, theme, "--at", strconv.Itoa(at)); err != nil {
		return err
	}
	for _, path := range []string{path, still} {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := checkPicture(content, r.shows); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return checkStill(ctx, still)
}

func svgTerm(ctx context.Context, cast, path, theme string, options ...string) error {
	profile := "./test/pictures/" + theme + ".xresources" // without the dot it is taken for a name
	return start(ctx, append([]string{"test/pictures/node_modules/.bin/svg-term", "--in", cast, "--out", path,
		"--window", "--no-cursor", "--term", "xresources", "--profile", profile}, options...)...)
}

// checkStill draws a still and looks whether something is on it.
func checkStill(ctx context.Context, path string) error {
	drawn := path[:len(path)-len("svg")] + "png"
	err := start(ctx, "rsvg-convert", "--width", strconv.Itoa(stillWidth), "--output", drawn, path)
	if err != nil {
		return err
	}
	file, err := os.Open(drawn)
	if err != nil {
		return err
	}
	defer file.Close()
	still, err := png.Decode(file)
	if err != nil {
		return fmt.Errorf("%s: %w", drawn, err)
	}
	bounds := still.Bounds()
	if bounds.Dx() != stillWidth || bounds.Dy() < stillWidth/10 {
		return fmt.Errorf("%s is %v, which is no picture of a terminal", drawn, bounds.Size())
	}
	pixels, most := map[color.Color]int{}, 0
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			pixels[still.At(x, y)]++
			most = max(most, pixels[still.At(x, y)])
		}
	}
	if ink := 1 - float64(most)/float64(bounds.Dx()*bounds.Dy()); ink < 0.01 || ink > 0.5 {
		return fmt.Errorf("%s: %.1f %% of it is not background: is it blank?", drawn, 100*ink)
	}
	return nil
}

func start(ctx context.Context, words ...string) error {
	ctx, cancel := context.WithTimeout(ctx, renderTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", words[0], err, bytes.TrimSpace(out))
	}
	return nil
}
