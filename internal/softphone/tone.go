package softphone

import "math"

const (
	rate   = 8000 // samples a second
	frame  = 160  // samples of a packet, 20 ms
	volume = 8000 // of a tone's peaks, of 32767
)

// tone is a sine; the next frame goes on where the last one ended.
type tone struct {
	frequency float64 // Hz
	phase     float64 // radians
}

func (t *tone) next(samples []int16) {
	step := 2 * math.Pi * t.frequency / rate
	for i := range samples {
		samples[i] = int16(volume * math.Sin(t.phase))
		t.phase = math.Mod(t.phase+step, 2*math.Pi)
	}
}

const (
	block   = 1600     // samples that an ear listens to at once, 200 ms: it tells 10 Hz apart
	pause   = rate / 2 // samples that it passes over between two blocks
	lowest  = 200.0    // Hz
	highest = 3400.0
	quiet   = 100 // of a sample's root mean square; below it is silence
)

// ear finds the tone in what it is fed.
type ear struct {
	window []float64
	skip   int
	last   float64 // what it heard in the block before
	told   float64 // what heard was last called with
	heard  func(frequency float64)
}

// feed listens. It calls heard with a new tone's frequency, or 0 for silence
// after one, when two blocks agree: one alone may hold the end of another.
func (e *ear) feed(samples []int16) {
	for _, s := range samples {
		if e.skip > 0 {
			e.skip--
			continue
		}
		e.window = append(e.window, float64(s))
		if len(e.window) < block {
			continue
		}
		f := dominant(e.window)
		e.window = e.window[:0]
		if !Same(f, e.last) {
			e.last = f
			continue
		}
		e.skip = pause
		if !Same(f, e.told) {
			e.told = f
			e.heard(f)
		}
	}
}

// Same says whether two frequencies are one tone for an ear: at most 10 Hz apart.
func Same(a, b float64) bool { return math.Abs(a-b) <= 10 }

// dominant is the frequency of the tone that makes up at least half of the
// block's energy, in whole Hz; 0: none.
func dominant(samples []float64) float64 {
	var loud, energy float64
	windowed := make([]float64, len(samples))
	for i, s := range samples {
		loud += s * s
		// von Hann's window keeps a tone from leaking into its neighbours
		windowed[i] = s * (1 - math.Cos(2*math.Pi*float64(i)/float64(len(samples)))) / 2
		energy += windowed[i] * windowed[i]
	}
	if loud < quiet*quiet*float64(len(samples)) {
		return 0
	}
	peak := strongest(windowed, lowest, highest, 10)
	peak = strongest(windowed, peak-10, peak+10, 1)
	// under this window a pure tone has a third of energy·n: half of that is asked
	if goertzel(windowed, peak)*3 < energy*float64(len(samples))/2 {
		return 0
	}
	return peak
}

func strongest(samples []float64, from, to, step float64) float64 {
	var best, at float64
	for f := from; f <= to; f += step {
		if p := goertzel(samples, f); p > best {
			best, at = p, f
		}
	}
	return at
}

// goertzel is the power of one frequency in the samples.
func goertzel(samples []float64, frequency float64) float64 {
	k := 2 * math.Cos(2*math.Pi*frequency/rate)
	var a, b float64
	for _, s := range samples {
		a, b = s+k*a-b, a
	}
	return a*a + b*b - k*a*b
}
