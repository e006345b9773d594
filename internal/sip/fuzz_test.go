package sip

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/sip/stack"
)

// FuzzValidate feeds datagrams to everything that reads a request before its
// sender is known, and looks at what an answer would hold.
func FuzzValidate(f *testing.F) {
	for _, seed := range []string{
		"INVITE sip:+14155550100@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1;rport\r\nFrom: \"a\\\"b\" <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:a@b>\r\nRequire: 100rel, x\r\n\r\n",
		"REGISTER sip:x SIP/2.0\r\nv: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1, SIP/2.0/TCP y\r\nf: <sip:a@b>;tag=1\r\nt: sip:c@d;x=y\r\ni: x\r\nCSeq: 1 REGISTER\r\nm: *\r\nExpires: 0\r\n\r\n",
		"OPTIONS tel:+1-415;phone-context=x SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:%41%zz@b>\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\nY: z\r\nCSeq: 1 OPTIONS\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	source := netip.MustParseAddrPort("203.0.113.5:1234")
	f.Fuzz(func(t *testing.T, data []byte) {
		msg, err := sip.ParseMessage(data)
		req, ok := msg.(*sip.Request)
		if err != nil || !ok || req.Via() == nil || !stack.Clean(req) || !stack.Complete(req) {
			return
		}
		var headers []stack.Header
		if r := validate(req); r != nil {
			headers = r.headers
		} else {
			_, _ = readRegister(req)
			if uri, ok := remoteTarget(req); ok && !isURIText(uri) {
				t.Errorf("target %q", uri)
			}
			if user, ok := userOf(&req.Recipient); ok && strings.ContainsFunc(user, unicode.IsControl) {
				t.Errorf("user %q", user)
			}
		}
		wire := stack.NewHead(req, source).Wire(stack.Response{Status: 400, Tag: "t", Headers: headers})
		head, rest, ends := bytes.Cut(wire, []byte("\r\n\r\n"))
		if !ends || len(rest) != 0 {
			t.Fatalf("the answer has a body, or no end:\n%q", wire)
		}
		for line := range bytes.SplitSeq(head, []byte("\r\n")) {
			if bytes.ContainsAny(line, "\r\n\x00") {
				t.Errorf("line %q of the answer", line)
			}
		}
	})
}

func FuzzNumberOf(f *testing.F) {
	for _, seed := range []string{"sip:+14155550100@x", "tel:+1-415-555-0100;ext=3", "sip:%2b14155550100@x", "sip:00;x=y@z", "sip:4155550100%00@x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var uri sip.Uri
		if sip.ParseUri(text, &uri) != nil {
			return
		}
		n, ok := numberOf(&uri, "US")
		if !ok {
			return
		}
		if again, err := phone.ParseE164(string(n)); err != nil || again != n {
			t.Errorf("%q gives %q, which is no number", text, n)
		}
	})
}

func FuzzDisplayName(f *testing.F) {
	f.Add(`a\"b`, "+14155550100")
	f.Add("\u202eevil\\", "")
	f.Fuzz(func(t *testing.T, name, number string) {
		got := displayName(name, phone.E164(number))
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxName || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("%q became %q", name, got)
		}
		q := quoted(name)
		if q == "" {
			return
		}
		inner := strings.NewReplacer(`\\`, "", `\"`, "").Replace(strings.TrimSuffix(strings.TrimPrefix(q, `"`), `" `))
		if strings.ContainsAny(inner, `"\`) {
			t.Errorf("%q was quoted as %s", name, q)
		}
	})
}

func FuzzMasked(f *testing.F) {
	f.Add([]byte("INVITE x SIP/2.0\r\nAuthorization: Digest secret\r\n folded secret\r\n\r\nbody"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for line := range bytes.SplitSeq(masked(raw), []byte("\n")) {
			if name := secretName(line); name != nil && !bytes.Contains(line, []byte("••••")) {
				t.Errorf("%q keeps %q", raw, line)
			}
		}
	})
}
