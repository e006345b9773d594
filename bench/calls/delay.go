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
	waiting  map[string]time.Time       // INVITE came in, none went out yet
	through  map[string][]time.Duration // from in to out, in order
	repeated int
}

func newInvites() *invites {
	return &invites{waiting: map[string]time.Time{}, through: map[string][]time.Duration{}}
}

// add notes one INVITE: in, from the caller to the server, or out, to the phone.
// A number calls again only when its last call is long over, so an INVITE that is
// not expected is a repeated one.
func (v *invites) add(packet string, in bool, at time.Time) {
	caller := fromUser(packet)
	begin, waits := v.waiting[caller]
	switch {
	case in && !waits:
		v.waiting[caller] = at
	case !in && waits:
		v.through[caller] = append(v.through[caller], at.Sub(begin))
		delete(v.waiting, caller)
	default:
		v.repeated++
	}
}

// fromUser is the user part of the From header's URI.
func fromUser(packet string) string {
	for line := range strings.SplitSeq(packet, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(name, "From") || strings.EqualFold(name, "f") {
			_, uri, _ := strings.Cut(value, "sip:")
			user, _, _ := strings.Cut(uri, "@")
			return user
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
