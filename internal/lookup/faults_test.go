package lookup

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/outbound"
)

// raw serves one text per connection and then does as after says.
func raw(t *testing.T, text string, after func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if text != "" {
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, text)
			}
			after(c)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "http://" + l.Addr().String()
}

func hangUp(c net.Conn) { _ = c.Close() }

// hold keeps connections open until the test ends.
func hold(t *testing.T) func(net.Conn) {
	return func(c net.Conn) { t.Cleanup(func() { _ = c.Close() }) }
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func zipped(body []byte) http.HandlerFunc {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, _ = z.Write(body)
	_ = z.Close()
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(buf.Bytes())
	}
}

// TestFaults is the list: each fault with its exit and reason.
func TestFaults(t *testing.T) {
	https := httptest.NewUnstartedServer(answer(`{"a":456}`))
	https.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of our distrust
	https.StartTLS()
	t.Cleanup(https.Close)
	closed := httptest.NewServer(nil)
	closed.Close()
	html := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>hello</html>")
	}
	failing := func(_ context.Context, host string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	tests := []struct {
		name    string
		url     string           // or
		handler http.HandlerFunc // a server
		resolve func(context.Context, string) ([]netip.Addr, error)
		exit    Exit
		reason  Reason
		tries   int // 0: not looked at
	}{
		{name: "refused", url: closed.URL, exit: Failed, reason: ReasonRefused, tries: 2},
		{name: "DNS", url: "http://crm.example", resolve: failing, exit: Failed, reason: ReasonDNS, tries: 2},
		{name: "TLS, certificate", url: https.URL, exit: Failed, reason: ReasonTLS, tries: 2},
		{name: "TLS, none", url: strings.Replace(closedHTTP(t), "http:", "https:", 1), exit: Failed, reason: ReasonTLS},
		{name: "hangs up", url: raw(t, "", hangUp), exit: Failed, reason: ReasonReset, tries: 2},
		{name: "hangs up in the headers", url: raw(t, "HTTP/1.1 200 OK\r\nA:", hangUp), exit: Failed, reason: ReasonReset, tries: 2},
		{name: "hangs up in the body", url: raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", hangUp), exit: Failed, reason: ReasonReset, tries: 2},
		{name: "no HTTP", url: raw(t, "220 mail.example ESMTP\r\n", hangUp), exit: Failed, reason: ReasonReset},
		{name: "accepts and is silent", url: raw(t, "", hold(t)), exit: Failed, reason: ReasonTimeout, tries: 1},
		{name: "silent in the headers", url: raw(t, "HTTP/1.1 200 OK\r\nA:", hold(t)), exit: Failed, reason: ReasonTimeout, tries: 1},
		{name: "silent in the body", url: raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", hold(t)), exit: Failed, reason: ReasonTimeout, tries: 1},
		{name: "silent in TLS", url: strings.Replace(raw(t, "", hold(t)), "http:", "https:", 1), exit: Failed, reason: ReasonTimeout, tries: 2},
		{name: "silent DNS", url: "http://slow.example", exit: Failed, reason: ReasonTimeout, tries: 2,
			resolve: func(ctx context.Context, _ string) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() }},
		{name: "301", handler: status(301, "Location", "https://elsewhere.example/"), exit: Failed, reason: ReasonRedirect, tries: 1},
		{name: "304", handler: status(304), exit: Failed, reason: ReasonRedirect},
		{name: "400", handler: status(400), exit: Failed, reason: ReasonHTTP4xx, tries: 1},
		{name: "401", handler: status(401), exit: Failed, reason: ReasonHTTP401, tries: 1},
		{name: "403", handler: status(403), exit: Failed, reason: ReasonHTTP403, tries: 1},
		{name: "404", handler: status(404), exit: Failed, reason: ReasonHTTP404, tries: 1},
		{name: "429", handler: status(429), exit: Failed, reason: ReasonHTTP429, tries: 1},
		{name: "429, soon", handler: status(429, "Retry-After", "0"), exit: Failed, reason: ReasonHTTP429, tries: 2},
		{name: "429, too late", handler: status(429, "Retry-After", "60"), exit: Failed, reason: ReasonHTTP429, tries: 1},
		{name: "500", handler: status(500), exit: Failed, reason: ReasonHTTP5xx, tries: 1},
		{name: "503", handler: status(503), exit: Failed, reason: ReasonHTTP5xx, tries: 2},
		{name: "101", handler: status(101), exit: Failed, reason: ReasonNotJSON},
		{name: "204", handler: status(204), exit: NoMatch, reason: ReasonEmptyStatus, tries: 1},
		{name: "200 without a body", handler: status(200), exit: NoMatch, reason: ReasonEmptyBody},
		{name: "HTML", handler: html, exit: Failed, reason: ReasonNotJSON},
		{name: "broken JSON", handler: answer(`{"a":456`), exit: Failed, reason: ReasonNotJSON},
		{name: "broken JSON behind the value", handler: answer(`{"a":456,}`), exit: Failed, reason: ReasonNotJSON},
		{name: "two values", handler: answer(`{"a":456}{}`), exit: Failed, reason: ReasonNotJSON},
		{name: "10 MB", handler: answer(`{"a":"` + strings.Repeat("x", 10<<20) + `"}`), exit: Failed, reason: ReasonTooLarge},
		{name: "gzip", handler: zipped([]byte(`{"b":1}`)), exit: NoMatch, reason: ReasonPathMissing},
		{name: "gzip bomb", handler: zipped(make([]byte, 64<<20)), exit: Failed, reason: ReasonTooLarge},
		{name: "no gzip", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			answer(`{"a":456}`)(w, r)
		}, exit: Failed, reason: ReasonNotJSON},
		{name: "unknown encoding", handler: status(200, "Content-Encoding", "br"), exit: Failed, reason: ReasonNotJSON},
		{name: "100,000 [", handler: answer(strings.Repeat("[", 100_000)), exit: Failed, reason: ReasonTooDeep},
		{name: "64 levels", handler: answer(strings.Repeat("[", 64) + strings.Repeat("]", 64)), exit: NoMatch, reason: ReasonPathMissing},
		{name: "65 levels", handler: answer(strings.Repeat("[", 65) + strings.Repeat("]", 65)), exit: Failed, reason: ReasonTooDeep},
		{name: "NUL", handler: answer("{\"a\":\"4\x0056\"}"), exit: Failed, reason: ReasonNotJSON},
		{name: "escaped NUL", handler: answer(`{"a":"4\u000056"}`), exit: UnknownTarget, reason: ReasonUnknownUser},
		{name: "invalid UTF-8", handler: answer("{\"a\":\"\xff\"}"), exit: Failed, reason: ReasonNotJSON},
		{name: "endless headers", url: raw(t, "HTTP/1.1 200 OK\r\n"+strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 100), hold(t)), exit: Failed, reason: ReasonTooLarge, tries: 1},
		{name: "blocked by URL", url: "http://10.0.0.1/", exit: Failed, reason: ReasonBlockedAddress, tries: 1},
		{name: "blocked by DNS", url: "http://inner.example/", exit: Failed, reason: ReasonBlockedAddress, tries: 1,
			resolve: func(context.Context, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("::ffff:169.254.169.254")}, nil
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			timeout := 5 * time.Second
			if tt.reason == ReasonTimeout {
				t.Parallel()
				timeout = 600 * time.Millisecond
			}
			url := tt.url
			if url == "" {
				url = serve(t, tt.handler).URL
			}
			engine := NewEngine(newClient(t, func(o *outbound.Options) { o.Resolver = tt.resolve }))
			l := mustCompile(t, Spec{URL: url, Timeout: Duration(timeout), Response: Response{Path: Paths{"a"}}}, Env{})
			o := engine.Run(t.Context(), l, testRequest(nil))
			if o.Exit != tt.exit || o.Reason != tt.reason {
				t.Errorf("got %s %s, want %s %s (%v)", o.Exit, o.Reason, tt.exit, tt.reason, lastError(o))
			}
			if n := len(o.Trace.attempts); tt.tries != 0 && n != tt.tries {
				t.Errorf("%d attempts, want %d", n, tt.tries)
			}
			if o.Dur > timeout+time.Second { // a second for a busy machine
				t.Errorf("took %s of %s", o.Dur, timeout)
			}
			view(t, o)
		})
	}
}

// closedHTTP is a server that speaks HTTP only.
func closedHTTP(t *testing.T) string { return serve(t, answer(`{"a":456}`)).URL }

func lastError(o Outcome) error {
	if n := len(o.Trace.attempts); n > 0 {
		return o.Trace.attempts[n-1].err
	}
	return nil
}

func TestRetryThenMatch(t *testing.T) {
	var n atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			w.WriteHeader(503)
			return
		}
		body, _ := io.ReadAll(r.Body)
		if r.Method == "POST" && string(body) != `{"n":"+14155550123"}` {
			t.Errorf("second body %q", body)
		}
		answer(`{"a":456}`)(w, r)
	})
	post := Spec{Method: "POST", URL: s.URL, Body: `{"n":"{{callerNumber}}"}`, Response: Response{Path: Paths{"a"}}}
	again := post
	again.Idempotent = true
	none := 0
	for _, tt := range []struct {
		name string
		spec Spec
		exit Exit
	}{
		{"GET", Spec{URL: s.URL, Response: post.Response}, Matched},
		{"GET, no retries", Spec{URL: s.URL, Response: post.Response, Retries: &none}, Failed},
		{"POST is not repeated", post, Failed},
		{"POST that is idempotent", again, Matched},
	} {
		n.Store(0)
		o := NewEngine(newClient(t)).Run(t.Context(), mustCompile(t, tt.spec, Env{}), testRequest(nil))
		if o.Exit != tt.exit {
			t.Errorf("%s: got %s %s, want %s", tt.name, o.Exit, o.Reason, tt.exit)
		}
	}
}

// A POST may be repeated when not one byte of it was sent: here nobody listened.
func TestUnsentPostIsRepeated(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	l := mustCompile(t, Spec{Method: "POST", URL: closed.URL, Response: Response{Path: Paths{"a"}}}, Env{})
	if o := NewEngine(newClient(t)).Run(t.Context(), l, testRequest(nil)); len(o.Trace.attempts) != 2 {
		t.Errorf("%d attempts, want 2", len(o.Trace.attempts))
	}
}

// The check stands at the socket, behind the last name lookup: a name that led to
// an allowed address before is refused when it leads elsewhere at the next dial.
func TestRebindingIsBlocked(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	_, port, _ := net.SplitHostPort(inner.Addr().String())
	outer := httptest.NewUnstartedServer(func() http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			answer(`{"a":456}`)(w, r)
		}
	}())
	_ = outer.Listener.Close()
	if outer.Listener, err = net.Listen("tcp", "127.0.0.2:"+port); err != nil {
		t.Skipf("no second loopback address: %v", err)
	}
	outer.Start()
	defer outer.Close()
	next := "127.0.0.2"
	client, err := outbound.New(outbound.Options{Allow: []string{"127.0.0.2"},
		Resolver: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr(next)}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	l := mustCompile(t, Spec{URL: "http://rebind.example:" + port, Response: Response{Path: Paths{"a"}}}, Env{})
	if o := NewEngine(client).Run(t.Context(), l, testRequest(nil)); o.Exit != Matched {
		t.Fatalf("before: got %s %s", o.Exit, o.Reason)
	}
	next = "127.0.0.1"
	if o := NewEngine(client).Run(t.Context(), l, testRequest(nil)); o.Reason != ReasonBlockedAddress {
		t.Errorf("after: got %s %s, want blocked_address", o.Exit, o.Reason)
	}
	if l, ok := inner.(*net.TCPListener); ok {
		_ = l.SetDeadline(time.Now())
		if _, err := l.Accept(); err == nil {
			t.Error("dialled")
		}
	}
}

func TestRedirectToBlockedIsNotDialled(t *testing.T) {
	inner := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("dialled") })
	s := serve(t, status(302, "Location", inner.URL))
	l := mustCompile(t, Spec{URL: s.URL, Response: Response{Path: Paths{"a"}}}, Env{})
	o := NewEngine(newClient(t)).Run(t.Context(), l, testRequest(nil))
	if o.Reason != ReasonRedirect || !strings.Contains(view(t, o).Sentence, inner.URL) {
		t.Errorf("got %s: %s", o.Reason, view(t, o).Sentence)
	}
}

// A black hole leaves time for a retry: connecting gets a third of the timeout.
func TestBlackHole(t *testing.T) {
	var addrs atomic.Int32
	live := serve(t, answer(`{"a":456}`))
	port := live.URL[strings.LastIndex(live.URL, ":"):]
	hole := fullBacklog(t)
	client := newClient(t, func(o *outbound.Options) {
		o.Resolver = func(ctx context.Context, _ string) ([]netip.Addr, error) {
			if addrs.Add(1) == 1 && hole == "" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
	})
	url := "http://crm.example" + port
	want, reason := Matched, Reason("")
	if hole != "" {
		url, want, reason = hole, Failed, ReasonTimeout
	}
	l := mustCompile(t, Spec{URL: url, Timeout: Duration(900 * time.Millisecond), Response: Response{Path: Paths{"a"}}}, Env{})
	o := NewEngine(client).Run(t.Context(), l, testRequest(nil))
	if o.Exit != want || o.Reason != reason || len(o.Trace.attempts) != 2 {
		t.Errorf("got %s %s after %d attempts (%v)", o.Exit, o.Reason, len(o.Trace.attempts), lastError(o))
	}
	if o.Dur < 300*time.Millisecond || o.Dur > 1800*time.Millisecond {
		t.Errorf("took %s, want two connects of 300ms at most", o.Dur)
	}
}

// An API that sends something again and again, but never an end, is given the
// timeout and not more.
func TestDripsEnd(t *testing.T) {
	drip := func(text string, every time.Duration) func(net.Conn) {
		return func(c net.Conn) {
			t.Cleanup(func() { _ = c.Close() })
			go func() {
				for {
					if _, err := io.WriteString(c, text); err != nil {
						return
					}
					if every > 0 {
						<-time.After(every) // its clock is the network's
					}
				}
			}()
		}
	}
	const timeout = 300 * time.Millisecond
	for _, tt := range []struct {
		name, head string
		after      func(net.Conn)
		reasons    []Reason
	}{
		{"body, byte by byte", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", drip(" ", 10*time.Millisecond), []Reason{ReasonTimeout}},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", drip("1\r\n \r\n", 10*time.Millisecond), []Reason{ReasonTimeout}},
		{"headers, byte by byte", "HTTP/1.1 200 OK\r\nA: ", drip("x", 10*time.Millisecond), []Reason{ReasonTimeout}},
		{"headers without end", "HTTP/1.1 200 OK\r\nA: ", drip(strings.Repeat("x", 4096), 0), []Reason{ReasonTooLarge, ReasonTimeout}},
		{"1xx, slowly", "HTTP/1.1 103 Early Hints\r\n\r\n", drip("HTTP/1.1 103 Early Hints\r\n\r\n", 100*time.Millisecond), []Reason{ReasonTimeout}},
		{"1xx without end", "HTTP/1.1 100 Continue\r\n\r\n", drip("HTTP/1.1 100 Continue\r\n\r\n", 0), []Reason{ReasonTooLarge, ReasonTimeout}},
		{"trailers without end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n2\r\n{}\r\n0\r\nA: ", drip(strings.Repeat("x", 4096), 0), []Reason{ReasonReset, ReasonTimeout}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := mustCompile(t, Spec{URL: raw(t, tt.head, tt.after), Timeout: Duration(timeout), Response: Response{Path: Paths{"a"}}}, Env{})
			start := time.Now()
			o := NewEngine(newClient(t)).Run(t.Context(), l, testRequest(nil))
			if took := time.Since(start); !slices.Contains(tt.reasons, o.Reason) || took > timeout+time.Second {
				t.Errorf("got %s %s after %s, want one of %v within %s", o.Exit, o.Reason, took, tt.reasons, timeout)
			}
		})
	}
}

func TestCancelAbortsAtOnce(t *testing.T) {
	arrived := make(chan struct{})
	gone := make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(gone)
	})
	l := mustCompile(t, Spec{URL: s.URL, Response: Response{Path: Paths{"a"}}}, Env{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	o := NewEngine(newClient(t)).Run(ctx, l, testRequest(nil))
	if o.Exit != Failed || o.Reason != ReasonCancelled || o.Dur > time.Second {
		t.Errorf("got %s %s after %s", o.Exit, o.Reason, o.Dur)
	}
	<-gone
}

func TestOverloaded(t *testing.T) {
	release := make(chan struct{})
	var in atomic.Int32
	full := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if in.Add(1) == maxPerOrigin {
			close(full)
		}
		<-release
		answer(`{"a":456}`)(w, r)
	})
	l := mustCompile(t, Spec{URL: s.URL, Response: Response{Path: Paths{"a"}}, Timeout: Duration(10 * time.Second)}, Env{})
	engine := NewEngine(newClient(t))
	var asked atomic.Int32
	engine.Asked = func(string, time.Duration) { asked.Add(1) }
	done := make(chan Outcome, maxPerOrigin)
	for range maxPerOrigin {
		go func() { done <- engine.Run(t.Context(), l, testRequest(nil)) }()
	}
	<-full
	if o := engine.Run(t.Context(), l, testRequest(nil)); o.Reason != ReasonOverloaded {
		t.Errorf("got %s, want overloaded", o.Reason)
	}
	close(release)
	for range maxPerOrigin {
		if o := <-done; o.Exit != Matched {
			t.Errorf("got %s %s", o.Exit, o.Reason)
		}
	}
	if got := asked.Load(); got != maxPerOrigin {
		t.Errorf("%d lookups were heard of, want the %d that asked", got, maxPerOrigin)
	}
}

func TestTLSWithKnownAuthority(t *testing.T) {
	s := httptest.NewTLSServer(answer(`{"a":456}`))
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	client := newClient(t, func(o *outbound.Options) { o.RootCAs = pool })
	l := mustCompile(t, Spec{URL: s.URL, Response: Response{Path: Paths{"a"}}}, Env{})
	o := NewEngine(client).Run(t.Context(), l, testRequest(nil))
	if o.Exit != Matched || view(t, o).Attempts[0].Timings.TLS == 0 {
		t.Errorf("got %s %s, timings %+v", o.Exit, o.Reason, view(t, o).Attempts)
	}
}

// fullBacklog is a listener that takes no more connections, or empty where the
// system has no such thing.
func fullBacklog(t *testing.T) string {
	t.Helper()
	fd, url, err := listenWithoutBacklog()
	if err != nil {
		t.Logf("no full backlog here: %v", err)
		return ""
	}
	t.Cleanup(fd)
	return url
}
