package media

import "sync"

// maxDatagram is one more than a packet may be long, so that a longer one is
// told by filling the buffer: more than an Ethernet frame carries.
const maxDatagram = 2048

// datagram is a packet on its way through; whoever has it frees it.
type datagram struct {
	buf [maxDatagram]byte
	n   int
}

// datagrams are shared by all sessions: a socket that waits holds none.
var datagrams = sync.Pool{New: func() any { return new(datagram) }}

func newDatagram() *datagram { return datagrams.Get().(*datagram) }

func (d *datagram) bytes() []byte { return d.buf[:d.n] }

func (d *datagram) free() { datagrams.Put(d) }
