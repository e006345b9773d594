package standin

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// A registrar that challenges with two algorithms, loses the first request, and
// speaks of something else in between.
func TestRegister(t *testing.T) {
	server := listenUDP(t)
	phone := listenUDP(t)
	got := make(chan string, 1)
	go func() {
		buf := make([]byte, 8<<10)
		for i := 0; ; i++ {
			n, from, err := server.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			request := string(buf[:n])
			via := line(request, "Via: ")
			switch {
			case i == 0: // lost
			case line(request, "Authorization: ") == "":
				send(server, from, "OPTIONS sip:x SIP/2.0\r\n"+via+"\r\n\r\n")
				send(server, from, "SIP/2.0 401 Unauthorized\r\nVia: z9hG4bKother\r\n\r\n")
				send(server, from, "SIP/2.0 401 Unauthorized\r\n"+via+"\r\n"+
					"WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\n"+
					"WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5, qop=\"auth\"\r\n\r\n")
			default:
				got <- request
				send(server, from, "SIP/2.0 100 Trying\r\n"+via+"\r\n\r\n")
				send(server, from, "SIP/2.0 200 OK\r\n"+via+"\r\n\r\n")
			}
		}
	}()
	r := Registration{Server: addrOf(server), Username: "ada", Password: "a long password"}
	status, err := r.Send(t.Context(), phone)
	if err != nil || status != 200 {
		t.Fatalf("Send = %d, %v, want 200", status, err)
	}
	request := <-got
	for _, want := range []string{
		"algorithm=SHA-256", `username="ada"`, "CSeq: 2 REGISTER", "Expires: 300",
		fmt.Sprintf("Contact: <sip:ada@%s>", phone.LocalAddr()), "To: <sip:ada@127.0.0.1>",
	} {
		if !strings.Contains(request, want) {
			t.Errorf("no %q in\n%s", want, request)
		}
	}
}

func listenUDP(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

func send(c *net.UDPConn, to netip.AddrPort, text string) {
	_, _ = c.WriteToUDPAddrPort([]byte(text), to)
}

func line(message, begin string) string {
	for l := range strings.SplitSeq(message, "\r\n") {
		if strings.HasPrefix(l, begin) {
			return l
		}
	}
	return ""
}
