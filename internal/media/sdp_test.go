package media

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ringpath/ringpath/internal/phone"
)

// body joins lines as SDP does.
func body(lines ...string) []byte { return []byte(strings.Join(lines, "\r\n") + "\r\n") }

var ours = netip.MustParseAddr("198.51.100.7")

func TestWrite(t *testing.T) {
	tests := []struct {
		name      string
		in        []byte
		want      []byte
		rtp, rtcp string
		direction string
	}{
		{
			name: "softphone with ICE, rtcp-mux and video",
			in: body("v=0", "o=alice 2890844526 2890844526 IN IP4 192.0.2.1", "s=secret name",
				"i=info", "e=alice@example.com", "c=IN IP4 192.0.2.1", "b=AS:84", "t=0 0",
				"a=group:BUNDLE 0 1", "a=ice-ufrag:abc", "a=tool:x",
				"m=audio 49170 RTP/AVP 96 0 8 101", "b=TIAS:64000", "a=rtcp:49171",
				"a=rtcp-mux", "a=candidate:1 1 UDP 1 192.168.1.5 5000 typ host", "a=mid:0",
				"a=ssrc:1 cname:alice@host", "a=rtpmap:96 opus/48000/2", "a=fmtp:96 useinbandfec=1",
				"a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=ptime:20", "a=sendrecv",
				"m=video 51372 RTP/AVP 31 32", "a=rtpmap:31 H261/90000"),
			want: body("v=0", "o=- 7 1 IN IP4 198.51.100.7", "s=-", "c=IN IP4 198.51.100.7", "t=0 0",
				"m=audio 20000 RTP/AVP 96 0 8 101", "b=TIAS:64000", "a=rtpmap:96 opus/48000/2",
				"a=fmtp:96 useinbandfec=1", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16",
				"a=ptime:20", "a=sendrecv", "m=video 0 RTP/AVP 31"),
			rtp: "192.0.2.1:49170", rtcp: "192.0.2.1:49171", direction: "sendrecv",
		},
		{
			name: "bare line ends, connection at the stream, session direction, second audio",
			in: []byte("v=0\no=- 1 1 IN IP4 192.0.2.9\ns=-\nt=0 0\na=sendonly\n" +
				"m=audio 0 RTP/AVP 0\nm=audio 4000/2 RTP/AVP 8\nc=IN IP4 192.0.2.2\n" +
				"m=audio 5000 RTP/AVP 0\nc=IN IP4 192.0.2.3"),
			want: body("v=0", "o=- 7 1 IN IP4 198.51.100.7", "s=-", "c=IN IP4 198.51.100.7", "t=0 0",
				"m=audio 0 RTP/AVP 0", "m=audio 20000 RTP/AVP 8", "a=sendonly", "m=audio 0 RTP/AVP 0"),
			rtp: "192.0.2.2:4000", rtcp: "192.0.2.2:4001", direction: "sendonly",
		},
		{
			name: "IPv6, rtcp elsewhere",
			in: body("v=0", "o=- 1 1 IN IP6 2001:db8::1", "s=-", "c=IN IP6 2001:db8::1", "t=0 0",
				"m=audio 4000 RTP/AVPF 0", "a=rtcp:4100 IN IP6 2001:db8::2", "a=inactive"),
			want: body("v=0", "o=- 7 1 IN IP4 198.51.100.7", "s=-", "c=IN IP4 198.51.100.7", "t=0 0",
				"m=audio 20000 RTP/AVPF 0", "a=inactive"),
			rtp: "[2001:db8::1]:4000", rtcp: "[2001:db8::2]:4100", direction: "inactive",
		},
		{
			name: "hold by address",
			in:   body("v=0", "s=-", "c=IN IP4 0.0.0.0", "t=0 0", "m=audio 4000 RTP/AVP 0", "a=sendrecv"),
			want: body("v=0", "o=- 7 1 IN IP4 198.51.100.7", "s=-", "c=IN IP4 198.51.100.7", "t=0 0",
				"m=audio 20000 RTP/AVP 0", "a=sendonly"),
			rtp: "0.0.0.0:4000", rtcp: "0.0.0.0:4001", direction: "sendonly",
		},
		{
			name: "audio that goes on while fax is offered beside it",
			in: body("v=0", "c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0",
				"m=image 4002 udptl t38", "a=T38FaxVersion:0"),
			want: body("v=0", "o=- 7 1 IN IP4 198.51.100.7", "s=-", "c=IN IP4 198.51.100.7", "t=0 0",
				"m=audio 20000 RTP/AVP 0", "a=sendrecv", "m=image 0 udptl t38"),
			rtp: "192.0.2.1:4000", rtcp: "192.0.2.1:4001", direction: "sendrecv",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, err := Parse(test.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := d.RTP.String(); got != test.rtp {
				t.Errorf("RTP: got %s, want %s", got, test.rtp)
			}
			if got := d.RTCP.String(); got != test.rtcp {
				t.Errorf("RTCP: got %s, want %s", got, test.rtcp)
			}
			if got := d.Direction(); got != test.direction {
				t.Errorf("direction: got %s, want %s", got, test.direction)
			}
			got := d.Write(&Origin{ID: 7}, ours, 20000)
			if diff := cmp.Diff(string(test.want), string(got)); diff != "" {
				t.Errorf("written (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWriteIPv6(t *testing.T) {
	d, err := Parse(body("v=0", "c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0"))
	if err != nil {
		t.Fatal(err)
	}
	got := string(d.Write(&Origin{ID: 7}, netip.MustParseAddr("2001:db8::7"), 20000))
	for _, want := range []string{"o=- 7 1 IN IP6 2001:db8::7\r\n", "c=IN IP6 2001:db8::7\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want in it %q", got, want)
		}
	}
}

// TestAnswer: an answer has the offer's streams, in the offer's order and with
// its protocol (RFC 3264 §6), whatever the phone wrote.
func TestAnswer(t *testing.T) {
	offer, err := Parse(body("v=0", "c=IN IP4 192.0.2.1", "m=video 5000 RTP/AVP 31", "m=audio 4000 RTP/AVPF 0 8"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := Parse(body("v=0", "c=IN IP4 192.0.2.2", "m=audio 6000 RTP/AVP 8", "a=recvonly"))
	if err != nil {
		t.Fatal(err)
	}
	got := string(answer.Answer(offer, &Origin{ID: 7}, ours, 20000))
	want := string(body("v=0", "o=- 7 1 IN IP4 198.51.100.7", "s=-", "c=IN IP4 198.51.100.7", "t=0 0",
		"m=video 0 RTP/AVP 31", "m=audio 20000 RTP/AVPF 8", "a=recvonly"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOrigin: the version grows by one when the description differs and only
// then (RFC 3264 §8).
func TestOrigin(t *testing.T) {
	parse := func(direction string) *Description {
		d, err := Parse(body("v=0", "c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0", "a="+direction))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	var o Origin
	for i, step := range []struct {
		direction string
		want      uint64
	}{{"sendrecv", 1}, {"sendrecv", 1}, {"sendonly", 2}, {"sendonly", 2}, {"sendrecv", 3}} {
		parse(step.direction).Write(&o, ours, 20000)
		if o.Version != step.want {
			t.Errorf("step %d, %s: got version %d, want %d", i, step.direction, o.Version, step.want)
		}
	}
	if o.ID == 0 {
		t.Error("the ID is still 0")
	}
}

func TestParseRefuses(t *testing.T) {
	audio := "m=audio 4000 RTP/AVP 0"
	conn := "c=IN IP4 192.0.2.1"
	tests := []struct {
		name string
		in   []byte
		want error
	}{
		{"nothing", nil, ErrSDP},
		{"other text", []byte("hello"), ErrSDP},
		{"other version", body("v=01", conn, audio), ErrSDP},
		{"too long", []byte("v=0\r\n" + strings.Repeat("a=x\r\n", 20000)), ErrSDP},
		{"too many lines", []byte("v=0\r\n" + strings.Repeat("a=x\r\n", 600)), ErrSDP},
		{"too many streams", []byte("v=0\r\n" + strings.Repeat(audio+"\r\n", 17)), ErrSDP},
		{"too many formats", body("v=0", conn, audio+strings.Repeat(" 0", 64)), ErrSDP},
		{"no equals sign", body("v=0", conn, audio, "axx"), ErrSDP},
		{"empty line", body("v=0", "", conn, audio), ErrSDP},
		{"a NUL", body("v=0", conn, audio, "a=rtpmap:0 PCMU\x00/8000"), ErrSDP},
		{"a lone CR", body("v=0", conn, audio, "a=rtpmap:0 x\ra=inactive"), ErrSDP},
		{"no connection", body("v=0", audio), ErrSDP},
		{"negative port", body("v=0", conn, "m=audio -1 RTP/AVP 0"), ErrSDP},
		{"port too high", body("v=0", conn, "m=audio 65536 RTP/AVP 0"), ErrSDP},
		{"no formats", body("v=0", conn, "m=audio 4000 RTP/AVP"), ErrSDP},
		{"bad rtcp", body("v=0", conn, audio, "a=rtcp:x"), ErrSDP},
		{"short connection", body("v=0", "c=IN IP4", audio), ErrSDP},
		{"name as address", body("v=0", "c=IN IP4 example.com", audio), ErrAddress},
		{"IPv6 called IPv4", body("v=0", "c=IN IP4 2001:db8::1", audio), ErrAddress},
		{"zone", body("v=0", "c=IN IP6 fe80::1%eth0", audio), ErrAddress},
		{"multicast", body("v=0", "c=IN IP4 224.2.36.42/127", audio), ErrAddress},
		{"multicast without TTL", body("v=0", "c=IN IP4 224.2.36.42", audio), ErrAddress},
		{"broadcast", body("v=0", "c=IN IP4 255.255.255.255", audio), ErrAddress},
		{"rtcp to a group", body("v=0", conn, audio, "a=rtcp:4001 IN IP4 224.0.0.1"), ErrAddress},
		{"no streams", body("v=0", conn), ErrNoAudio},
		{"video alone", body("v=0", conn, "m=video 4000 RTP/AVP 31"), ErrNoAudio},
		{"audio switched off", body("v=0", conn, "m=audio 0 RTP/AVP 0"), ErrNoAudio},
		{"audio over something else", body("v=0", conn, "m=audio 4000 TCP/RTP/AVP 0"), ErrNoAudio},
		{"crypto over plain RTP", body("v=0", conn, audio, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x"), ErrCrypto},
		{"SRTP", body("v=0", conn, "m=audio 4000 RTP/SAVP 0"), ErrCrypto},
		{"DTLS", body("v=0", conn, "m=audio 4000 UDP/TLS/RTP/SAVPF 0"), ErrCrypto},
		{"fax", body("v=0", conn, "m=image 4000 udptl t38"), ErrT38},
		{"fax in audio's place", body("v=0", conn, "m=audio 0 RTP/AVP 0", "m=image 4000 udptl t38"), ErrT38},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse(test.in)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if got := phone.KindOf(err); got != phone.Invalid {
				t.Errorf("kind: got %s, want %s", got, phone.Invalid)
			}
		})
	}
}

// FuzzParse: whatever is accepted can be written, and what is written can be
// read, is bounded, and leads to our address only.
func FuzzParse(f *testing.F) {
	f.Add(body("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0",
		"m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000", "a=rtcp:9", "m=video 1 RTP/AVP 31"))
	f.Add(body("v=0", "c=IN IP6 ::", "m=audio 65535 RTP/AVPF 0", "a=recvonly"))
	f.Add(body("v=0", "m=image 4000 udptl t38", "c=IN IP4 192.0.2.1"))
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := Parse(in)
		if err != nil {
			if phone.KindOf(err) != phone.Invalid {
				t.Errorf("kind of %v: got %s", err, phone.KindOf(err))
			}
			return
		}
		if bytes.Count(in, []byte("\n")) > maxLines-10 {
			return // our own lines may be too many for Parse
		}
		out := d.Write(&Origin{}, ours, 20000)
		if len(out) > 2*maxBody+1000 {
			t.Errorf("%d bytes became %d", len(in), len(out))
		}
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, out)
		}
		if want := netip.AddrPortFrom(ours, 20000); again.RTP != want {
			t.Errorf("written RTP: got %s, want %s", again.RTP, want)
		}
		if again.Direction() != d.Direction() {
			t.Errorf("direction: got %s, want %s", again.Direction(), d.Direction())
		}
		if got, want := fmt.Sprint(again.Payloads()), fmt.Sprint(d.Payloads()); got != want {
			t.Errorf("payloads: got %s, want %s", got, want)
		}
	})
}
