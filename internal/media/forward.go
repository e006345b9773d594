package media

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
)

// maxFailures is how many reads in a row may fail before a reader gives up.
const maxFailures = 16

// join starts the goroutine that carries what arrives at in to out. One plain
// loop per socket costs least: at 20 ms a packet, two rarely wait together.
func (s *Session) join(in conn, from *latch, out conn, to *latch, source sourceOf) {
	in.drain() // what came before the phones were joined is not for these ears
	s.readers.Go(func() {
		for failures := 0; failures < maxFailures; {
			packet, addr, err := in.read()
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
				return // the session is closed
			case err != nil:
				failures++ // such as an ICMP error that the system reports here
				continue
			}
			failures = 0
			ssrc, ok := source(packet.bytes())
			if from.accept(addr, ssrc, ok) {
				if at, ok := to.target(); ok {
					_ = out.write(packet.bytes(), at) // lost like any other packet
				}
			}
			packet.free()
		}
		s.relay.log.Warn("media socket fails, its sound is lost", "port", in.port())
	})
}

// sourceOf reads a packet's synchronisation source; false: not such a packet.
type sourceOf func(packet []byte) (uint32, bool)

// sourceRTP reads RFC 3550 §5.1. Packet types 192–223 are RTCP (RFC 5761 §4),
// which has its own port; STUN and DTLS have no version 2.
func sourceRTP(p []byte) (uint32, bool) {
	if len(p) < 12 || len(p) == maxDatagram || p[0]>>6 != 2 || isRTCP(p[1]) {
		return 0, false
	}
	return binary.BigEndian.Uint32(p[8:]), true
}

// sourceRTCP reads RFC 3550 §6.4.
func sourceRTCP(p []byte) (uint32, bool) {
	if len(p) < 8 || len(p) == maxDatagram || p[0]>>6 != 2 || !isRTCP(p[1]) {
		return 0, false
	}
	return binary.BigEndian.Uint32(p[4:]), true
}

func isRTCP(kind byte) bool { return kind >= 192 && kind <= 223 }
