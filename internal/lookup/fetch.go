package lookup

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ringpath/ringpath/internal/outbound"
)

const (
	retryPause    = 100 * time.Millisecond // before a retry that nobody named a time for
	unknownBody   = 4 << 10                // of an answer that does not tell its length: room to begin with
	maxErrorBody  = testKeep + 16<<10      // read of an answer that is an error: what a trace shows, with the whole of a secret at its end
	connectShare  = 3                      // DNS, connect and TLS get this part of the timeout,
	maxConnect    = time.Second            // and no more than this
	userAgent     = "Ringpath"
	jsonMediaType = "application/json"
)

// message is a rendered request, to be sent once or more.
type message struct {
	url    *url.URL
	header http.Header
	body   []byte
	cred   Credential
}

// render makes the request. False: nothing is to be sent, and x.out says why.
func (x *run) render() bool {
	l, v := x.l, &x.req.Vars
	if !x.credential() {
		return false
	}
	x.trace.masks = findMasks(x.msg.cred, x.req.Credentials)
	raw, stopped := l.url.render(make([]byte, 0, 256), v)
	if stopped != nil {
		return x.stop(stopped)
	}
	if q := x.msg.cred.query(); q != "" {
		sep := byte('?')
		if l.url.hasQuery {
			sep = '&'
		}
		raw = append(append(raw, sep), q...)
	}
	var err error
	if x.msg.url, err = url.Parse(string(raw)); err != nil {
		return x.stop(&stop{reason: ReasonUnsafeValue})
	}
	x.msg.header = make(http.Header, len(l.headers)+5)
	x.msg.header.Set("Accept", jsonMediaType)
	x.msg.header.Set("User-Agent", userAgent)
	if l.body.parts != nil {
		x.msg.header.Set("Content-Type", l.body.contentType)
		if x.msg.body, stopped = write(nil, l.body.parts, l.body.place, v); stopped != nil {
			return x.stop(stopped)
		}
	}
	for _, h := range l.headers {
		value, stopped := write(nil, h.parts, inHeader, v)
		if stopped != nil {
			return x.stop(stopped)
		}
		x.msg.header[h.name] = []string{string(value)}
	}
	if name := x.msg.cred.header(); name != "" {
		value, ok := escape(nil, x.msg.cred.headerValue(), inHeader, nil)
		if !ok {
			return x.stop(&stop{reason: ReasonUnsafeValue, variable: "The secret of " + x.l.credential})
		}
		x.msg.header[name] = []string{string(value)}
	}
	x.msg.header.Set("Accept-Encoding", "gzip")
	return true
}

func (x *run) stop(s *stop) bool {
	exit := Failed
	if s.reason != ReasonUnsafeValue {
		exit = NoMatch
	}
	x.param("variable", s.variable)
	x.end(exit, s.reason)
	return false
}

// credential finds the secret, and checks once more that it may go there: it may
// have changed since the flow was saved.
func (x *run) credential() bool {
	name, u := x.l.credential, &x.l.url
	if name == "" {
		return true
	}
	x.param("credential", name)
	var found bool
	if x.req.Credentials != nil {
		x.msg.cred, found = x.req.Credentials.Credential(name)
	}
	switch {
	case !found || x.msg.cred.Secret.Empty():
		x.end(Failed, ReasonMissingSecret)
		return false
	case !x.msg.cred.allows(u.scheme, u.host, u.port),
		u.scheme == "http" && !isLoopback(u.host) && !x.engine.client.AllowsPlain(u.host, u.port):
		x.param("host", u.host+":"+u.port)
		x.param("why", "credential")
		x.end(Failed, ReasonBlockedAddress)
		return false
	}
	return true
}

// fetch sends the request, again where that is right, and returns the answer's
// body. False: there is none to read, and x.out says why.
func (x *run) fetch(ctx context.Context) ([]byte, bool) {
	release, ok := x.engine.take(x.l.url.server)
	if !ok {
		x.end(Failed, ReasonOverloaded)
		return nil, false
	}
	defer release()
	for n := 0; ; n++ {
		a := x.once(ctx)
		if a.reason == "" {
			return a.answer, true
		}
		pause, again := x.again(a)
		if !again || n == x.l.retries || !wait(ctx, pause) {
			x.params(a)
			x.end(exitOf(a.reason), a.reason)
			return nil, false
		}
	}
}

// params says of the last attempt what its sentence is made of.
func (x *run) params(a *attempt) {
	if a.status == 0 {
		return
	}
	x.param("status", itoa(a.status))
	x.param("location", a.respHeader.Get("Location"))
	x.param("retry_after", a.respHeader.Get("Retry-After"))
}

// wait pauses for d, if there is time for it and for something after it.
func wait(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// again says whether a failed attempt may be repeated, and after what pause.
func (x *run) again(a *attempt) (time.Duration, bool) {
	if x.l.method != http.MethodGet && !x.l.idempotent && !a.unsent {
		return 0, false
	}
	switch a.reason {
	case ReasonHTTP429:
		after, ok := retryAfter(a.respHeader)
		return after, ok
	case ReasonHTTP5xx:
		if a.status != 502 && a.status != 503 && a.status != 504 {
			return 0, false
		}
		if after, ok := retryAfter(a.respHeader); ok {
			return after, true
		}
		return retryPause, true
	case ReasonRefused, ReasonReset, ReasonDNS, ReasonTLS:
		return retryPause, true
	case ReasonTimeout:
		return 0, a.unsent // connecting took too long: that was pause enough
	}
	return 0, false
}

// retryAfter reads seconds or a date (RFC 9110 §10.2.3).
func retryAfter(h http.Header) (time.Duration, bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if s, err := strconv.Atoi(text); err == nil && s >= 0 && s < 1e6 {
		return time.Duration(s) * time.Second, true
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at)), true
	}
	return 0, false
}

// once makes one attempt and adds it to the trace.
func (x *run) once(ctx context.Context) *attempt {
	a := &attempt{msg: &x.msg, method: x.l.method}
	x.trace.attempts = append(x.trace.attempts, a)
	req := &http.Request{Method: x.l.method, URL: x.msg.url, Host: x.msg.url.Host, Header: x.msg.header}
	if x.msg.body != nil {
		req.Body = io.NopCloser(bytes.NewReader(x.msg.body))
		req.ContentLength = int64(len(x.msg.body))
		req.GetBody = func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(x.msg.body)), nil
		}
	}
	connect := min(x.l.timeout/connectShare, maxConnect)
	resp, err := x.engine.client.Do(ctx, req, connect, &a.timings)
	if err != nil {
		var e *outbound.Error
		a.unsent = errors.As(err, &e) && e.Unsent
		a.reason, a.err = reasonOf(err), err
		return a
	}
	defer resp.Body.Close()
	a.status, a.respHeader = resp.StatusCode, resp.Header
	start := time.Now()
	x.read(a, resp)
	a.body = time.Since(start)
	return a
}

// read takes the status and the body of an answer.
func (x *run) read(a *attempt, resp *http.Response) {
	for _, status := range x.l.emptyOn {
		if a.status == status {
			a.reason = ReasonEmptyStatus
		}
	}
	if a.reason == "" {
		a.reason = statusReason(a.status)
	}
	limit := maxBody
	if a.reason != "" {
		limit = maxErrorBody
	}
	answer, whole, reason := readBody(resp, limit)
	a.answer, a.whole = answer, whole
	switch {
	case a.reason != "": // the status says it all; the body is for the trace
	case reason != "":
		a.reason = reason
	case !whole:
		a.reason = ReasonTooLarge
	case len(bytes.TrimSpace(answer)) == 0:
		a.reason = ReasonEmptyBody
	default:
		a.answer = bytes.TrimPrefix(answer, []byte("\xef\xbb\xbf")) // a byte order mark says nothing
	}
}

// statusReason is why an answer of this status is not read; empty for 2xx.
func statusReason(status int) Reason {
	switch {
	case status >= 200 && status < 300:
		return ""
	case status >= 300 && status < 400:
		return ReasonRedirect
	case status == 401:
		return ReasonHTTP401
	case status == 403:
		return ReasonHTTP403
	case status == 404:
		return ReasonHTTP404
	case status == 429:
		return ReasonHTTP429
	case status >= 400 && status < 500:
		return ReasonHTTP4xx
	case status >= 500:
		return ReasonHTTP5xx
	}
	return ReasonNotJSON // 101: whatever follows is no answer
}

// reasonOf names what stopped a request.
func reasonOf(err error) Reason {
	return Reason(outbound.ClassOf(err)) // the same words
}

func exitOf(r Reason) Exit {
	switch r {
	case ReasonEmptyStatus, ReasonEmptyBody:
		return NoMatch
	}
	return Failed
}

var gzipReaders sync.Pool

// readBody reads up to limit bytes, decompressed. whole: there were no more.
func readBody(resp *http.Response, limit int) (body []byte, whole bool, reason Reason) {
	source := &noted{Reader: resp.Body}
	var from io.Reader = source
	size := int(min(resp.ContentLength, int64(limit))) + 1
	if resp.ContentLength < 0 {
		size = unknownBody
	}
	switch encoding := strings.ToLower(resp.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		z, ok := gzipReaders.Get().(*gzip.Reader)
		if !ok {
			z = new(gzip.Reader)
		}
		defer gzipReaders.Put(z)
		if err := z.Reset(from); err != nil {
			return nil, true, source.unreadable(err)
		}
		from, size = z, unknownBody
	default:
		return nil, false, ReasonNotJSON
	}
	body = make([]byte, 0, size)
	for {
		n, err := from.Read(body[len(body):min(cap(body), limit+1)])
		body = body[:len(body)+n]
		switch {
		case len(body) > limit:
			return body[:limit], false, ""
		case err == io.EOF:
			return body, true, ""
		case err != nil:
			return body, false, source.unreadable(err)
		case len(body) == cap(body):
			body = append(make([]byte, 0, min(2*cap(body), limit+1)), body...)
		}
	}
}

// noted remembers how the body itself ended, whatever was made of it.
type noted struct {
	io.Reader
	ended bool
}

func (n *noted) Read(p []byte) (int, error) {
	k, err := n.Reader.Read(p)
	n.ended = n.ended || err == io.EOF
	return k, err
}

// unreadable names what ended a body early: a body that came whole was no gzip.
func (n *noted) unreadable(err error) Reason {
	var corrupt flate.CorruptInputError
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt) || n.ended {
		return ReasonNotJSON
	}
	return reasonOf(err)
}
