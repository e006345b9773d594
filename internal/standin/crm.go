package standin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Mode is how well the CRM is.
type Mode string

const (
	Up   Mode = "up"   // answers
	Down Mode = "down" // refuses connections: its listener is closed, and so is every open connection
	Hang Mode = "hang" // accepts requests and never answers
)

// maxRequests is how many of the newest requests the CRM remembers.
const maxRequests = 1000

// CRMOptions say what CRM to play. The zero value is an open one on free ports
// of the loopback address.
type CRMOptions struct {
	Listen  string // host:port of the CRM; empty: 127.0.0.1, a free port
	Control string // host:port of the control endpoint, which stays up when the CRM is down; empty: 127.0.0.1, a free port
	Token   string // bearer token, or api_key in the query, that a request must bring; empty: none is asked for
}

// Behaviour is a fault laid over the CRM's answers while it is up. The zero value
// is none.
type Behaviour struct {
	Status int           // HTTP status instead of 200; 0: 200
	Delay  time.Duration // wait before answering
	Body   string        // body instead of the caller's answer; empty: the answer
	Times  int           // for so many requests, then none; 0: until changed
}

// Request is one request that the CRM received, in any mode but Down.
type Request struct {
	At     time.Time
	Method string
	Path   string
	Phone  string // the caller asked about, as sent
	Status int    // what was answered; 0: nothing (hanging, or the client left)
}

// CRM is a stand-in CRM. Its methods may be called at any time and from any
// goroutine.
type CRM struct {
	opts CRMOptions

	mu        sync.Mutex
	mode      Mode
	answers   map[string]string // by digits of the caller
	behaviour Behaviour
	requests  []Request
	addr      string        // set by Start
	server    *http.Server  // nil while down
	recovered chan struct{} // closed when hanging ends
	control   *http.Server
	controlAt string
	serving   sync.WaitGroup
}

// NewCRM makes a CRM that is up and knows nobody. Start starts it.
func NewCRM(opts CRMOptions) *CRM {
	if opts.Listen == "" {
		opts.Listen = "127.0.0.1:0"
	}
	if opts.Control == "" {
		opts.Control = "127.0.0.1:0"
	}
	return &CRM{opts: opts, mode: Up, answers: map[string]string{}, recovered: make(chan struct{})}
}

// Start opens both listeners. URL and ControlURL are known afterwards.
func (c *CRM) Start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.control != nil {
		return errors.New("stand-in CRM: started already")
	}
	ln, err := net.Listen("tcp", c.opts.Control)
	if err != nil {
		return fmt.Errorf("stand-in CRM control: %w", err)
	}
	if err := c.open(c.opts.Listen); err != nil {
		return errors.Join(err, ln.Close())
	}
	c.controlAt = ln.Addr().String()
	c.control = c.serve(ln, c.controlHandler())
	if c.mode == Down {
		return c.shut()
	}
	return nil
}

// Close ends the CRM and waits until nothing of it runs.
func (c *CRM) Close() error {
	c.mu.Lock()
	err := c.shut()
	c.wake()
	if c.control != nil {
		err = errors.Join(err, c.control.Close())
	}
	c.mu.Unlock()
	c.serving.Wait()
	return err
}

// URL is where the CRM is asked, such as http://127.0.0.1:40000, without a path.
// It stays the same while the CRM is down.
func (c *CRM) URL() string { return "http://" + c.Addr() }

// Addr is the host and port of URL, as lookup.allow wants it.
func (c *CRM) Addr() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addr
}

// ControlURL is where POST /control/up, /control/down and /control/hang switch
// the mode.
func (c *CRM) ControlURL() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return "http://" + c.controlAt
}

// SetMode makes the CRM well or ill. Coming up again can fail when another
// program took the port meanwhile; then the CRM is still down.
func (c *CRM) SetMode(m Mode) error {
	if m != Up && m != Down && m != Hang {
		return fmt.Errorf("stand-in CRM: no mode %q; there are up, down and hang", m)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.control != nil {
		if err := c.move(m); err != nil {
			return err
		}
	}
	c.mode = m
	c.wake()
	return nil
}

// Mode is how well the CRM is.
func (c *CRM) Mode() Mode {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mode
}

// Answer sets what the CRM answers about a caller, whose number may be written in
// any way: User, Team, Number, External, Nobody, or any JSON. Empty takes the
// answer back.
func (c *CRM) Answer(caller, json string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if json == "" {
		delete(c.answers, digits(caller))
		return
	}
	c.answers[digits(caller)] = json
}

// Behave lays a fault over the answers; Behave(Behaviour{}) takes it away.
func (c *CRM) Behave(b Behaviour) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.behaviour = b
}

// Requests are the newest requests received, at most 1000, oldest first.
func (c *CRM) Requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

// open listens and serves. The caller holds mu.
func (c *CRM) open(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("stand-in CRM: %w", err)
	}
	c.addr = ln.Addr().String()
	c.server = c.serve(ln, c.handler())
	return nil
}

// shut closes the listener and every connection, kept-alive ones too: otherwise a
// client would go on talking to a CRM that is down. The caller holds mu.
func (c *CRM) shut() error {
	if c.server == nil {
		return nil
	}
	err := c.server.Close()
	c.server = nil
	return err
}

// move opens or shuts the listener as mode m wants it. The caller holds mu.
func (c *CRM) move(m Mode) error {
	switch {
	case m == Down:
		return c.shut()
	case c.server == nil:
		return c.open(c.addr)
	}
	return nil
}

// wake ends all hanging requests; those that should go on hanging notice. The
// caller holds mu.
func (c *CRM) wake() {
	close(c.recovered)
	c.recovered = make(chan struct{})
}

func (c *CRM) serve(ln net.Listener, h http.Handler) *http.Server {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	c.serving.Go(func() { _ = s.Serve(ln) }) // always ErrServerClosed: by shut or Close
	return s
}

// hang waits until the CRM is well again, closed, or the client has left.
func (c *CRM) hang(ctx context.Context) {
	for {
		c.mu.Lock()
		hanging, recovered := c.mode == Hang && c.server != nil, c.recovered
		c.mu.Unlock()
		if !hanging {
			return
		}
		select {
		case <-recovered:
		case <-ctx.Done():
			return
		}
	}
}
