package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// rounds is how often each race is run: the crossing that hurts is a matter of
// microseconds, so one try shows nothing.
const rounds = 15

// answering plays a phone until its socket is closed: it rings, answers when told
// to, and otherwise does what RFC 3261 asks of it.
func (c *wire) answering(answer <-chan struct{}) (rang chan struct{}) {
	rang = make(chan struct{}, 100) // one a call; the test reads as many
	answered := make(chan message, 100)
	go func() {
		for invite := range answered {
			<-answer
			c.send(c.reply(invite, 200, "OK", c.sdp()))
		}
	}()
	go func() {
		defer close(answered)
		seen := map[string]bool{} // Call-IDs
		for {
			m, ok := c.next(time.Minute)
			if !ok {
				return
			}
			switch {
			case m.status > 0:
			case m.method == "INVITE" && !seen[m.header("Call-ID")]:
				seen[m.header("Call-ID")] = true
				c.send(c.reply(m, 180, "Ringing", ""))
				answered <- m
				rang <- struct{}{}
			case m.method == "CANCEL":
				c.send(c.reply(m, 200, "OK", ""))
			case m.method == "BYE":
				c.send(c.reply(m, 200, "OK", ""))
			}
		}
	}()
	return rang
}

// caller is the carrier's side of one call, message by message.
type callerSide struct {
	*wire
	id, uri, from, to string
}

func (w *world) dial(c *wire, round int, number string) *callerSide {
	uri := "sip:" + mainLine + "@" + w.sip.String()
	s := &callerSide{wire: c, id: fmt.Sprintf("%d-%s", round, c.tag), uri: uri,
		from: "<sip:" + number + "@" + c.addr() + ">", to: "<" + uri + ">"}
	c.send(s.invite())
	return s
}

func (s *callerSide) invite() string {
	return s.request("INVITE", s.uri, s.from, s.to, s.id, 1, s.id, s.sdp())
}

func (s *callerSide) cancel() {
	s.send(s.request("CANCEL", s.uri, s.from, s.to, s.id, 1, s.id, ""))
}

// ack acknowledges a final answer to the INVITE, in the way its class wants.
func (s *callerSide) ack(final message) {
	branch, uri := s.id, s.uri // RFC 3261 §17.1.1.3
	if final.status < 300 {
		branch, uri = s.id+"ack", contact(final) // §13.2.2.4
	}
	s.send(s.request("ACK", uri, s.from, final.header("To"), s.id, 1, branch, ""))
}

func (s *callerSide) bye(answer message) {
	s.send(s.request("BYE", contact(answer), s.from, answer.header("To"), s.id, 2, s.id+"bye", ""))
	s.expect("BYE", 200)
}

func contact(m message) string {
	_, uri, _ := strings.Cut(m.header("Contact"), "<")
	uri, _, _ = strings.Cut(uri, ">")
	return uri
}

// Two phones answer at the same moment: the caller gets one of them, the other is
// told so. (I2: at most one agent ends connected to a caller.)
func TestRaceTwoAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, bob := w.user("ada"), w.user("bob")
	w.team(7, "Support", ada, bob)
	w.flow("main", `
	- name: everybody
	  ring_to: {team: Support, ringing: {ring_for: 10s}}
	- name: nobody
	  hang_up: {}
	`)
	w.number(1, mainLine, "main")
	w.serve()

	answer := make(chan struct{})
	a, b := w.wire("ada", ada.addr), w.wire("bob", bob.addr)
	a.register(ada)
	b.register(bob)
	rangA, rangB := a.answering(answer), b.answering(answer)
	carrier := w.wire("carrier", w.carrier)
	for i := range rounds {
		call := w.dial(carrier, i, caller)
		<-rangA
		<-rangB
		answer <- struct{}{}
		answer <- struct{}{}
		final := call.expect("INVITE", 200)
		call.ack(final)
		w.until("rid of the second answer", 5*time.Second, func() bool {
			return a.count(false, "BYE", 0)+b.count(false, "BYE", 0) == 2*i+1 // each call: the loser's, then the winner's
		})
		w.until("acknowledged to both phones", 5*time.Second, func() bool {
			return a.count(false, "ACK", 0)+b.count(false, "ACK", 0) >= 2*i+2
		})
		call.bye(final)
		w.until("rid of the first answer", 5*time.Second, func() bool {
			return a.count(false, "BYE", 0)+b.count(false, "BYE", 0) == 2*i+2
		})
	}
	if got := carrier.count(false, "INVITE", 200); got != rounds {
		t.Errorf("the caller got %d answers to %d calls", got, rounds)
	}
	w.wantNothingLeft()
}

// The caller gives up in the moment in which the phone answers: whatever wins, the
// INVITE gets one final answer and nobody stays connected to nobody.
func TestRaceCancelAgainstAnswer(t *testing.T) {
	t.Parallel()
	w, ada := newDesk(t)
	w.serve()
	answer := make(chan struct{})
	a := w.wire("ada", ada.addr)
	a.register(ada)
	rang := a.answering(answer)
	carrier := w.wire("carrier", w.carrier)
	finals := map[int]int{}
	for i := range rounds {
		call := w.dial(carrier, i, caller)
		<-rang
		head := time.Duration(i-rounds/2) * 200 * time.Microsecond // of the answer before the CANCEL
		go func() {
			time.Sleep(max(0, -head))
			answer <- struct{}{}
		}()
		time.Sleep(max(0, head))
		call.cancel()
		final := call.expect("INVITE", 200, 487)
		finals[final.status]++
		call.ack(final)
		if final.status == 200 {
			call.bye(final)
		}
		w.until("rid of the answer", 5*time.Second, func() bool { return a.count(false, "BYE", 0) == i+1 })
	}
	t.Logf("of %d calls %d were answered first, %d cancelled first", rounds, finals[200], finals[487])
	w.wantNothingLeft()
}

// The network repeats an INVITE: one lookup, one call. (I8)
func TestRaceRepeatedInvite(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "{type: user, path: route.user}")
	o.crm.Answer(caller, `{"route":{"user":"ada@example.test"}}`)
	o.serve()
	answer := make(chan struct{})
	a := o.wire("ada", o.ada.addr)
	a.register(o.ada)
	rang := a.answering(answer)
	carrier := o.wire("carrier", o.carrier)
	call := o.dial(carrier, 1, caller)
	for range 3 {
		call.send(call.invite())
	}
	<-rang
	call.send(call.invite())
	answer <- struct{}{}
	final := call.expect("INVITE", 200)
	call.ack(final)
	call.bye(final)
	o.wantNothingLeft()
	if got := len(o.crm.Requests()); got != 1 {
		t.Errorf("%d lookups, want 1", got)
	}
	if got := len(rang); got != 0 {
		t.Errorf("ada rang %d times more", got)
	}
}
