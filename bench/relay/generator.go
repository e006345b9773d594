package main

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// What the two processes say to each other, one JSON value each, in this order.
type (
	// order goes to the child.
	order struct{ Calls, Seconds int }
	// ports come from the child, the ends' own, and go to it, the relay's: of each
	// call the caller's and the phone's.
	ports [][2]uint16
	// count comes from the child at the end.
	count struct{ Sent, Received uint64 }
)

const (
	every  = 20 * time.Millisecond // a packet of each stream
	slots  = 20                    // in which the streams take turns, 1 ms each
	settle = 300 * time.Millisecond
)

// generator is the child: both ends of every call.
func generator(in io.Reader, out io.Writer) error {
	read, write := json.NewDecoder(in), json.NewEncoder(out)
	var o order
	if err := read.Decode(&o); err != nil {
		return err
	}
	var streams []*stream
	own := make(ports, o.Calls)
	received := new(atomic.Uint64)
	for i := range own {
		for side := range own[i] {
			s, err := newStream(uint32(len(streams)+1), received)
			if err != nil {
				return err
			}
			streams = append(streams, s)
			own[i][side] = s.conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		}
	}
	if err := write.Encode(own); err != nil {
		return err
	}
	var relay ports
	if err := read.Decode(&relay); err != nil {
		return err
	}
	for i, s := range streams {
		s.to = netip.AddrPortFrom(loopback, relay[i/2][i%2])
	}
	sent := play(streams, time.Duration(o.Seconds)*time.Second)
	<-time.After(settle) // what is still under way
	return write.Encode(count{Sent: sent, Received: received.Load()})
}

// stream is one end of a call.
type stream struct {
	conn   *net.UDPConn
	to     netip.AddrPort
	packet []byte
	number uint16
}

func newStream(ssrc uint32, received *atomic.Uint64) (*stream, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		return nil, err
	}
	s := &stream{conn: conn, packet: make([]byte, 172)} // 20 ms of G.711
	s.packet[0] = 0x80
	binary.BigEndian.PutUint32(s.packet[8:], ssrc)
	go func() { // until the process ends
		buf := make([]byte, 1500)
		for {
			if _, _, err := conn.ReadFromUDPAddrPort(buf); err != nil {
				return
			}
			received.Add(1)
		}
	}()
	return s, nil
}

// play sends every stream's packets, spread evenly over their 20 ms, as they
// come from phones that know nothing of each other.
func play(streams []*stream, length time.Duration) (sent uint64) {
	begin := time.Now()
	slot := every / slots
	for turn := 0; time.Duration(turn)*slot < length; turn++ {
		time.Sleep(time.Until(begin.Add(time.Duration(turn) * slot)))
		for i := turn % slots; i < len(streams); i += slots {
			if streams[i].send() {
				sent++
			}
		}
	}
	return sent
}

func (s *stream) send() bool {
	s.number++
	binary.BigEndian.PutUint16(s.packet[2:], s.number)
	binary.BigEndian.PutUint32(s.packet[4:], uint32(s.number)*160)
	_, err := s.conn.WriteToUDPAddrPort(s.packet, s.to)
	return err == nil
}
