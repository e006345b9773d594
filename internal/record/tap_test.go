package record

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// tapTest is a tap whose emitted messages are listed as "call:raw".
type tapTest struct {
	*tap
	got []string
}

func newTapTest() *tapTest {
	x := &tapTest{}
	x.tap = newTap(func(list []Message) {
		for _, m := range list {
			x.got = append(x.got, fmt.Sprintf("%d:%d:%s", m.Call, m.Seq, m.Raw))
		}
	})
	return x
}

func (x *tapTest) pass(id phone.CallID, raw ...string) {
	for _, r := range raw {
		x.message(Message{Call: id, Raw: []byte(r)})
	}
}

func (x *tapTest) want(t *testing.T, when string, want ...string) {
	t.Helper()
	if got := strings.Join(x.got, " "); got != strings.Join(want, " ") {
		t.Errorf("%s: got %q, want %q", when, got, strings.Join(want, " "))
	}
	x.got = nil
}

// crowd begins n calls of other people.
func (x *tapTest) crowd(n int) {
	for i := range n {
		x.opened(phone.CallID(1_000_000+i), false)
	}
}

func TestTapQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTapTest()
		x.pass(1, "INVITE", "100")
		x.crowd(198)
		x.opened(1, false)
		x.pass(1, "180")
		x.want(t, "before the answer")
		x.answered(1)
		x.want(t, "at the answer, 199 calls in 10 s", "1:1:INVITE", "1:2:100", "1:3:180")
		x.crowd(1000)
		x.answered(1)
		x.pass(1, "ACK")
		x.want(t, "later: decided once", "1:4:ACK")
		x.ended(1, true)
		x.pass(1, "BYE")
		x.want(t, "after the end", "1:5:BYE")
	})
}

func TestTapBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTapTest()
		x.crowd(199)
		x.pass(1, "INVITE")
		x.opened(1, false)
		x.pass(2, "INVITE")
		x.opened(2, true)
		x.answered(1)
		x.want(t, "200 calls in 10 s")
		x.pass(1, "BYE")
		x.ended(1, true)
		x.want(t, "later: decided once")
		x.answered(2)
		x.want(t, "a marked number", "2:1:INVITE")

		time.Sleep(10 * time.Second)
		x.pass(3, "INVITE")
		x.opened(3, false)
		x.ended(3, true) // answered, but nobody said so before
		x.want(t, "10 s later", "3:1:INVITE")
	})
}

func TestTapFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
		x := newTapTest()
		x.crowd(1000)
		for i := range 25 {
			id := phone.CallID(i)
			x.pass(id, "INVITE")
			x.opened(id, false)
			x.ended(id, false)
			x.ended(id, false)
		}
		if len(x.got) != 20 {
			t.Errorf("%d of 25 failed calls kept, want 20", len(x.got))
		}
		x.got = nil
		x.pass(3, "ACK")
		x.pass(23, "ACK")
		x.want(t, "the last messages follow the same decision", "3:2:ACK")
		time.Sleep(time.Second)
		x.pass(30, "INVITE")
		x.opened(30, false)
		x.ended(30, false)
		x.want(t, "a second later", "30:1:INVITE")
	})
}

func TestTapLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		big := strings.Repeat("x", 30<<10)
		x := newTapTest()
		x.pass(1, big, big, big, "100")
		x.opened(1, false)
		x.answered(1)
		x.want(t, "set-up: 60 KiB and a sign that more came", "1:1:"+big, "1:2:"+big, "1:3:")
		x.pass(1, "BYE", big, big, big, "200")
		x.want(t, "and as much later", "1:4:BYE", "1:5:"+big, "1:6:"+big, "1:7:")
	})
}

func TestTapForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTapTest()
		x.pass(1, "INVITE") // refused by the stack: never opens
		x.pass(2, "INVITE")
		x.opened(2, false)
		time.Sleep(strangerFor)
		x.pass(3, "INVITE")
		x.opened(3, false)
		if _, ok := x.calls[1]; ok || len(x.calls) != 2 {
			t.Errorf("%d calls held, want the two that opened", len(x.calls))
		}
		x.ended(2, true)
		x.ended(3, true)
		time.Sleep(endedFor)
		x.pass(4, "INVITE")
		time.Sleep(strangerFor)
		x.forget(time.Now())
		if len(x.calls) != 0 || len(x.leave) != 0 || x.held != 0 {
			t.Errorf("%d calls, %d to come, %d bytes are left, want none", len(x.calls), len(x.leave), x.held)
		}
	})
}

func TestTapHoldsNoMoreThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTapTest()
		raw := bytes.Repeat([]byte("x"), maxCallBytes)
		for id := range phone.CallID(maxHeldBytes/maxCallBytes + 10) {
			x.message(Message{Call: id, Raw: raw})
		}
		if x.held != maxHeldBytes {
			t.Errorf("%d bytes held, want %d", x.held, maxHeldBytes)
		}
	})
}

func TestWriterTaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		keep := DefaultKeep()
		w := openWriter(t, s, Options{
			Keep:   func() Keep { return keep },
			Marked: func(n phone.NumberID) bool { return n == 7 },
		})
		stored := func(want int, when string) {
			t.Helper()
			list, err := w.Messages(t.Context(), call(1, Done).ID)
			if err != nil || len(list) != want {
				t.Errorf("%s: %d messages, %v, want %d", when, len(list), err, want)
			}
		}
		for range 300 {
			w.tap.opened(0, false)
		}
		c := call(1, Initial)
		c.Number = 7
		w.Message(Message{Call: c.ID, Raw: []byte("INVITE")})
		w.Opened(c)
		stored(0, "before the answer")
		c = call(1, Answered)
		c.Number = 7
		w.Changed(c)
		stored(1, "answered, marked")
		if got := string(s.messages[0].Raw); got != "INVITE" {
			t.Errorf("stored %q, want the bytes as they were handed over", got)
		}
		w.Message(Message{Call: c.ID, Raw: []byte("BYE")})
		w.Ended(call(1, Done))
		stored(2, "ended")
		keep.SIP = 0
		w.Message(Message{Call: c.ID, Raw: []byte("200")})
		stored(2, "not kept")
	})
}

func BenchmarkTap(b *testing.B) {
	x := newTap(func([]Message) {})
	raw := bytes.Repeat([]byte("x"), 700)
	b.ReportAllocs()
	for i := range b.N {
		id := phone.CallID(i / 15)
		if i%15 == 0 {
			x.opened(id, false)
		}
		x.message(Message{Call: id, Raw: raw})
		if i%15 == 14 {
			x.answered(id)
			x.ended(id, true)
		}
	}
}
