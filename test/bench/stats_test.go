//go:build unix

package main

import (
	"math"
	"testing"
)

func TestSpread(t *testing.T) {
	tests := []struct {
		values []float64
		want   spread
	}{
		{nil, spread{}},
		{[]float64{3}, spread{3, 3, 3}},
		{[]float64{4, 2}, spread{Median: 3, Q1: 2.5, Q3: 3.5}},
		{[]float64{5, 1, 4, 2, 3}, spread{Median: 3, Q1: 2, Q3: 4}},
	}
	for _, tt := range tests {
		if got := spreadOf(tt.values); got != tt.want {
			t.Errorf("%v: %+v, want %+v", tt.values, got, tt.want)
		}
	}
}

func TestSlope(t *testing.T) {
	tests := []struct {
		name string
		x, y []float64
		want float64
	}{
		{"a line", []float64{0, 50, 150, 300}, []float64{700, 900, 1300, 1900}, 4},
		{"noise above and below", []float64{0, 1, 2, 3}, []float64{1, -1, -1, 1}, 0},
		{"one point", []float64{50}, []float64{900}, 0},
		{"nothing", nil, nil, 0},
	}
	for _, tt := range tests {
		if got := slope(tt.x, tt.y); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
