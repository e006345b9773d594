package stack

import (
	"testing"

	"github.com/emiago/sipgo/sip"
)

// FuzzDatagram feeds datagrams to what reads them first. What passes cleanHead is
// Clean once it is parsed, and what is salvaged can be answered.
func FuzzDatagram(f *testing.F) {
	for _, seed := range []string{
		"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n folded\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n",
		"INVITE <sip:x> SIP/2.0\r\nv: SIP/2.0/UDP h\r\nf: sip:a@b;tag=1\r\nt: sip:c@d\r\ni: x\r\nCSeq: 1 INVITE\r\nl: -9\r\n\r\nbody\x00",
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1, SIP/2.0/UDP i\r\nCSeq: 1 INVITE\r\n\r\n",
		"OPTIONS soap.beep://h SIP/2.0\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	s := New(Options{Handle: func(*Incoming) {}})
	f.Fuzz(func(t *testing.T, data []byte) {
		if !cleanHead(data) {
			return
		}
		msg, err := s.parse(data)
		if err == nil {
			if m, ok := msg.(Message); !ok || !Clean(m) {
				t.Errorf("%q passed", data)
			}
			if req, ok := msg.(*sip.Request); ok {
				serverKey(req, string(req.Method))
			}
			return
		}
		if req, status := s.salvage(data); req != nil && (!Complete(req) || !Clean(req) || status < 400) {
			t.Errorf("%q salvaged with %d", data, status)
		}
	})
}
