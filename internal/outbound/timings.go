package outbound

import (
	"context"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// Timings say where a request's time went. Steps that did not happen are zero:
// a kept connection has no DNS, connect and TLS.
type Timings struct {
	mu sync.Mutex // a dial may outlive its request

	Wait      time.Duration // for a free connection, beside the three below
	DNS       time.Duration
	Connect   time.Duration
	TLS       time.Duration
	FirstByte time.Duration // from having a connection to the answer's first byte
	Address   string        // ip:port that was dialled, or InProcess
	Reused    bool          // a kept connection
}

// InProcess is Timings.Address of a request to ourselves.
const InProcess = "in process"

func (t *Timings) set(change func(*Timings)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(t)
}

// Read is a copy of what is known so far.
func (t *Timings) Read() (wait, dns, connect, tls, firstByte time.Duration, address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.Wait, t.DNS, t.Connect, t.TLS, t.FirstByte, t.Address
}

// attempt is one request on its way.
type attempt struct {
	timings *Timings
	connect time.Duration // limit of DNS, connect and TLS
	start   time.Time
	got     atomic.Int64 // nanoseconds from start to having a connection
	sent    atomic.Bool  // a connection was there, so bytes may have gone out
	conn    atomic.Pointer[countedConn]
	base    atomic.Int64 // bytes read from conn before this request
}

type attemptKey struct{}

// attemptOf is the limit and the timings that a dial belongs to.
func attemptOf(ctx context.Context) (*Timings, time.Duration) {
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok {
		return a.timings, a.connect
	}
	return new(Timings), DefaultConnect
}

func (a *attempt) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if c, ok := info.Conn.(*countedConn); ok {
				a.base.Store(c.read.Load())
				a.conn.Store(c)
			}
			a.sent.Store(true)
			since := time.Since(a.start)
			a.got.Store(int64(since))
			a.timings.set(func(t *Timings) {
				if t.Reused = info.Reused; info.Reused {
					t.DNS, t.Connect, t.TLS = 0, 0, 0
				}
				t.Address = info.Conn.RemoteAddr().String()
				t.Wait = max(0, since-t.DNS-t.Connect-t.TLS)
			})
		},
		GotFirstResponseByte: func() {
			a.timings.set(func(t *Timings) {
				t.FirstByte = time.Since(a.start) - time.Duration(a.got.Load())
			})
		},
	}
}

// received is how many bytes of an answer came in.
func (a *attempt) received() int64 {
	if c := a.conn.Load(); c != nil {
		return c.read.Load() - a.base.Load()
	}
	return 0
}
