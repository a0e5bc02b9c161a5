package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// sample is the heap after a garbage collection, in bytes, when so many sessions had been started.
type sample struct{ sessions, heap float64 }

const (
	// settling is the share of the samples that are left out at the beginning: pools fill, and connections are made.
	settling = 0.25
	// maxSlope is what the heap may grow by for each session, in bytes. Whatever is kept of a session takes more: the
	// text of its ID alone is 64.
	maxSlope = 32
	// maxMargin is how far off the slope may be, in bytes for each session: a leak that is smaller than that and
	// maxSlope together goes unseen.
	maxMargin = 100
	// minSamples is how many are needed to say anything.
	minSamples = 20
)

// slope is by how many bytes the heap grows for each session, give or take a margin of two standard errors.
type slope struct{ perSession, margin float64 }

// fit lays a straight line through the samples by least squares. The margin allows for samples that resemble those before
// them.
func fit(samples []sample) slope {
	samples = samples[int(math.Ceil(settling*float64(len(samples)))):]
	n := float64(len(samples))
	var x, y float64
	for _, s := range samples {
		x, y = x+s.sessions/n, y+s.heap/n
	}
	var xx, xy float64
	for _, s := range samples {
		xx, xy = xx+(s.sessions-x)*(s.sessions-x), xy+(s.sessions-x)*(s.heap-y)
	}
	if len(samples) < minSamples || xx == 0 {
		return slope{margin: math.Inf(1)}
	}
	f := slope{perSession: xy / xx}
	var rest, lagged, before float64
	for _, s := range samples {
		residual := s.heap - y - f.perSession*(s.sessions-x)
		rest, lagged, before = rest+residual*residual, lagged+residual*before, residual
	}
	alike := 0.0
	if rest > 0 {
		alike = min(max(lagged/rest, 0), 0.9)
	}
	f.margin = 2 * math.Sqrt(rest/(n-2)/xx*(1+alike)/(1-alike))
	return f
}

// judgeSlope fails the run if the heap grew under steady load beyond doubt, or if there is too much doubt.
func (k *soak) judgeSlope() {
	f, verdict := fit(k.samples), "ok"
	shown := fmt.Sprintf("%+.0f bytes for each session, give or take %.0f (%d samples)", f.perSession, f.margin, len(k.samples))
	switch {
	case f.perSession-f.margin > maxSlope:
		verdict = "GROWS"
		k.tally.fail("heap under steady load: %s: more than %d bytes of each are kept", shown, maxSlope)
	case f.margin > maxMargin:
		verdict = "UNCLEAR"
		k.tally.fail("heap under steady load: %s: that shows nothing; give it more time, or a quieter machine", shown)
	}
	k.print("%-26s %s: %s", "heap under steady load", shown, verdict)
	k.keepSamples()
}

// keepSamples writes the samples beside the logs, for whoever looks for what has grown.
func (k *soak) keepSamples() {
	var text strings.Builder
	text.WriteString("sessions,heap\n")
	for _, s := range k.samples {
		_, _ = fmt.Fprintf(&text, "%.0f,%.0f\n", s.sessions, s.heap)
	}
	if err := os.WriteFile(filepath.Join(k.dir, "samples.csv"), []byte(text.String()), 0o600); err != nil {
		k.print("keep samples: %v", err)
	}
}
