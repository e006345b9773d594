package outbound

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// ownServer is this program's own HTTP server, seen from its client.
type ownServer struct {
	handler http.Handler
	bases   map[string]bool // scheme://host:port, lower case
}

type verdict int

const (
	dial      verdict = iota // somebody else's, or not known to be ours: the guard decides
	inProcess                // ours, and what may be asked
	forbidden                // ours, and nothing for a lookup
)

// SetOwn tells the client about this program's own listeners, once they are
// known; nothing at listeners is ever dialled, whatever Options.Allow says. A
// request to exactly the scheme, host and port of one of bases
// ("http://127.0.0.1:8080", the public URL), with a path below /v1/, goes to
// handler without a connection. It may be called again.
func (c *Client) SetOwn(handler http.Handler, listeners []netip.AddrPort, bases ...string) error {
	own := &ownServer{handler: handler, bases: map[string]bool{}}
	for _, text := range bases {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return fmt.Errorf("base %q: want scheme://host:port", text)
		}
		own.bases[base(u)] = true
	}
	c.guard.setOwn(listeners)
	c.own.Store(own)
	return nil
}

// judge says what a request to u is to us.
func (o *ownServer) judge(u *url.URL) verdict {
	if o == nil || !o.bases[base(u)] {
		return dial
	}
	path := strings.ToLower(u.EscapedPath())
	if o.handler == nil || !strings.HasPrefix(path, "/v1/") || strings.Contains(path, "\\") ||
		strings.Contains(path, "%2f") || strings.Contains(path, "%5c") || strings.Contains(path, "%2e") {
		return forbidden
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return forbidden
		}
	}
	return inProcess
}

// base is scheme://host:port of u, lower case, the port always written.
func base(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if strings.EqualFold(u.Scheme, "https") {
			port = "443"
		}
	}
	return strings.ToLower(u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port))
}

// serveOwn lets our own handler answer. It returns when ctx ends, as a
// connection would, though the handler may need a moment more.
func (c *Client) serveOwn(ctx context.Context, own *ownServer, req *http.Request, t *Timings) (*http.Response, error) {
	start := time.Now()
	w := &answer{header: http.Header{}}
	in := req.Clone(ctx)
	in.RequestURI = in.URL.RequestURI()
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	in.RemoteAddr = "127.0.0.1:0"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	done := make(chan struct{})
	c.serving.Go(func() {
		defer close(done)
		defer func() {
			if recover() != nil { // as net/http does; http.ErrAbortHandler included
				w.panicked = true
			}
		}()
		own.handler.ServeHTTP(w, in)
	})
	select {
	case <-done:
	case <-ctx.Done():
		return nil, &Error{Class: ClassOf(ctx.Err()), Err: ctx.Err()}
	}
	t.set(func(t *Timings) { t.FirstByte = time.Since(start) })
	return w.response(req)
}

// maxOwnBody bounds what a handler of ours may answer a lookup; more than any
// reader of it accepts.
const maxOwnBody = 1 << 20

// answer is an http.ResponseWriter in memory.
type answer struct {
	header   http.Header
	sent     http.Header // as they were at WriteHeader
	status   int
	body     bytes.Buffer
	panicked bool
}

func (w *answer) Header() http.Header { return w.header }

func (w *answer) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *answer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.body.Len()+len(p) > maxOwnBody {
		return 0, io.ErrShortWrite
	}
	return w.body.Write(p)
}

func (w *answer) response(req *http.Request) (*http.Response, error) {
	if w.panicked {
		return nil, &Error{Class: Reset, Err: http.ErrAbortHandler}
	}
	w.WriteHeader(http.StatusOK)
	size := 0
	for name, values := range w.sent {
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	if size > MaxHeaderBytes {
		return nil, &Error{Class: TooLarge, Err: io.ErrShortBuffer}
	}
	return &http.Response{
		Status:     fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)),
		StatusCode: w.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        w.sent,
		Body:          io.NopCloser(bytes.NewReader(w.body.Bytes())),
		ContentLength: int64(w.body.Len()),
		Request:       req,
	}, nil
}
