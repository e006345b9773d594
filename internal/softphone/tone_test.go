package softphone

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestG711: what is coded and decoded is near what it was, as near as G.711
// promises; the codes of silence are those of ITU-T G.711.
func TestG711(t *testing.T) {
	for _, payload := range []byte{pcmu, pcma} {
		for s := -32768; s <= 32767; s += 7 {
			got := int(decode(payload, encode(payload, int16(s))))
			allowed := max(16, abs(s)/16)
			if abs(s) > 32000 {
				allowed = 2000 // the last segment is clipped
			}
			if abs(got-s) > allowed {
				t.Fatalf("payload %d: %d became %d", payload, s, got)
			}
		}
	}
	if got := encode(pcmu, 0); got != 0xff {
		t.Errorf("silence in µ-law: got %#x, want 0xff", got)
	}
	if got := encode(pcma, 0); got != 0xd5 {
		t.Errorf("silence in A-law: got %#x, want 0xd5", got)
	}
	for octet := range 256 {
		for _, payload := range []byte{pcmu, pcma} {
			s := decode(payload, byte(octet))
			if got := decode(payload, encode(payload, s)); got != s {
				t.Errorf("payload %d, octet %#x: %d became %d", payload, octet, s, got)
			}
		}
	}
}

func abs(i int) int { return max(i, -i) }

// TestEar: tones are told apart and told once, through either codec.
func TestEar(t *testing.T) {
	for _, payload := range []byte{pcmu, pcma} {
		for _, want := range []float64{250, 440, 441, 697, 1000, 1633, 3000} {
			var got []float64
			e := &ear{heard: func(f float64) { got = append(got, f) }}
			hear(e, payload, &tone{frequency: want}, 2*rate)
			hear(e, payload, &tone{}, 2*rate)
			if len(got) != 2 || math.Abs(got[0]-want) > 2 || got[1] != 0 {
				t.Errorf("payload %d, %.0f Hz then silence: heard %v", payload, want, got)
			}
		}
	}
}

func hear(e *ear, payload byte, from *tone, samples int) {
	f := make([]int16, frame)
	for range samples / frame {
		from.next(f)
		for i := range f {
			f[i] = decode(payload, encode(payload, f[i]))
		}
		e.feed(f)
	}
}

// TestEarHearsNoTone in noise, silence or three tones at once.
func TestEarHearsNoTone(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	tones := []*tone{{frequency: 500}, {frequency: 900}, {frequency: 1400}}
	tests := map[string]func(samples []int16){
		"silence": func(s []int16) { clear(s) },
		"noise": func(s []int16) {
			for i := range s {
				s[i] = int16(random.IntN(16000) - 8000)
			}
		},
		"three tones": func(s []int16) {
			other := make([]int16, len(s))
			clear(s)
			for _, t := range tones {
				t.next(other)
				for i := range s {
					s[i] += other[i]
				}
			}
		},
	}
	for name, next := range tests {
		e := &ear{heard: func(f float64) { t.Errorf("%s: heard %s", name, fmt.Sprint(f)) }}
		samples := make([]int16, frame)
		for range 100 {
			next(samples)
			e.feed(samples)
		}
	}
}
