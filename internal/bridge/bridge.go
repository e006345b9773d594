// Package bridge joins the two legs of a call and holds them together until one
// of them ends. What the legs carry (media, hold) is their own business.
package bridge

import (
	"context"

	"github.com/ringpath/ringpath/internal/phone"
)

// Side is a party of a joined call.
type Side string

const (
	Caller Side = "caller"
	Callee Side = "callee"
	System Side = "system"
)

// End is how a joined call ended.
type End struct {
	By     Side
	Cause  phone.Cause
	Detail string
}

// Talk returns when one of two joined legs has ended, or when ctx is cancelled
// (By is System then, the cause Normal). It hangs up nobody: whoever owns the
// legs does.
func Talk(ctx context.Context, caller, callee phone.Leg) End {
	for {
		var e phone.Event
		var open bool
		side := Caller
		select {
		case e, open = <-caller.Events():
		case e, open = <-callee.Events():
			side = Callee
		case <-ctx.Done():
			return End{By: System, Cause: phone.CauseNormal}
		}
		if !open {
			return End{By: side, Cause: phone.CauseLost}
		}
		if e.Kind == phone.LegEnded {
			return End{By: side, Cause: e.Cause, Detail: e.Detail}
		}
	}
}
