package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tap sees the INVITEs on the loopback interface with the kernel's time of each.
type tap struct {
	fd   int
	port uint16
	seen *invites
	done chan struct{}
	quit chan struct{}
}

// inviteFilter passes UDP datagrams over IPv4 that begin with INVI, from or to
// port; the kernel drops the rest before copying it. IP headers on loopback have
// no options, so the UDP header stands at 20 and its payload at 28.
func inviteFilter(port uint16) []unix.SockFilter {
	ld := func(size uint16, at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | size | unix.BPF_ABS, K: at}
	}
	eq := func(k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	ret := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	return []unix.SockFilter{
		ld(unix.BPF_B, 9), eq(unix.IPPROTO_UDP, 0, 7),
		ld(unix.BPF_H, 20), eq(uint32(port), 2, 0),
		ld(unix.BPF_H, 22), eq(uint32(port), 0, 3),
		ld(unix.BPF_W, 28), eq(binary.BigEndian.Uint32([]byte("INVI")), 0, 1),
		ret(4096), ret(0),
	}
}

// openTap begins to listen. Without the right to it the error is unix.EPERM.
func openTap(port uint16) (*tap, error) {
	// A socket for one protocol sees each packet once, when it comes in; one for all
	// protocols would see loopback's twice.
	protocol := binary.NativeEndian.Uint16([]byte{unix.ETH_P_IP >> 8, unix.ETH_P_IP & 0xff}) // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	filter := inviteFilter(port)
	lo, err := net.InterfaceByName("lo")
	if err == nil {
		err = errors.Join(
			unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: lo.Index}),
		)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("packet socket: %w", err), unix.Close(fd))
	}
	t := &tap{fd: fd, port: port, seen: newInvites(), done: make(chan struct{}), quit: make(chan struct{})}
	go t.listen()
	return t, nil
}

func (t *tap) listen() {
	defer close(t.done)
	packet, control := make([]byte, 4096), make([]byte, 128)
	for {
		n, cn, _, _, err := unix.Recvmsg(t.fd, packet, control, 0)
		select {
		case <-t.quit:
			return
		default:
		}
		if err != nil {
			continue // the timeout by which quit is noticed
		}
		if n < 28 {
			continue
		}
		in := binary.BigEndian.Uint16(packet[22:]) == t.port
		t.seen.add(string(packet[28:n]), in, stamp(control[:cn]))
	}
}

// stamp is the kernel's time of a packet.
func stamp(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err == nil {
		for _, m := range messages {
			if m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
				ts := (*unix.Timespec)(unsafe.Pointer(&m.Data[0]))
				return time.Unix(ts.Unix())
			}
		}
	}
	return time.Now()
}

// close ends the tap and says what it saw. Packets that the kernel had to drop for
// want of room are told, because then the delays are not those of all calls.
func (t *tap) close() *invites {
	close(t.quit)
	<-t.done
	if st, err := unix.GetsockoptTpacketStats(t.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil && st.Drops > 0 {
		fmt.Printf("the tap lost %d of %d INVITEs\n", st.Drops, st.Packets)
	}
	_ = unix.Close(t.fd)
	return t.seen
}
