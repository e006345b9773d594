package phonetest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/phonetest"
)

var (
	_ phone.Network     = (*phonetest.Network)(nil)
	_ phone.Leg         = (*phonetest.Leg)(nil)
	_ phone.IncomingLeg = (*phonetest.Incoming)(nil)
)

func TestScriptIsPlayedToTheMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := phonetest.NewNetwork()
		c := n.Register(1, "agent", phonetest.Answers(time.Second, 4*time.Second).HangsUp(time.Minute))
		in := phonetest.NewIncoming(phone.CallFacts{})
		start := time.Now()
		leg, err := n.Dial(t.Context(), phone.Dial{Call: 1, Caller: in, To: phone.Destination{Contact: c}})
		if err != nil {
			t.Fatal(err)
		}
		want := []struct {
			kind phone.EventKind
			at   time.Duration
		}{{phone.LegRinging, time.Second}, {phone.LegAnswered, 4 * time.Second}, {phone.LegEnded, time.Minute}}
		for _, w := range want {
			e := <-leg.Events()
			if got := e.At.Sub(start); e.Kind != w.kind || got != w.at {
				t.Errorf("event %d at %v, want %d at %v", e.Kind, got, w.kind, w.at)
			}
			if e.Kind == phone.LegAnswered {
				if err := in.Join(leg); err != nil {
					t.Error(err)
				}
			}
		}
		if _, open := <-leg.Events(); open {
			t.Error("an event after LegEnded")
		}
	})
}

func TestCancelledContextHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := phonetest.NewNetwork()
		c := n.Register(1, "agent", phonetest.Rings(0))
		ctx, cancel := context.WithCancel(t.Context())
		leg, _ := n.Dial(ctx, phone.Dial{Call: 1, To: phone.Destination{Contact: c}})
		cancel()
		synctest.Wait()
		if got := leg.(*phonetest.Leg).End().Cause; got != phone.CauseCancelled {
			t.Errorf("ended with %q, want cancelled", got)
		}
	})
}
