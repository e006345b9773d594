package sip_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/phonetest"
	"github.com/ringpath/ringpath/internal/simnet"
)

// robot is an endpoint that acts at random, and notes what it was told.
type robot struct {
	*phonetest.Phone
	mu     sync.Mutex
	random *rand.Rand
	calls  map[string]*robotCall // by Call-ID
	done   chan struct{}
}

type robotCall struct {
	final int  // of the INVITE: what we were told, or said
	acked bool // our 200
	over  bool // BYE in either direction
	toTag string
}

func (w *world) robot(addr string, seed uint64, act func(*robot, gosip.Message)) *robot {
	p := phonetest.NewPhone(w.t, w.net.Listen(addr), netip.MustParseAddrPort(serverAddr))
	r := &robot{Phone: p, random: rand.New(rand.NewPCG(seed, 2)), calls: map[string]*robotCall{}, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		for {
			msg := r.Next(3 * time.Minute)
			if msg == nil {
				return
			}
			r.mu.Lock()
			act(r, msg)
			r.mu.Unlock()
		}
	}()
	return r
}

// later runs f at a random time within d.
func (r *robot) later(d time.Duration, f func()) {
	time.AfterFunc(time.Duration(r.random.Int64N(int64(d))), func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		f()
	})
}

// callee rings and answers, refuses, or does nothing.
func callee(r *robot, m gosip.Message) {
	req, ok := m.(*gosip.Request)
	if !ok {
		return
	}
	id := req.CallID().Value()
	c := r.calls[id]
	switch req.Method {
	case gosip.INVITE:
		if c != nil {
			return // a copy: what we said is on its way
		}
		c = &robotCall{}
		r.calls[id] = c
		r.Reply(req, 180, "t", "")
		status := []int{200, 200, 486, 603, 500, 0}[r.random.IntN(6)]
		if status == 0 {
			r.later(time.Second, func() { r.Reply(req, 180, "t", "") })
			return
		}
		r.later(4*time.Second, func() {
			if c.final == 0 {
				r.final(req, c, status)
			}
		})
	case gosip.CANCEL:
		r.Reply(req, 200, "t", "")
		if c != nil && c.final == 0 {
			inv := req.Clone()
			inv.CSeq().MethodName = "INVITE"
			r.final(inv, c, 487)
		}
	case gosip.ACK:
		c.acked = true
	case gosip.BYE:
		c.over = true
		r.Reply(req, 200, "", "")
	}
}

// final sends a final response until it is acknowledged.
func (r *robot) final(req *gosip.Request, c *robotCall, status int) {
	c.final = status
	body := ""
	if status == 200 {
		body = phonetest.SDP("192.0.2.20:6000", "sendrecv")
	}
	r.Reply(req, status, "t", body)
	var again func()
	again = func() {
		if !c.acked && !c.over {
			r.Reply(req, status, "t", body)
			r.later(time.Second, again)
		}
	}
	r.later(time.Second, again)
}

// caller cancels at random, or talks for a while.
func caller(r *robot, m gosip.Message) {
	id := m.CallID().Value()
	if req, ok := m.(*gosip.Request); ok {
		if req.Method == gosip.BYE {
			r.calls[id].over = true
			r.Reply(req, 200, "", "")
		}
		return
	}
	res := m.(*gosip.Response)
	c := r.calls[id]
	if res.CSeq().MethodName != gosip.INVITE || res.StatusCode < 200 {
		return
	}
	if c.final != 0 && c.final != res.StatusCode {
		r.calls["broken "+id] = &robotCall{final: res.StatusCode}
	}
	first := c.final == 0
	c.final, c.toTag = res.StatusCode, tag(res.To().Params)
	if res.StatusCode >= 300 {
		r.Send("ACK sip:+14155550100@192.0.2.10 SIP/2.0\nVia: %s\nFrom: <sip:+12025550123@carrier.example>;tag=ft\nTo: %s\nCall-ID: %s\nCSeq: 1 ACK\n",
			res.Via().Value(), res.To().Value(), id)
		return
	}
	follow(r.Phone, "ACK", id, c.toTag, 1, "", "")
	if !first {
		return
	}
	r.later(5*time.Second, func() {
		if !c.over {
			c.over = true
			follow(r.Phone, "BYE", id, c.toTag, 2, "", "")
		}
	})
}

// Many calls at once over a network that delays, doubles and reorders: each ends
// with exactly one final response for everybody, and nobody is left talking.
func TestManyCalls(t *testing.T) {
	for seed := range uint64(4) {
		run(t, simnet.Options{}, nil, func(w *world) {
			phones := []*robot{}
			for i, user := range []string{"alice", "bob", "carol"} {
				addr := fmt.Sprintf("192.0.2.%d:5060", 20+i)
				w.phone(user, addr).Close()
				phones = append(phones, w.robot(addr, seed, callee))
			}
			w.net.Set(simnet.Options{Delay: 5 * time.Millisecond, Jitter: 20 * time.Millisecond, Duplicate: .05, Reorder: .1, Seed: seed})
			carrier := w.robot("198.51.100.1:5060", seed, caller)
			const calls = 60
			for i := range calls {
				id := fmt.Sprint("call-", i)
				via := fmt.Sprintf("SIP/2.0/UDP 198.51.100.1:5060;rport;branch=z9hG4bK-%d", i)
				carrier.mu.Lock()
				carrier.calls[id] = &robotCall{}
				text := strings.Replace(inviteText(carrier.Phone, id), "SIP/2.0\n", "SIP/2.0\nVia: "+via+"\n", 1)
				carrier.Send("%s", text)
				if i%3 == 0 {
					carrier.later(5*time.Second, func() {
						carrier.Send("CANCEL sip:+14155550100@192.0.2.10 SIP/2.0\nVia: %s\nFrom: <sip:+12025550123@carrier.example>;tag=ft\nTo: <sip:+14155550100@192.0.2.10>\nCall-ID: %s\nCSeq: 1 CANCEL\n", via, id)
					})
				} else { // nobody waits for ever
					carrier.later(20*time.Second, func() {
						if carrier.calls[id].final == 0 {
							carrier.Send("CANCEL sip:+14155550100@192.0.2.10 SIP/2.0\nVia: %s\nFrom: <sip:+12025550123@carrier.example>;tag=ft\nTo: <sip:+14155550100@192.0.2.10>\nCall-ID: %s\nCSeq: 1 CANCEL\n", via, id)
						}
					})
				}
				carrier.mu.Unlock()
				time.Sleep(50 * time.Millisecond)
			}
			<-carrier.done
			results := map[int]int{}
			for id, c := range carrier.calls {
				results[c.final]++
				if c.final == 0 || strings.HasPrefix(id, "broken") || c.final == 200 && !c.over {
					t.Errorf("seed %d: caller's %s: %+v", seed, id, *c)
				}
			}
			for _, p := range phones {
				<-p.done
				for id, c := range p.calls {
					if c.final == 0 || !c.acked || c.final == 200 && !c.over {
						t.Errorf("seed %d: %s: %s: %+v", seed, p.Addr(), id, *c)
					}
				}
				p.Close()
			}
			carrier.Close()
			if results[200] == 0 || results[487] == 0 || len(carrier.calls) != calls {
				t.Errorf("seed %d: results %v", seed, results)
			}
			t.Logf("seed %d: %v", seed, results)
		})
	}
}
