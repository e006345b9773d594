package sip

import (
	"strconv"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/sip/stack"
)

// retryAfter is what a caller that we cannot serve now is asked to wait.
const retryAfter = "5"

// ending is how a cause is said on the wire: the final response before an answer,
// and the ITU-T Q.850 code of the Reason header (RFC 3326).
type ending struct {
	status, q850 int
	retry        bool // with Retry-After
}

// endings is the one table from cause to wire.
var endings = map[phone.Cause]ending{
	phone.CauseNormal:      {480, 16, false},
	phone.CauseCancelled:   {487, 16, false},
	phone.CauseElsewhere:   {480, 26, false},
	phone.CauseBusy:        {486, 17, false},
	phone.CauseDeclined:    {603, 21, false},
	phone.CauseNoAnswer:    {480, 19, false},
	phone.CauseUnavailable: {480, 19, false},
	phone.CauseRejected:    {603, 21, false},
	phone.CauseUnknown:     {404, 1, false},
	phone.CauseMoved:       {480, 22, false},
	phone.CauseNoCodec:     {488, 88, false},
	phone.CauseFailed:      {500, 41, false},
	phone.CauseUnreachable: {480, 20, false},
	phone.CauseLost:        {500, 27, false},
	phone.CauseLoop:        {482, 25, false},
	phone.CauseOverload:    {503, 42, true},
	phone.CauseDraining:    {503, 42, true},
	phone.CauseInterrupted: {503, 41, true},
	phone.CauseTooLong:     {480, 102, false},
}

func endingOf(c phone.Cause) ending {
	if e, ok := endings[c]; ok {
		return e
	}
	return endings[phone.CauseFailed]
}

// reason is the value of the Reason header of a CANCEL or BYE.
func reason(c phone.Cause) string {
	if c == phone.CauseElsewhere {
		return `SIP;cause=200;text="Call completed elsewhere"`
	}
	return "Q.850;cause=" + strconv.Itoa(endingOf(c).q850)
}

// headers are those of a final response.
func (e ending) headers() []stack.Header {
	hs := []stack.Header{{Name: "Reason", Value: "Q.850;cause=" + strconv.Itoa(e.q850)}}
	if e.retry {
		hs = append(hs, stack.Header{Name: "Retry-After", Value: retryAfter})
	}
	return hs
}

// causeOf reads a final response from 300 on; person says that a phone of a user
// sent it, whose busy is a decision of that user.
func causeOf(status int, person bool) phone.Cause {
	switch status {
	case 486, 600:
		if person {
			return phone.CauseDeclined
		}
		return phone.CauseBusy
	case 603:
		return phone.CauseDeclined
	case 404, 410, 484, 485, 604:
		return phone.CauseUnknown
	case 408, 430, 503, 504:
		return phone.CauseUnreachable
	case 480:
		return phone.CauseUnavailable
	case 482, 483:
		return phone.CauseLoop
	case 415, 488, 606:
		return phone.CauseNoCodec
	case 487:
		return phone.CauseCancelled
	}
	if status < 400 {
		return phone.CauseMoved
	}
	return phone.CauseFailed
}
