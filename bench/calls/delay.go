package main

import (
	"math"
	"slices"
	"strings"
	"time"
)

// invites are the INVITEs that crossed the wire, matched by the caller's number:
// Ringpath rings the phone with the caller's number as From.
type invites struct {
	waiting  map[string]arrival         // INVITE came in, none went out yet
	through  map[string][]time.Duration // from in to out, in order
	repeated int
}

type arrival struct {
	callID string
	at     time.Time
}

func newInvites() *invites {
	return &invites{waiting: map[string]arrival{}, through: map[string][]time.Duration{}}
}

// add notes one INVITE: in, from the caller to the server, or out, to the phone.
// A number calls again only when its last call is long over, answered or not, so
// an INVITE that is not expected is a repeated one.
func (v *invites) add(packet string, in bool, at time.Time) {
	caller, callID := fromUser(packet), header(packet, "Call-ID")
	first, waits := v.waiting[caller]
	switch {
	case in && (!waits || callID != first.callID):
		v.waiting[caller] = arrival{callID, at}
	case !in && waits:
		v.through[caller] = append(v.through[caller], at.Sub(first.at))
		delete(v.waiting, caller)
	default:
		v.repeated++
	}
}

// fromUser is the user part of the From header's URI.
func fromUser(packet string) string {
	_, uri, _ := strings.Cut(header(packet, "From"), "sip:")
	user, _, _ := strings.Cut(uri, "@")
	return user
}

// header is the value of a header that stands there in its long form.
func header(packet, name string) string {
	for line := range strings.SplitSeq(packet, "\r\n") {
		k, v, _ := strings.Cut(line, ":")
		if strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// delays works out what the server added to each call. Calls that never rang are
// failed calls and not in here.
func (r *result) delays(v *invites, held map[string][]time.Duration) {
	var added []time.Duration
	for caller, through := range v.through {
		if len(held[caller]) != len(through) {
			continue // a lookup was repeated or a call failed: which belongs to which is unknown
		}
		for i, d := range through {
			added = append(added, d-held[caller][i])
		}
	}
	if len(added) == 0 {
		return
	}
	slices.Sort(added)
	at := func(q float64) float64 {
		i := int(math.Ceil(q*float64(len(added)))) - 1
		return float64(added[max(0, i)].Microseconds()) / 1000
	}
	r.DelayMeasured = true
	r.DelayP50MS, r.DelayP99MS, r.DelayMaxMS = at(0.50), at(0.99), at(1)
}
