package main

import (
	"bytes"
	"fmt"
	"net"
	"testing"
	"time"
)

func TestDelays(t *testing.T) {
	begin := time.Now()
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	call := 1 // each number's first, then its second
	invite := func(caller string) string {
		return fmt.Sprintf("INVITE sip:x SIP/2.0\r\nFrom: \"A\" <sip:%s@127.0.0.1>;tag=1\r\nCall-ID: %s-%d\r\n\r\n", caller, caller, call)
	}
	v := newInvites()
	v.add(invite("+1"), true, at(0))
	v.add(invite("+2"), true, at(1))
	v.add(invite("+1"), true, at(10)) // sent again
	v.add(invite("+1"), false, at(22))
	v.add(invite("+2"), false, at(31))
	v.add(invite("+2"), false, at(40)) // sent again
	v.add(invite("+3"), true, at(50))  // never rang
	call = 2
	v.add(invite("+3"), true, at(90)) // calls again, and rings
	v.add(invite("+3"), false, at(115))
	v.add(invite("+1"), true, at(100))
	v.add(invite("+1"), false, at(124))
	if v.repeated != 2 {
		t.Errorf("%d repeated, want 2", v.repeated)
	}
	var r result
	held := 20 * time.Millisecond
	r.delays(v, map[string][]time.Duration{"+1": {held, held}, "+2": {held}, "+3": {held, held}})
	if !r.DelayMeasured || r.DelayP50MS != 4 || r.DelayP99MS != 10 || r.DelayMaxMS != 10 {
		t.Errorf("delays = %+v, want p50 4, p99 10, max 10", r)
	}
}

func TestParseNumber(t *testing.T) {
	for _, tt := range []struct{ pair, n int }{{0, 0}, {3, 17999}, {15, 7}} {
		pair, n, ok := parseNumber(callerNumber(tt.pair, tt.n))
		if pair != tt.pair || n != tt.n || !ok {
			t.Errorf("parseNumber(%s) = %d, %d, %v, want %v", callerNumber(tt.pair, tt.n), pair, n, ok, tt)
		}
	}
	for _, bad := range []string{"", "+1415", "+1415550000a", "+33155000000"} {
		if _, _, ok := parseNumber(bad); ok {
			t.Errorf("parseNumber(%q) found somebody", bad)
		}
	}
}

func TestMedian(t *testing.T) {
	m := median([]result{{Calls: 3, PSSMiB: 1}, {Calls: 1, PSSMiB: 3}, {Calls: 2, PSSMiB: 2, DelayMeasured: true}})
	if m.Calls != 2 || m.PSSMiB != 2 || m.DelayMeasured {
		t.Errorf("median = %+v, want 2 calls, 2 MiB, delay not measured", m)
	}
}

// The tap sees an INVITE once, with its direction, and nothing else.
func TestTap(t *testing.T) {
	listen := func() *net.UDPConn {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	server, phone, other := listen(), listen(), listen()
	addr := func(c *net.UDPConn) *net.UDPAddr { return c.LocalAddr().(*net.UDPAddr) }
	tap, err := openTap(uint16(addr(server).Port))
	if err != nil {
		t.Skipf("SKIPPED: no packet socket here: %v", err)
	}
	invite := []byte("INVITE sip:x SIP/2.0\r\nFrom: <sip:+1@x>\r\n\r\n")
	begin := time.Now()
	for _, p := range []struct {
		from, to *net.UDPConn
		data     []byte
	}{
		{phone, server, bytes.Replace(invite, []byte("INVITE"), []byte("CANCEL"), 1)},
		{phone, other, invite},
		{phone, server, invite},
		{server, phone, invite},
	} {
		if _, err := p.from.WriteToUDP(p.data, addr(p.to)); err != nil {
			t.Fatal(err)
		}
		if _, err := p.to.Read(make([]byte, 1000)); err != nil { // the kernel has passed it on
			t.Fatal(err)
		}
	}
	for range 100 { // the tap reads in its own time, within its timeout of 100 ms
		<-time.After(2 * time.Millisecond)
	}
	seen := tap.close()
	if len(seen.through["+1"]) != 1 || seen.repeated != 0 || len(seen.waiting) != 0 {
		t.Fatalf("the tap saw %+v, want one INVITE in and out", seen)
	}
	if d := seen.through["+1"][0]; d < 0 || d > time.Since(begin) {
		t.Errorf("from in to out %s, want 0 to %s", d, time.Since(begin))
	}
}
