package simnet_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringpath/ringpath/internal/simnet"
)

func TestDelayIsExactAndOrderIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{Delay: 30 * time.Millisecond})
		a, b := n.Listen("192.0.2.1:5060"), n.Listen("192.0.2.2:5060")
		start := time.Now()
		for _, s := range []string{"one", "two", "three"} {
			if _, err := a.WriteTo([]byte(s), b.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		buf := make([]byte, 100)
		for _, want := range []string{"one", "two", "three"} {
			k, from, err := b.ReadFrom(buf)
			if err != nil || string(buf[:k]) != want || from.String() != "192.0.2.1:5060" {
				t.Fatalf("read %q from %v, %v; want %q", buf[:k], from, err, want)
			}
			if got := time.Since(start); got != 30*time.Millisecond {
				t.Errorf("%s came after %v, want 30ms", want, got)
			}
		}
		_ = b.SetReadDeadline(time.Now().Add(time.Second))
		if _, _, err := b.ReadFrom(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after the deadline: %v", err)
		}
		_ = a.Close()
		_ = b.Close()
		if _, _, err := b.ReadFrom(buf); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if got := n.Open(); got != 0 {
			t.Errorf("%d sockets left", got)
		}
	})
}

func TestOneSeedIsOneRun(t *testing.T) {
	run := func() (got []byte) {
		synctest.Test(t, func(t *testing.T) {
			n := simnet.New(simnet.Options{Delay: time.Millisecond, Jitter: 5 * time.Millisecond, Loss: .2, Duplicate: .2, Reorder: .2, Seed: 7})
			a, b := n.Listen("192.0.2.1:1"), n.Listen("192.0.2.2:1")
			for i := range 100 {
				_, _ = a.WriteToUDPAddrPort([]byte{byte(i)}, netip.MustParseAddrPort("192.0.2.2:1"))
			}
			_ = b.SetReadDeadline(time.Now().Add(time.Second))
			buf := make([]byte, 1)
			for {
				if _, _, err := b.ReadFrom(buf); err != nil {
					return
				}
				got = append(got, buf[0])
			}
		})
		return got
	}
	one, two := run(), run()
	if string(one) != string(two) {
		t.Errorf("two runs differ:\n%v\n%v", one, two)
	}
	if len(one) == 100 {
		t.Error("nothing was lost")
	}
}
