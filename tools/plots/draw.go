package main

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// errNoFigures is of a run that left out the part which a plot shows.
var errNoFigures = errors.New("the run has no figures for it")

const (
	width  = 16 * vg.Centimeter
	height = 9 * vg.Centimeter
)

// colors are told apart by people who see no red or no green (Okabe and Ito), and on white, which is the plots'
// background in a dark page, too.
var colors = []color.Color{
	color.RGBA{0, 114, 178, 255}, color.RGBA{230, 159, 0, 255}, color.RGBA{0, 158, 115, 255}, color.RGBA{204, 121, 167, 255},
}

func svg(p *plot.Plot) ([]byte, error) {
	w, err := p.WriterTo(width, height, "svg")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	_, err = w.WriteTo(&out)
	return out.Bytes(), err
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = 3 * vg.Millimeter
	p.Y.Min = 0
	p.Legend.Padding = vg.Millimeter
	p.Legend.XOffs, p.Legend.YOffs = 2*vg.Millimeter, -2*vg.Millimeter
	p.Add(plotter.NewGrid())
	return p
}

// curves draws a line for each name, in the order in which they come, over a logarithmic axis of whole numbers.
type curves struct {
	names  []string
	points map[string]plotter.XYs
}

func (c *curves) add(name string, x, y float64) {
	if c.points == nil {
		c.points = map[string]plotter.XYs{}
	}
	if _, known := c.points[name]; !known {
		c.names = append(c.names, name)
	}
	c.points[name] = append(c.points[name], plotter.XY{X: x, Y: y})
}

func (c *curves) draw(p *plot.Plot) ([]byte, error) {
	if len(c.names) == 0 {
		return nil, errNoFigures
	}
	var ticks plot.ConstantTicks
	for i, name := range c.names {
		line, points, err := plotter.NewLinePoints(c.points[name])
		if err != nil {
			return nil, err
		}
		line.Color, points.Color = colors[i], colors[i]
		line.Width = vg.Points(2)
		points.Shape = draw.CircleGlyph{}
		points.Radius = vg.Points(3)
		p.Add(line, points)
		p.Legend.Add(name, line, points)
		for _, point := range c.points[name] {
			tick := plot.Tick{Value: point.X, Label: fmt.Sprintf("%.0f", point.X)}
			if !slices.Contains(ticks, tick) {
				ticks = append(ticks, tick)
			}
			p.Y.Max = max(p.Y.Max, 1.25*point.Y) // room for the legend
		}
	}
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticks
	p.Legend.Top, p.Legend.Left = true, true
	return svg(p)
}

func (f *figures) throughput(storage, title string) ([]byte, error) {
	var c curves
	for _, s := range f.Shared {
		if s.Storage == storage {
			c.add(s.Engine, float64(s.Clients), s.ReadsPerSecond)
		}
	}
	return c.draw(newPlot("Shared reads, "+title, "clients", "reads/s"))
}

func (f *figures) scaleReads() ([]byte, error) {
	var c curves
	for _, s := range f.Scale {
		c.add(s.Engine, float64(s.Leases), s.ReadsPerSecond)
	}
	return c.draw(newPlot("Shared reads by 16 clients", "live leases", "reads/s"))
}

func (f *figures) scaleMemory() ([]byte, error) {
	var c curves
	for _, s := range f.Scale {
		c.add(s.Engine, float64(s.Leases), s.Memory/(1<<20))
	}
	return c.draw(newPlot("Memory of the plugin's process", "live leases", "MiB"))
}

// latency stacks what the parts of a fresh read take alone, and what is left.
func (f *figures) latency() ([]byte, error) {
	parts := []string{"HTTPS call beyond Workfront's time", "signature", "Vault and three storage calls", "rest"}
	values := make([]plotter.Values, len(parts))
	var loads []string
	for _, l := range f.Latency {
		if l.Post+l.Signature+l.Lean > 1.1*l.P50 {
			// Of clients that begin all at once, the parts queue as long as the whole does: they do not add up.
			continue
		}
		loads = append(loads, l.Load)
		rest := max(0, l.P50-l.Post-l.Signature-l.Lean)
		for i, v := range []float64{l.Post, l.Signature, l.Lean, rest} {
			values[i] = append(values[i], v)
		}
	}
	if len(loads) == 0 {
		return nil, errNoFigures
	}
	p := newPlot("What a fresh read adds to Workfront's time (p50)", "", "ms")
	var below *plotter.BarChart
	for i, part := range parts {
		bars, err := plotter.NewBarChart(values[i], vg.Points(50))
		if err != nil {
			return nil, err
		}
		bars.Color, bars.LineStyle.Width = colors[i], 0
		if below != nil {
			bars.StackOn(below)
		}
		below = bars
		p.Add(bars)
		p.Legend.Add(part, bars)
	}
	p.Y.Max *= 1.5 // room for the legend
	nominal(p, loads)
	p.Legend.Top, p.Legend.Left = true, true
	return svg(p)
}

// revocation draws a group of bars for each engine, one for each way.
func (f *figures) revocation() ([]byte, error) {
	if len(f.Revocation) == 0 {
		return nil, errNoFigures
	}
	var ways, engines []string
	values := map[string]plotter.Values{}
	for _, r := range f.Revocation {
		if !slices.Contains(ways, r.Way) {
			ways = append(ways, r.Way)
		}
		if !slices.Contains(engines, r.Engine) {
			engines = append(engines, r.Engine)
		}
		values[r.Way] = append(values[r.Way], r.Seconds)
	}
	const bar = 26
	p := newPlot(fmt.Sprintf("Revocation of %d leases", f.Revocation[0].Leases), "", "seconds")
	for i, way := range ways {
		bars, err := plotter.NewBarChart(values[way], vg.Points(bar))
		if err != nil {
			return nil, err
		}
		bars.Color, bars.LineStyle.Width = colors[i], 0
		bars.Offset = vg.Points(bar * (float64(i) - float64(len(ways)-1)/2))
		p.Add(bars)
		p.Legend.Add(way, bars)
	}
	p.Y.Max *= 1.2 // room for the legend
	nominal(p, engines)
	p.Legend.Top, p.Legend.XOffs = true, -2*vg.Millimeter
	return svg(p)
}

// nominal names the groups of bars, with half a group of room on both sides.
func nominal(p *plot.Plot, names []string) {
	p.NominalX(names...)
	p.X.Min, p.X.Max = -0.5, float64(len(names))-0.5
}
