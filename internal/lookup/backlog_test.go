package lookup

import (
	"fmt"
	"net"
	"syscall"
	"time"
)

// listenWithoutBacklog listens with a queue of one and fills it, so that further
// SYNs are dropped: a black hole on loopback.
func listenWithoutBacklog() (closer func(), url string, err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, "", err
	}
	closers := []func(){func() { _ = syscall.Close(fd) }}
	closer = func() {
		for _, f := range closers {
			f()
		}
	}
	if err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err == nil {
		err = syscall.Listen(fd, 0)
	}
	name, err2 := syscall.Getsockname(fd)
	if err != nil || err2 != nil {
		closer()
		return nil, "", fmt.Errorf("%w, %w", err, err2)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 8 {
		c, err := net.DialTimeout("tcp", addr, 50*time.Millisecond)
		if err != nil {
			return closer, "http://" + addr, nil
		}
		closers = append(closers, func() { _ = c.Close() })
	}
	closer()
	return nil, "", fmt.Errorf("the queue takes everybody")
}
