package media

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// packet is one step of a latch test: n packets, or an act.
type packet struct {
	from string
	ssrc uint32
	n    int
	want int // how many of them pass

	wait   time.Duration // before
	invite string        // a re-INVITE that states this address
}

func TestLatch(t *testing.T) {
	const (
		stated  = "192.0.2.1:4000"
		sameIP  = "192.0.2.1:4400" // another port, as behind NAT
		nat     = "203.0.113.5:61000"
		nat2    = "203.0.113.5:61002"
		foreign = "198.51.100.66:4000"
	)
	tests := []struct {
		name   string
		steps  []packet
		target string // where the party's packets go at the end
	}{
		{"nothing came", nil, stated},
		{"strangers never pass", []packet{{from: foreign, ssrc: 1, n: 10}}, stated},
		{"the stated address", []packet{{from: stated, ssrc: 1, n: 5, want: 5}}, stated},
		{"behind NAT", []packet{{from: nat, ssrc: 1, n: 5, want: 5}}, nat},
		{"two packets do not lock", []packet{{from: nat, ssrc: 1, n: 2, want: 2}}, stated},
		{"locked: strangers, other ports and other sources are dropped", []packet{
			{from: nat, ssrc: 1, n: 3, want: 3},
			{from: foreign, ssrc: 1, n: 5},
			{from: nat2, ssrc: 1, n: 5},
			{from: nat, ssrc: 2, n: 5},
			{from: nat, ssrc: 1, n: 1, want: 1},
		}, nat},
		{"three of one source lock, not three of several", []packet{
			{from: nat, ssrc: 1, n: 2, want: 2},
			{from: nat, ssrc: 2, n: 2, want: 2},
			{from: nat2, ssrc: 2, n: 2, want: 2},
		}, stated},
		{"the stated address wins over another port of its IP for 5 s", []packet{
			{from: sameIP, ssrc: 9, n: 50, want: 50},
			{from: stated, ssrc: 1, n: 5, want: 3, wait: 4999 * time.Millisecond},
			{from: sameIP, ssrc: 9, n: 5},
		}, stated},
		{"not afterwards", []packet{
			{from: sameIP, ssrc: 9, n: 5, want: 5},
			{from: stated, ssrc: 1, n: 5, wait: 5 * time.Second},
		}, sameIP},
		{"another source at the locked port, when the first is silent", []packet{
			{from: nat, ssrc: 1, n: 3, want: 3},
			{from: nat, ssrc: 2, n: 3, wait: time.Second},
			{from: nat, ssrc: 2, n: 1, wait: 199 * time.Millisecond},
			{from: nat, ssrc: 2, n: 1, want: 1, wait: time.Millisecond},
			{from: nat, ssrc: 1, n: 3},
		}, nat},
		{"not while the first still sends", []packet{
			{from: nat, ssrc: 1, n: 3, want: 3},
			{from: nat, ssrc: 2, n: 3},
			{from: nat, ssrc: 1, n: 1, want: 1, wait: 150 * time.Millisecond},
			{from: nat, ssrc: 2, n: 3, wait: 100 * time.Millisecond},
			{from: nat, ssrc: 1, n: 1, want: 1},
		}, nat},
		{"a re-INVITE lets it move, once", []packet{
			{from: nat, ssrc: 1, n: 3, want: 3},
			{invite: stated},
			{from: nat, ssrc: 1, n: 2, want: 2, wait: 4 * time.Second},
			{from: nat2, ssrc: 2, n: 3, want: 1},
			{from: nat, ssrc: 1, n: 5},
			{from: nat2, ssrc: 2, n: 1, want: 1},
		}, nat2},
		{"5 s later it does not", []packet{
			{from: nat, ssrc: 1, n: 3, want: 3},
			{invite: stated},
			{from: nat2, ssrc: 2, n: 3, wait: 5 * time.Second},
		}, nat},
		{"a re-INVITE with a new address: sent there at once", []packet{
			{from: stated, ssrc: 1, n: 3, want: 3},
			{invite: "192.0.2.77:7000"},
			{from: stated, ssrc: 1, n: 3},
		}, "192.0.2.77:7000"},
		{"a re-INVITE with a new port: the old packets under way do not hold it", []packet{
			{from: stated, ssrc: 1, n: 3, want: 3},
			{invite: "192.0.2.1:5000"},
			{from: stated, ssrc: 1, n: 5, want: 5},
			{from: "192.0.2.1:5000", ssrc: 2, n: 5, want: 3},
		}, "192.0.2.1:5000"},
		{"hold by address: nothing is sent, music passes", []packet{
			{from: nat, ssrc: 1, n: 3, want: 3},
			{invite: "0.0.0.0:4000"},
			{from: nat, ssrc: 1, n: 3, want: 3},
		}, ""},
		{"a flood is cut at 1000 a second", []packet{
			{from: stated, ssrc: 1, n: 1500, want: 1000},
			{from: stated, ssrc: 1, n: 1500, want: 1000, wait: time.Second},
		}, stated},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l latch
				signalling := netip.MustParseAddr("203.0.113.5")
				l.set(netip.MustParseAddrPort(stated), signalling)
				l.start()
				for i, p := range test.steps {
					time.Sleep(p.wait)
					if p.invite != "" {
						l.set(netip.MustParseAddrPort(p.invite), signalling)
						continue
					}
					got := 0
					for range p.n {
						if l.accept(netip.MustParseAddrPort(p.from), p.ssrc, true) {
							got++
						}
					}
					if got != p.want {
						t.Errorf("step %d, %d packets of %s/%d: %d passed, want %d", i, p.n, p.from, p.ssrc, got, p.want)
					}
				}
				at, ok := l.target()
				if want := test.target; ok != (want != "") || ok && at.String() != want {
					t.Errorf("target: got %v %v, want %q", at, ok, want)
				}
			})
		})
	}
}

func TestSource(t *testing.T) {
	rtp := append([]byte{0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9}, 1, 2, 3)
	rtcp := []byte{0x80, 200, 0, 1, 0, 0, 0, 8}
	tests := []struct {
		name   string
		read   sourceOf
		packet []byte
		ssrc   uint32
		ok     bool
	}{
		{"RTP", sourceRTP, rtp, 9, true},
		{"RTP with marker", sourceRTP, append([]byte{0x80, 0x80 | 101}, rtp[2:]...), 9, true},
		{"RTP without payload", sourceRTP, rtp[:12], 9, true},
		{"short", sourceRTP, rtp[:11], 0, false},
		{"nothing", sourceRTP, nil, 0, false},
		{"STUN", sourceRTP, []byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0, false},
		{"DTLS", sourceRTP, []byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 0, false},
		{"RTCP at the RTP port", sourceRTP, append(rtcp, 0, 0, 0, 0), 0, false},
		{"RTCP", sourceRTCP, rtcp, 8, true},
		{"short RTCP", sourceRTCP, rtcp[:7], 0, false},
		{"RTP at the RTCP port", sourceRTCP, rtp, 0, false},
		{"cut off", sourceRTP, append(rtp, make([]byte, maxDatagram-len(rtp))...), 0, false},
	}
	for _, test := range tests {
		ssrc, ok := test.read(test.packet)
		if ssrc != test.ssrc || ok != test.ok {
			t.Errorf("%s: got %d %v, want %d %v", test.name, ssrc, ok, test.ssrc, test.ok)
		}
	}
}
