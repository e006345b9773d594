package media

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
)

// Origin is what a leg's own o= line says. The zero value is ready: the first
// description written gets a random ID and version 1, and a description that
// differs from the one before it a version higher by one (RFC 3264 §8). It
// belongs to one leg and is not for concurrent use.
type Origin struct {
	ID, Version uint64
	last        uint64 // hash of what was written, so that no text is kept through a call
}

// Write makes the description for the other party: its media arrive at addr and
// port, which is the relay's port on that party's side. Streams keep their
// order; all but the audio one are switched off.
func (d *Description) Write(o *Origin, addr netip.Addr, port int) []byte {
	return d.write(o, addr, port, d.streams, d.audio)
}

// Answer is Write for an answer to offer, the description that the other party
// had sent: its streams are those of the offer, whatever the answering phone
// made of them (RFC 3264 §6).
func (d *Description) Answer(offer *Description, o *Origin, addr netip.Addr, port int) []byte {
	return d.write(o, addr, port, offer.streams, offer.audio)
}

func (d *Description) write(o *Origin, addr netip.Addr, port int, streams []stream, audio int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "s=-\r\nc=IN %s\r\nt=0 0\r\n", ip(addr))
	for i, m := range streams {
		if i != audio {
			writeLine(&b, m.kind, 0, m.proto, m.formats[:1])
			continue
		}
		own := d.streams[d.audio]
		writeLine(&b, "audio", port, m.proto, own.formats)
		for _, line := range own.keep {
			b.WriteString(line)
			b.WriteString("\r\n")
		}
		fmt.Fprintf(&b, "a=%s\r\n", d.direction)
	}
	return o.head(b.Bytes(), addr)
}

// writeLine writes an m= line.
func writeLine(b *bytes.Buffer, kind string, port int, proto string, formats []string) {
	fmt.Fprintf(b, "m=%s %d %s", kind, port, proto)
	for _, f := range formats {
		b.WriteByte(' ')
		b.WriteString(f)
	}
	b.WriteString("\r\n")
}

// head puts the first two lines before the rest of a description.
func (o *Origin) head(rest []byte, addr netip.Addr) []byte {
	h := fnv.New64a()
	h.Write(rest)
	if sum := h.Sum64(); o.Version == 0 || sum != o.last {
		o.last = sum
		o.Version++
	}
	if o.ID == 0 {
		o.ID = uint64(rand.Uint32()) + 1 // some phones read no more than 32 bits of it
	}
	return fmt.Appendf(nil, "v=0\r\no=- %d %d IN %s\r\n%s", o.ID, o.Version, ip(addr), rest)
}

// ip writes an address as SDP does: "IP4 192.0.2.1".
func ip(addr netip.Addr) string {
	addr = addr.Unmap()
	if addr.Is4() {
		return "IP4 " + addr.String()
	}
	return "IP6 " + addr.WithZone("").String()
}
