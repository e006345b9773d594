package ring

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringpath/ringpath/internal/phone"
)

var (
	t0  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	end = t0.Add(DefaultRingFor)
	ann = Party{User: 1}
	bob = Party{User: 2}
	out = Party{External: "+33123456789"}
)

func is(p Party, a phone.Availability) Candidate { return Candidate{p, a} }

func TestDecide(t *testing.T) {
	for _, tt := range []struct {
		name       string
		at         time.Duration // after t0
		candidates []Candidate
		tries      []Try
		want       Decision
	}{
		{name: "nobody", want: Decision{Act: Done, Outcome: Unavailable}},
		{
			name:       "everybody free rings at once",
			candidates: []Candidate{is(ann, phone.Available), is(bob, phone.Available)},
			want:       Decision{Act: Offer, Parties: []Party{ann, bob}, Until: end},
		},
		{
			name:       "an outside number always rings",
			candidates: []Candidate{is(out, "")},
			want:       Decision{Act: Offer, Parties: []Party{out}, Until: end},
		},
		{
			name:       "offline, away: next step at once",
			candidates: []Candidate{is(ann, phone.Offline), is(bob, phone.Unavailable)},
			want:       Decision{Act: Done, Outcome: Unavailable},
		},
		{
			name:       "in a call, wrapping up: next step at once",
			candidates: []Candidate{is(ann, phone.InCall), is(bob, phone.WrappingUp)},
			want:       Decision{Act: Done, Outcome: Busy},
		},
		{
			name:       "a ringing user is waited for",
			candidates: []Candidate{is(ann, phone.RingingNow)},
			want:       Decision{Act: Wait, Until: end},
		},
		{
			name: "but only within ring_for", at: DefaultRingFor,
			candidates: []Candidate{is(ann, phone.RingingNow)},
			want:       Decision{Act: Done, Outcome: Busy},
		},
		{
			name:       "the free ring while a ringing one is waited for",
			candidates: []Candidate{is(ann, phone.RingingNow), is(bob, phone.Available)},
			want:       Decision{Act: Offer, Parties: []Party{bob}, Until: end},
		},
		{
			name: "one who became free joins the offer", at: time.Second,
			candidates: []Candidate{is(ann, phone.Available), is(bob, phone.RingingNow)},
			tries:      []Try{{Party: bob}},
			want:       Decision{Act: Offer, Parties: []Party{ann}, Until: end},
		},
		{
			name: "nobody rings twice in a step", at: time.Second,
			candidates: []Candidate{is(ann, phone.Available)},
			tries:      []Try{{ann, Failed}},
			want:       Decision{Act: Done, Outcome: Failed},
		},
		{
			name: "an open offer is waited for to the last nanosecond", at: DefaultRingFor - 1,
			candidates: []Candidate{is(ann, phone.Available)},
			tries:      []Try{{Party: ann}},
			want:       Decision{Act: Wait, Until: end},
		},
		{
			name: "and then it rang out", at: DefaultRingFor,
			candidates: []Candidate{is(ann, phone.Available)},
			tries:      []Try{{Party: ann}, {bob, Declined}},
			want:       Decision{Act: Done, Outcome: NoAnswer},
		},
		{
			name: "all declined", at: time.Second,
			candidates: []Candidate{is(ann, phone.Available), is(bob, phone.InCall)},
			tries:      []Try{{ann, Declined}},
			want:       Decision{Act: Done, Outcome: Declined},
		},
		{
			name: "declined, and somebody still rings", at: time.Second,
			candidates: []Candidate{is(ann, phone.Available), is(bob, phone.Available)},
			tries:      []Try{{ann, Declined}, {Party: bob}},
			want:       Decision{Act: Wait, Until: end},
		},
		{
			name: "an outside number is busy", at: time.Second,
			candidates: []Candidate{is(out, "")},
			tries:      []Try{{out, Busy}},
			want:       Decision{Act: Done, Outcome: Busy},
		},
		{
			name: "answered", at: time.Second,
			candidates: []Candidate{is(ann, phone.Available), is(bob, phone.Available)},
			tries:      []Try{{Party: bob}, {ann, Answered}},
			want:       Decision{Act: Done, Outcome: Answered},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := Progress{Deadline: end, Tries: tt.tries}
			got, after := Decide(t0.Add(tt.at), Settings{}, tt.candidates, before)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			if len(before.Tries) != len(tt.tries) {
				t.Error("Decide changed the progress it was given")
			}
			if got.Act == Offer && len(after.Tries) != len(tt.tries)+len(got.Parties) {
				t.Errorf("tries after the offer: %v", after.Tries)
			}
		})
	}
}

func TestBegin(t *testing.T) {
	for _, tt := range []struct {
		name   string
		s      Settings
		latest time.Time
		want   time.Time
	}{
		{"default", Settings{}, time.Time{}, t0.Add(30 * time.Second)},
		{"set", Settings{RingFor: 20 * time.Second}, time.Time{}, t0.Add(20 * time.Second)},
		{"the trunk's limit is nearer", Settings{}, t0.Add(10 * time.Second), t0.Add(10 * time.Second)},
		{"the trunk's limit is farther", Settings{}, t0.Add(time.Minute), t0.Add(30 * time.Second)},
	} {
		if got := Begin(t0, tt.s, tt.latest).Deadline; !got.Equal(tt.want) {
			t.Errorf("%s: deadline %v, want %v", tt.name, got, tt.want)
		}
	}
}
