package outbound

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func newTestClient(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func get(t *testing.T, c *Client, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(t.Context(), req, 0, nil)
	if err == nil {
		t.Cleanup(func() { _ = resp.Body.Close() })
	}
	return resp, err
}

func TestGuard(t *testing.T) {
	tests := []struct {
		allow []string
		host  string
		addr  string
		want  bool
	}{
		{nil, "", "93.184.216.34:443", true},
		{nil, "", "[2606:2800:220:1::1]:443", true},
		{nil, "", "127.0.0.1:80", false},
		{nil, "", "127.255.255.254:80", false},
		{nil, "", "0.0.0.0:80", false},
		{nil, "", "10.1.2.3:80", false},
		{nil, "", "172.16.0.1:80", false},
		{nil, "", "172.31.255.255:80", false},
		{nil, "", "172.32.0.1:80", true},
		{nil, "", "192.168.0.1:80", false},
		{nil, "", "100.64.0.1:80", false},
		{nil, "", "169.254.1.1:80", false},
		{nil, "", "192.0.2.1:80", false},
		{nil, "", "198.18.0.1:80", false},
		{nil, "", "224.0.0.1:80", false},
		{nil, "", "255.255.255.255:80", false},
		{nil, "", "[::]:80", false},
		{nil, "", "[::1]:80", false},
		{nil, "", "[::127.0.0.1]:80", false},
		{nil, "", "[::ffff:10.0.0.1]:80", false},
		{nil, "", "[::ffff:93.184.216.34]:80", true},
		{nil, "", "[fe80::1%eth0]:80", false},
		{nil, "", "[fc00::1]:80", false},
		{nil, "", "[fd00:ec2::254]:80", false},
		{nil, "", "[ff02::1]:80", false},
		{nil, "", "[64:ff9b::a00:1]:80", false},
		{nil, "", "[64:ff9b:1::1]:80", false},
		{nil, "", "[2002:a00:1::1]:80", false},
		{nil, "", "[2001::1]:80", false},
		{nil, "", "[2001:db8::1]:80", false},
		{[]string{"10.0.0.0/8"}, "", "10.1.2.3:80", true},
		{[]string{"10.0.0.0/8"}, "", "[::ffff:10.1.2.3]:80", true},
		{[]string{"::ffff:10.0.0.0/104"}, "", "10.1.2.3:80", true},
		{[]string{"10.0.0.0/8"}, "", "192.168.0.1:80", false},
		{[]string{"10.1.2.3"}, "", "10.1.2.3:80", true},
		{[]string{"crm.local:8080"}, "crm.local:8080", "10.1.2.3:8080", true},
		{[]string{"CRM.local:8080"}, "crm.local:8080", "10.1.2.3:8080", true},
		{[]string{"crm.local:8080"}, "crm.local:80", "10.1.2.3:80", false},
		{[]string{"crm.local:8080"}, "other.local:8080", "10.1.2.3:8080", false},
		{[]string{"127.0.0.1:8080"}, "x", "127.0.0.1:8080", true},
		{[]string{"127.0.0.1:8080"}, "x", "127.0.0.1:8081", false},
		{[]string{"169.254.0.0/16"}, "", "169.254.1.1:80", true},
		{[]string{"169.254.0.0/16"}, "", "169.254.169.254:80", false},
		{[]string{"meta.local:80"}, "meta.local:80", "169.254.169.254:80", false},
		{[]string{"169.254.169.254"}, "", "169.254.169.254:80", true},
		{[]string{"0.0.0.0/0", "::/0"}, "", "169.254.169.254:80", false},
		{[]string{"0.0.0.0/0"}, "", "127.0.0.1:9999", false},      // our own
		{[]string{"127.0.0.1:7777"}, "", "127.0.0.1:7777", false}, // our own, by the wildcard
		{[]string{"0.0.0.0/0"}, "", "127.0.0.1:7778", true},
		{[]string{"0.0.0.0/0", "::/0"}, "", "0.0.0.0:9999", false}, // leads to our own, as a system dials it
		{[]string{"0.0.0.0/0", "::/0"}, "", "[::]:9999", false},
		{[]string{"0.0.0.0/0", "::/0"}, "", "[::]:7777", false},
		{[]string{"64:ff9b::/96"}, "", "[64:ff9b::5db8:d822]:80", true},
		{[]string{"64:ff9b::/96"}, "", "[64:ff9b::a00:1]:80", false},
		{[]string{"64:ff9b::/96", "10.0.0.0/8"}, "", "[64:ff9b::a00:1]:80", true},
		{[]string{"::/0"}, "", "[64:ff9b::a9fe:a9fe]:80", false}, // metadata behind NAT64
		{[]string{"::/0"}, "", "[2002:a9fe:a9fe::1]:80", false},
		{[]string{"[FD00:0::1]:80"}, "x:80", "[fd00::1]:80", true},
	}
	for _, tt := range tests {
		g, err := newGuard(tt.allow)
		if err != nil {
			t.Fatal(err)
		}
		g.setOwn([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9999"), netip.MustParseAddrPort("[::]:7777")})
		if got := g.permits(tt.host, netip.MustParseAddrPort(tt.addr)); got != tt.want {
			t.Errorf("%v: %s (%s): got %v, want %v", tt.allow, tt.addr, tt.host, got, tt.want)
		}
	}
	for _, bad := range []string{"10.0.0.0/99", "crm.local", ":80", "x:"} {
		if _, err := newGuard([]string{bad}); err == nil {
			t.Errorf("allow %q was taken", bad)
		}
	}
}

// Spellings of an address that some programs understand, and tricks with what
// stands before a host: none of them may reach this machine.
func TestSpellingsOfLoopback(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	c := newTestClient(t, Options{})
	for _, host := range []string{
		"127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "0", "0.0.0.0",
		"localhost", "LOCALHOST.", "ip6-localhost", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
		"[0:0:0:0:0:ffff:7f00:1]", "[::1%25lo]", "crm.example@127.0.0.1", "127.0.0.1%2f", "①②⑦.⓪.⓪.①",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+":"+port+"/", nil)
		if err == nil {
			var resp *http.Response
			if resp, err = c.Do(ctx, req, 0, nil); err == nil {
				_ = resp.Body.Close()
			}
		}
		cancel()
		if err == nil {
			t.Errorf("%s was reached", host)
		}
	}
	_ = l.(*net.TCPListener).SetDeadline(time.Now())
	if conn, err := l.Accept(); err == nil {
		_ = conn.Close()
		t.Error("something was dialled")
	}
}

func TestBlockedIsNotDialled(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := newTestClient(t, Options{})
	_, err = get(t, c, "http://"+l.Addr().String())
	if !errors.Is(err, ErrBlocked) || ClassOf(err) != Blocked {
		t.Errorf("got %v, want blocked", err)
	}
	_ = l.(*net.TCPListener).SetDeadline(time.Now())
	if _, err := l.Accept(); err == nil {
		t.Error("dialled")
	}
}

func TestNoRedirectNoProxyKeptConnections(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Proto != "HTTP/1.1" {
			t.Errorf("asked by %s", r.Proto)
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := newTestClient(t, Options{Allow: []string{"127.0.0.1"}})
	for range 3 {
		req, _ := http.NewRequest("GET", s.URL, nil)
		timings := new(Timings)
		resp, err := c.Do(t.Context(), req, 0, timings)
		if err != nil || resp.StatusCode != http.StatusFound {
			t.Fatalf("got %v %v", resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if _, _, _, _, first, address := timings.Read(); first <= 0 || address != s.Listener.Addr().String() {
			t.Errorf("first byte after %s from %q", first, address)
		}
	}
	if conns.Load() != 1 {
		t.Errorf("%d connections for three requests", conns.Load())
	}
}

// Both families: the one that answers wins, whichever stands first.
func TestSecondFamily(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer s.Close()
	for _, order := range [][]string{{"::1", "127.0.0.1"}, {"127.0.0.1", "::1"}, {"127.0.0.9", "127.0.0.1"}} {
		c := newTestClient(t, Options{Allow: []string{"127.0.0.0/8", "::1"}, Resolver: func(context.Context, string) (list []netip.Addr, _ error) {
			for _, a := range order {
				list = append(list, netip.MustParseAddr(a))
			}
			return list, nil
		}})
		_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
		if _, err := get(t, c, "http://two.example:"+port); err != nil {
			t.Errorf("%v: %v", order, err)
		}
	}
}

func TestOwn(t *testing.T) {
	own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/panic":
			panic("x")
		case "/v1/headers":
			w.Header().Set("A", strings.Repeat("x", MaxHeaderBytes))
		case "/v1/slow":
			<-r.Context().Done()
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, r.Host+" "+r.RequestURI)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	c := newTestClient(t, Options{Allow: []string{"127.0.0.0/8", addr}})
	if err := c.SetOwn(own, []netip.AddrPort{netip.MustParseAddrPort(addr)}, "http://"+addr, "https://pbx.example"); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		url   string
		class Class
		body  string
	}{
		{"http://" + addr + "/v1/calls?a=%2B1", "", addr + " /v1/calls?a=%2B1"},
		{"https://pbx.example/v1/ping", "", "pbx.example /v1/ping"},
		{"https://PBX.example:443/v1/ping", "", "PBX.example:443 /v1/ping"},
		{"https://pbx.example/api/users", Blocked, ""},
		{"https://pbx.example/v1", Blocked, ""},
		{"https://pbx.example/v1/../api/users", Blocked, ""},
		{"https://pbx.example/v1/%2e%2e/api/users", Blocked, ""},
		{"https://pbx.example/v1/a%2Fb", Blocked, ""},
		{"https://pbx.example/v1/a%5cb", Blocked, ""},
		{"https://pbx.example/v1/./a", Blocked, ""},
		{"http://" + addr + "/metrics", Blocked, ""},
		{"http://localhost:" + strings.Split(addr, ":")[1] + "/v1/calls", Blocked, ""},
		{"http://" + addr + "/v1/panic", Reset, ""},
		{"http://" + addr + "/v1/headers", TooLarge, ""},
		{"http://" + addr + "/v1/slow", Timeout, ""},
	}
	for _, tt := range tests {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		req, _ := http.NewRequest("GET", tt.url, nil)
		timings := new(Timings)
		resp, err := c.Do(ctx, req, 0, timings)
		body := ""
		if err == nil {
			data, _ := io.ReadAll(resp.Body)
			body = string(data)
			if _, _, _, _, _, address := timings.Read(); address != InProcess {
				t.Errorf("%s: address %q", tt.url, address)
			}
		}
		if ClassOf(err) != tt.class || body != tt.body {
			t.Errorf("%s: got %q %v, want %q %s", tt.url, body, err, tt.body, tt.class)
		}
		cancel()
	}
	_ = l.(*net.TCPListener).SetDeadline(time.Now())
	if _, err := l.Accept(); err == nil {
		t.Error("dialled ourselves")
	}
}

func TestCancelledAndUnsent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := newTestClient(t, Options{Allow: []string{"127.0.0.1"}, Resolver: func(ctx context.Context, _ string) ([]netip.Addr, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	req, _ := http.NewRequest("GET", "http://a.example/", nil)
	_, err := c.Do(ctx, req, 100*time.Millisecond, nil)
	var e *Error
	if !errors.As(err, &e) || e.Class != Cancelled || !e.Unsent {
		t.Errorf("got %v", err)
	}
}
